//! The chain of each hook besides `route`.

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::plugin::bindings::{map, registry_auth, request};

const NOBODY: types::Client<'_> = types::Client {
    address: "unix",
    identity: None,
};

/// Answers 200 with the value of the first header it sees, and proceeds when it sees none.
fn echo() -> Vec<u8> {
    let handle = r#"(func (export "flocker:plugin/request@0.1.0#handle") (param i32) (result i32) (local $pair i32)
        (if (i32.eqz (i32.load offset=52 (local.get 0))) (then (return (i32.const 64))))
        (local.set $pair (i32.load offset=48 (local.get 0)))
        (i64.store align=4 (i32.const 36) (i64.load offset=8 align=4 (local.get $pair)))
        (i32.const 16))
        (data (i32.const 16) "\00\00\00\00\01\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00")"#;
    guests::component("request-hook", "", handle)
}

async fn ask(plugins: &Plugins, headers: &HeaderMap) -> Verdict {
    let call = request::Call {
        method: "GET",
        path: "/info",
        query: "",
        version: None,
        endpoint: Some("/info"),
        headers: &[],
        client: NOBODY,
    };
    plugins
        .request(call, headers, &Scene::empty())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_plugin_that_answers_ends_the_call_and_sees_only_its_headers() {
    let folder = Folder::new();
    let mut first = folder.plugin("first", &echo());
    let mut second = folder.plugin("second", &echo());
    first.headers = vec!["x-first".to_owned()];
    second.headers = vec!["x-second".to_owned()];
    let plugins = plugins(&[first, second]).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-other", HeaderValue::from_static("none"));
    assert!(matches!(ask(&plugins, &headers).await, Verdict::Proceed));
    for (name, value) in [("x-second", "two"), ("x-first", "one")] {
        headers.insert(name, HeaderValue::from_static(value));
        match ask(&plugins, &headers).await {
            Verdict::Respond(response) => assert_eq!(response.body(), value),
            Verdict::Proceed => panic!("no answer for {name}"),
        }
    }
}

#[tokio::test]
async fn the_last_change_of_a_configuration_is_sent() {
    let change = |letter: char| {
        let data = format!(r"\00\00\00\00\01\00\00\00\20\00\00\00\07\00\00\00{{\22{letter}\22:1}}");
        guests::constant("map-hook", "map@0.1.0#rewrite", 1, &data)
    };
    let none = guests::constant(
        "map-hook",
        "map@0.1.0#rewrite",
        1,
        r"\00\00\00\00\00\00\00\00",
    );
    let folder = Folder::new();
    let backend = backend();
    let json = "{}".to_owned();
    let request = map::Request {
        name: "web",
        container: &json,
        image: &json,
        backend: &backend,
        client: NOBODY,
    };
    let silent = plugins(&[folder.plugin("none", &none)]).await;
    assert_eq!(
        silent.map(request.clone(), &Scene::empty()).await.unwrap(),
        None
    );
    let configs = [
        folder.plugin("a", &change('a')),
        folder.plugin("b", &change('b')),
        folder.plugin("none", &none),
    ];
    let changed = plugins(&configs)
        .await
        .map(request, &Scene::empty())
        .await
        .unwrap();
    assert_eq!(changed.as_deref(), Some(r#"{"b":1}"#));
}

#[tokio::test]
async fn lists_come_with_their_plugin_and_failures_are_never_skipped() {
    let list = |data: &str| guests::constant("list-hook", "list@0.1.0#backends", 0, data);
    let one = r"\00\00\00\00\20\00\00\00\01\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\42\00\00\00\03\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00n1a:1";
    let failed = r"\01\00\00\00\01\00\00\00\20\00\00\00\04\00\00\00down";
    let folder = Folder::new();
    let configs = [
        folder.plugin("good", &list(one)),
        skip(folder.plugin("bad", &list(failed))),
    ];
    let lists = plugins(&configs).await.list(&Scene::empty()).await;
    let [(good, entries), (bad, error)] = &lists[..] else {
        panic!("{lists:?}");
    };
    let entry = &entries.as_ref().unwrap()[0];
    assert_eq!(
        (good.as_str(), entry.name.as_str(), entry.address.as_str()),
        ("good", "n1", "a:1")
    );
    assert_eq!(bad, "bad");
    assert!(matches!(error, Err(Error::Plugin { hook: "list", reason, .. }) if reason == "down"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_wait_for_no_other_plugin_that_computes() {
    let list = r#"(func (export "flocker:plugin/list@0.1.0#backends") (result i32)"#;
    let endless = guests::component("list-hook", "", &format!("{list} {LOOP})"));
    let folder = Folder::new();
    let configs = ["one", "two", "three"];
    let configs = configs.map(|name| guests::within(400, folder.plugin(name, &endless)));
    let plugins = plugins(&configs).await;
    let begun = Instant::now();
    let lists = plugins.list(&Scene::empty()).await;
    assert!(lists.iter().all(|(_, answer)| answer.is_err()));
    assert!(
        begun.elapsed() < Duration::from_millis(1100),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn the_first_credentials_win() {
    let auth =
        |data: &str| guests::constant("registry-auth-hook", "registry-auth@0.1.0#lookup", 9, data);
    let some = |name: char| {
        let text = r"\01\00\00\00";
        auth(&format!(
            r"\00\00\00\00{text}\40\00\00\00{text}\41\00\00\00{text}\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00{name}p"
        ))
    };
    let folder = Folder::new();
    let configs = [
        folder.plugin("none", &auth(r"\00\00\00\00\00\00\00\00")),
        folder.plugin("a", &some('a')),
        folder.plugin("b", &some('b')),
    ];
    let request = registry_auth::Request {
        registry: "docker.io",
        image: "docker.io/library/alpine:latest",
        client: NOBODY,
    };
    let found = plugins(&configs)
        .await
        .registry_auth(request, &Scene::empty())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            found.username.as_str(),
            found.password.as_str(),
            found.identity_token
        ),
        ("a", "p", None)
    );
}
