//! Requests of plugins to a real web server, and to hosts that are slow or endless.

use std::io::Write;

use serde_json::json;

use super::Explored;
use crate::{
    eventually,
    harness::{Answer, FakeDocker, Web},
};

/// The setting that grants these.
fn http(hosts: &[&str]) -> String {
    format!("http = {hosts:?}")
}

#[test]
fn a_host_that_is_not_granted_is_refused_and_told() {
    let web = Web::start();
    web.put("hello", "baa");
    let port = web.address.rsplit_once(':').unwrap().1;
    let other = "127.0.0.1:1";
    let name = format!("localhost:{port}");
    let secure = format!("https://{}", web.address);
    for settings in [
        String::new(),
        http(&[other]),
        http(&["127.0.0.1"]),
        http(&[&name]),
        http(&[&secure]),
    ] {
        let explored = Explored::with(&settings);
        let reason = explored.fails(&json!({"get": web.url("hello")}));
        let expected = format!("{} is not granted to this plugin, see `http`", web.address);
        assert!(reason.contains(&expected), "{settings}: {reason}");
        let hint = format!("[\\\"{}\\\"]", web.address);
        let told = |log: &str| log.contains("not granted") && log.contains(&hint);
        eventually!(told(&explored.flockerd.log()));
    }
    assert_eq!(web.asked(), [""; 0]);
}

#[test]
fn a_granted_host_answers() {
    let web = Web::start();
    web.put("hello", "baa");
    web.put("large", &"baa ".repeat(1 << 20));
    let explored = Explored::with(&http(&[&web.address]));
    assert_eq!(
        explored.finds(&json!({"get": web.url("hello")})),
        json!([200, 3])
    );
    assert_eq!(
        explored.finds(&json!({"get": web.url("large")})),
        json!([200, 4 << 20])
    );
    assert_eq!(explored.finds(&json!({"get": web.url("absent")}))[0], 404);
    let post = json!({"post": {"url": web.url("length"), "length": 100_000}});
    assert_eq!(explored.finds(&post), json!([200, "100000".len()]));
    let with_user = format!("http://user@{}/hello", web.address);
    explored.fails(&json!({"get": with_user}));
}

#[test]
fn a_redirect_is_not_followed() {
    let web = Web::start();
    let explored = Explored::with(&http(&[&web.address]));
    assert_eq!(explored.finds(&json!({"get": web.url("away")}))[0], 302);
    // It writes its log after the answer.
    eventually!(web.asked() == ["GET /away 302"]);
}

#[test]
fn a_host_that_is_down_or_unknown_is_told() {
    let mut web = Web::start();
    let grant = http(&[&web.address, "*.invalid"]);
    let explored = Explored::with(&grant);
    web.stop();
    let reason = explored.fails(&json!({"get": web.url("")}));
    assert!(reason.contains("the connection was refused"), "{reason}");
    let reason = explored.fails(&json!({"get": "http://nowhere.invalid/"}));
    assert!(
        reason.contains("lookup") || reason.contains("known"),
        "{reason}"
    );
}

#[test]
fn a_slow_host_meets_the_plugins_timeout() {
    let slow = FakeDocker::start();
    slow.on("GET /slow", Answer::Hang);
    let settings = format!("timeout = \"500ms\"\n{}", http(&[&slow.address]));
    let explored = Explored::with(&settings);
    let url = format!("http://{}/slow", slow.address);
    let api = explored.flockerd.api();
    let message = api
        .post("/explore", &json!({"get": url}))
        .expect(500)
        .message();
    assert!(
        message.contains("explorer") && message.contains("500ms"),
        "{message}"
    );
    // The connection is given up with the call.
    eventually!(slow.hangups() == ["GET /slow"]);
}

#[test]
fn an_endless_answer_is_cut_at_the_limit() {
    let endless = FakeDocker::start();
    endless.on(
        "GET /endless",
        Answer::talk(|_, mut stream| {
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            let mut alive = stream.write_all(head).is_ok();
            while alive {
                alive = stream.write_all(&[b'x'; 1 << 16]).is_ok();
            }
        }),
    );
    let settings = format!("memory = \"256MiB\"\n{}", http(&[&endless.address]));
    let explored = Explored::with(&settings);
    let url = format!("http://{}/endless", endless.address);
    let reason = explored.fails(&json!({"get": url}));
    assert!(reason.contains("exceeds limit: 16777216 bytes"), "{reason}");
    let long = json!({"post": {"url": url.replace("endless", "x"), "length": (16 << 20) + 1}});
    let reason = explored.fails(&long);
    assert!(reason.contains("the body is too long"), "{reason}");
}

#[test]
fn https_trusts_what_the_system_trusts() {
    let web = Web::start();
    web.put("hello", "baa");
    let url = format!("https://{}/hello", web.secure);
    let grant = http(&[&format!("https://{}", web.secure)]);
    let authority = web.authority();
    let file = authority.to_str().unwrap();
    let trusting = Explored::with_env(&grant, &[("SSL_CERT_FILE", file)]);
    assert_eq!(trusting.finds(&json!({"get": url})), json!([200, 3]));
    let reason = Explored::with(&grant).fails(&json!({"get": url}));
    assert!(reason.contains("certificate"), "{reason}");
    eventually!(web.asked() == ["GET /hello 200"]);
}
