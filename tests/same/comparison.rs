//! The comparison is worth nothing unless it can fail.

use serde_json::{Value, json};

use crate::harness::{Answer, FakeDocker, Flockerd, Player, Target, container, differences, step};

#[test]
fn an_answer_that_differs_is_told() {
    let script = [step(200, "GET /containers/{c}/json")];
    let compare = |first: &dyn Fn(&FakeDocker), second: &dyn Fn(&FakeDocker)| {
        let fakes = [FakeDocker::start(), FakeDocker::start()];
        first(&fakes[0]);
        second(&fakes[1]);
        let player = |fake: &FakeDocker, name| {
            Player::with_words(Target::Tcp(fake.address.clone()), &[("c", name)])
        };
        differences(player(&fakes[0], "one"), player(&fakes[1], "all"), &script)
    };
    let says = |name: &'static str, body: Value| {
        move |fake: &FakeDocker| {
            let path = format!("GET /containers/{name}/json");
            fake.on(&path, Answer::Json(200, body.clone()));
        }
    };
    let id = |digit: char| digit.to_string().repeat(64);
    let one = says(
        "one",
        json!({"Id": id('1'), "Name": "/one", "Up": true, "List": [{"Size": 1}], "Created": "2026-11-21T03:04:11.8Z"}),
    );
    let same = json!({"Id": id('2'), "Name": "/all", "Up": true, "List": [{"Size": 2}], "Created": "2025-01-01T00:00:00Z"});
    assert_eq!(
        compare(&one, &says("all", same.clone())),
        Vec::<String>::new()
    );
    for (key, other) in [
        ("Name", json!("/else")),
        ("Up", json!(false)),
        ("List", json!([])),
        ("List", json!([{"Size": "2"}])),
        ("List", json!([{"Sizes": 2}])),
        ("Created", Value::Null),
        ("New", json!(1)),
    ] {
        let mut changed = same.clone();
        changed[key] = other;
        let found = compare(&one, &says("all", changed));
        assert_eq!(
            found.first().map(String::as_str),
            Some("GET /containers/{c}/json")
        );
        assert!(
            found[1..].iter().any(|line| line.contains(key)),
            "{found:?}"
        );
    }
    let missing = |fake: &FakeDocker| {
        fake.on(
            "GET /containers/all/json",
            Answer::error(404, "No such container: all"),
        );
    };
    assert!(compare(&one, &missing)[2].contains("- 404"));
    let plain = |fake: &FakeDocker| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        fake.on("GET /containers/all/json", Answer::Bytes(answer));
    };
    assert!(compare(&one, &plain)[1].contains("content-type"));
}

/// A stream is compared line by line, without what tells how far something has come.
#[test]
fn a_stream_that_differs_is_told() {
    let script = [step(200, "GET /lines")];
    let says = |lines: &str| {
        let fake = FakeDocker::start();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        let answer = format!("{head}: {}\r\n\r\n{lines}", lines.len());
        fake.on("GET /lines", Answer::Bytes(answer.into_bytes()));
        fake
    };
    let compare = |one: &str, all: &str| {
        let fakes = [one, all].map(says);
        let [one, all] = fakes
            .each_ref()
            .map(|fake| Player::with_words(Target::Tcp(fake.address.clone()), &[]));
        differences(one, all, &script)
    };
    let one = r#"{"status":"a"}{"status":"b","progressDetail":{"current":1}}{"status":"c"}"#;
    assert_eq!(
        compare(one, r#"{"status":"a"} {"status":"c"}"#),
        Vec::<String>::new()
    );
    assert!(compare(one, r#"{"status":"a"}{"status":"d"}"#)[1].contains("/line 1/status"));
    assert!(compare(one, r#"{"status":"a"}"#)[1].contains("lines: + 2 - 1"));
    assert!(compare(one, r#"{"status":"a"}{"status":"c"}nonsense"#).len() > 1);
}

#[test]
fn a_host_with_another_answer_fails_the_comparison_with_the_flock() {
    let fake = FakeDocker::with(&[container('a', &["/a"])]);
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let player = |target| Player::with_words(target, &[]);
    let one = player(Target::Tcp(fake.address.clone()));
    let script = [
        step(200, "GET /containers/json"),
        step(200, "GET /containers/a/json"),
    ];
    assert_eq!(
        differences(one, player(flockerd.api()), &script),
        Vec::<String>::new()
    );
    let other = FakeDocker::with(&[container('a', &["/b", "/a"])]);
    let one = player(Target::Tcp(other.address.clone()));
    let found = differences(one, player(flockerd.api()), &script).join("\n");
    assert!(found.contains("/0/Names has 2 - 1 elements"), "{found}");
    assert!(
        found.contains("+ \"/b\"") && found.contains("- \"/a\""),
        "{found}"
    );
}
