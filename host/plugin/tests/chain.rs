//! The rows of `docs/plugins/chain.md` that no other test holds: how the answers of a chain combine.

use http::HeaderMap;

use super::*;
use bindings::{registry_auth, request, start};

/// The error `refused`, status 403, `no`; the same in every hook.
const REFUSED: &str = r"\01\00\00\00\00\00\00\00\93\01\00\00\28\00\00\00\02\00\00\00\00\00\00\00no";
/// The error `failed`, `oops`.
const FAILED: &str =
    r"\01\00\00\00\01\00\00\00\28\00\00\00\04\00\00\00\00\00\00\00\00\00\00\00oops";
/// `{"a":1}` instead, for `map` and `start`.
const CHANGED: &str = r"\00\00\00\00\01\00\00\00\20\00\00\00\07\00\00\00{\22a\22:1}";
const TRAP: &str = "unreachable";

const NOBODY: types::Client<'_> = types::Client {
    address: "unix",
    identity: None,
};

fn map(data: &str) -> Vec<u8> {
    guests::constant("map-hook", "map@0.1.0#rewrite", 1, data)
}

fn start(data: &str) -> Vec<u8> {
    guests::constant("start-hook", "start@0.1.0#rewrite", 1, data)
}

fn login(data: &str) -> Vec<u8> {
    guests::constant("registry-auth-hook", "registry-auth@0.1.0#lookup", 9, data)
}

/// Answers the option of a text that lies at this address of the request.
fn echo(world: &str, function: &str, some: &str, text: u32) -> Vec<u8> {
    let length = text + 4;
    let rest = format!(
        r#"(func (export "flocker:plugin/{function}") (param i32) (result i32)
        (i32.store (i32.const 20) {some})
        (i32.store (i32.const 24) (i32.load offset={text} (local.get 0)))
        (i32.store (i32.const 28) (i32.load offset={length} (local.get 0)))
        (i32.const 16))"#
    );
    guests::component(world, "", &rest)
}

async fn mapped(plugins: &Plugins) -> Result<Option<String>, Error> {
    let (json, backend) = ("{}".to_owned(), backend());
    let request = bindings::map::Request {
        name: "web",
        container: &json,
        image: &json,
        backend: &backend,
        client: NOBODY,
    };
    plugins.map(request, &Scene::empty()).await
}

async fn started(plugins: &Plugins) -> Result<Option<String>, Error> {
    let (json, backend) = ("{}".to_owned(), backend());
    let request = start::Request {
        name: "web",
        container: &json,
        image: None,
        backend: &backend,
        body: None,
        client: NOBODY,
    };
    plugins.start(request, &Scene::empty()).await
}

async fn asked(plugins: &Plugins) -> Result<Verdict, Error> {
    let call = request::Call {
        method: "GET",
        path: "/info",
        query: "",
        version: None,
        endpoint: Some("/info"),
        headers: &[],
        client: NOBODY,
    };
    let headers = HeaderMap::new();
    plugins.request(call, &headers, &Scene::empty()).await
}

async fn credentials(plugins: &Plugins) -> Result<Option<String>, Error> {
    let request = registry_auth::Request {
        registry: "docker.io",
        image: "docker.io/library/alpine:latest",
        client: NOBODY,
    };
    let found = plugins.registry_auth(request, &Scene::empty()).await?;
    Ok(found.map(|credentials| credentials.username))
}

fn is_denied<T>(answer: Result<T, Error>, by: &str) -> bool {
    matches!(answer, Err(Error::Denied { plugin, .. }) if plugin == by)
}

#[tokio::test]
async fn after_the_first_backend_no_route_hook_is_asked() {
    let folder = Folder::new();
    let configs = [
        folder.plugin("first", &guests::decision(Some("node1"), None)),
        folder.plugin("trap", &guests::route(TRAP, "")),
    ];
    let decision = place(&plugins(&configs).await).await.unwrap();
    assert_eq!(decision.plugin.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_refusal_counts_whatever_earlier_route_hooks_changed() {
    let folder = Folder::new();
    let configs = [
        folder.plugin("change", &guests::decision(None, Some(r#"{"a":1}"#))),
        folder.plugin("policy", &guests::answer(REFUSED)),
        folder.plugin("trap", &guests::route(TRAP, "")),
    ];
    assert!(is_denied(place(&plugins(&configs).await).await, "policy"));
}

#[tokio::test]
async fn of_a_skipped_answer_nothing_remains() {
    let folder = Folder::new();
    let lie = guests::decision(Some("nowhere"), Some(r#"{"b":2}"#));
    let configs = [
        folder.plugin("change", &guests::decision(None, Some(r#"{"a":1}"#))),
        skip(folder.plugin("lie", &lie)),
    ];
    let decision = place(&plugins(&configs).await).await.unwrap();
    assert_eq!(decision.body.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(decision.backend, None);
}

#[tokio::test]
async fn the_next_map_hook_sees_the_change_also_past_one_that_is_skipped() {
    let folder = Folder::new();
    let echo = echo("map-hook", "map@0.1.0#rewrite", "(i32.const 1)", 8);
    let configs = [
        folder.plugin("change", &map(CHANGED)),
        skip(folder.plugin("failing", &map(FAILED))),
        folder.plugin("echo", &echo),
    ];
    let sent = mapped(&plugins(&configs).await).await.unwrap();
    assert_eq!(sent.as_deref(), Some(r#"{"a":1}"#));
    let refused = [folder.plugin("policy", &map(REFUSED)), configs[0].clone()];
    assert!(is_denied(mapped(&plugins(&refused).await).await, "policy"));
}

#[tokio::test]
async fn the_next_start_hook_sees_the_change_also_past_one_that_is_skipped() {
    let folder = Folder::new();
    // The body's option lies behind name, container, image and backend.
    let some = "(i32.load8_u offset=88 (local.get 0))";
    let echo = echo("start-hook", "start@0.1.0#rewrite", some, 92);
    let echo = folder.plugin("echo", &echo);
    let alone = plugins(std::slice::from_ref(&echo)).await;
    assert_eq!(started(&alone).await.unwrap(), None);
    let configs = [
        folder.plugin("change", &start(CHANGED)),
        skip(folder.plugin("failing", &start(FAILED))),
        echo,
    ];
    let sent = started(&plugins(&configs).await).await.unwrap();
    assert_eq!(sent.as_deref(), Some(r#"{"a":1}"#));
}

#[tokio::test]
async fn the_first_request_hook_that_refuses_ends_the_call() {
    let handle = |data| guests::constant("request-hook", "request@0.1.0#handle", 1, data);
    let folder = Folder::new();
    let proceed = folder.plugin("proceed", &handle(r"\00\00\00\00\00\00\00\00"));
    let failing = folder.plugin("failing", &handle(FAILED));
    let policy = folder.plugin("policy", &handle(REFUSED));
    let chain = [proceed.clone(), policy.clone(), failing.clone()];
    assert!(is_denied(asked(&plugins(&chain).await).await, "policy"));
    let chain = [failing.clone(), policy.clone()];
    let failed = asked(&plugins(&chain).await).await.unwrap_err();
    assert!(matches!(failed, Error::Plugin { plugin, .. } if plugin == "failing"));
    let chain = [skip(failing), proceed, policy];
    assert!(is_denied(asked(&plugins(&chain).await).await, "policy"));
}

#[tokio::test]
async fn credentials_come_from_the_next_one_unless_one_refuses() {
    let text = r"\01\00\00\00";
    let some = format!(
        r"\00\00\00\00{text}\40\00\00\00{text}\41\00\00\00{text}\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00ap"
    );
    let folder = Folder::new();
    let known = folder.plugin("known", &login(&some));
    let failing = folder.plugin("failing", &login(FAILED));
    let policy = folder.plugin("policy", &login(REFUSED));
    let chain = plugins(&[skip(failing.clone()), known.clone()]).await;
    assert_eq!(credentials(&chain).await.unwrap().as_deref(), Some("a"));
    let chain = plugins(&[failing, known.clone()]).await;
    assert!(matches!(
        credentials(&chain).await,
        Err(Error::Plugin {
            hook: "registry-auth",
            ..
        })
    ));
    let chain = plugins(&[policy, known]).await;
    assert!(is_denied(credentials(&chain).await, "policy"));
}

#[tokio::test]
async fn the_first_of_two_state_hooks_keeps_everything() {
    let folder = Folder::new();
    let trap = |name: &str, parameters: usize| {
        let parameters = "i32 ".repeat(parameters);
        format!(
            r#"(func (export "flocker:plugin/state@0.1.0#{name}") (param {parameters}) (result i32) unreachable)"#
        )
    };
    let traps = [trap("get", 2), trap("set", 4), trap("delete", 2)].concat();
    let broken = guests::component("state-hook", "", &traps);
    let configs = [
        folder.plugin("keeper", &guests::state()),
        folder.plugin("broken", &broken),
    ];
    let loaded = Plugins::load(&configs, Compiler::default(), Registries::default())
        .await
        .unwrap();
    let (_plugins, state) = loaded.with_plugin_state().unwrap();
    state.set("key", b"value", None).await.unwrap();
    assert_eq!(state.get("key").await.unwrap(), Some(b"value".to_vec()));
}
