//! The plugin host with real components: what loads, how the chain is asked, and what a plugin cannot do.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{bindings::route, *};
use crate::error::Error;

mod bounds;
mod chain;
mod events;
mod guests;
mod hooks;
mod imports;
mod keyvalue;
mod loading;
mod reload;
mod shadow;
mod state;

use guests::{Folder, skip, warm, within};

/// A state store without expiry.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl StateStore for Shelf {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _ttl: Option<Duration>) -> Result<(), Error> {
        self.0
            .lock()
            .unwrap()
            .insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    async fn swap(
        &self,
        _key: &str,
        _expected: Option<&[u8]>,
        _replacement: Option<&[u8]>,
        _ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        Ok(false)
    }

    async fn keys(&self, _prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }
}

async fn plugins(configs: &[PluginConfig]) -> Plugins {
    let loaded = Plugins::load(configs, Compiler::default(), Registries::default())
        .await
        .unwrap();
    loaded.with_state(Arc::new(Shelf::default()))
}

/// Asks for a place for a container with the body `{}`.
async fn place(plugins: &Plugins) -> Result<Decision, Error> {
    let body = "{}".to_owned();
    let request = route::Request {
        subject: route::Subject::Container,
        name: Some("web"),
        image: Some("alpine"),
        platform: None,
        body: Some(&body),
        client: types::Client {
            address: "unix",
            identity: None,
        },
    };
    let resolve = |name: &str| match name {
        "nowhere" => Err("there is no backend nowhere".to_owned()),
        name => Ok(name.to_uppercase()),
    };
    plugins.route(request, &Scene::empty(), &resolve).await
}

/// The reason of a plugin's failure in its `route` hook.
async fn failure(plugins: &Plugins) -> String {
    match place(plugins).await {
        Err(Error::Plugin {
            hook: "route",
            reason,
            ..
        }) => reason,
        other => panic!("{other:?}"),
    }
}

fn backend() -> types::Backend {
    types::Backend {
        name: "node1".to_owned(),
        address: "tcp://10.0.0.1:2375".to_owned(),
        labels: vec![],
        health: types::Health::Up,
        running: 0,
        containers: 0,
        placing: 0,
        cpus: 0,
        memory: 0,
    }
}

const LOOP: &str = "(loop $again (br $again)) (i32.const 0)";

/// Counts its calls and answers the count as a backend: `0`, `1`, ...; traps in the third call.
fn counter() -> Vec<u8> {
    let body = "(if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 50)) (then unreachable))
        (i32.store8 (i32.const 64) (i32.add (i32.load8_u (i32.const 64)) (i32.const 1)))
        (i32.const 16)";
    let data = r#"(data (i32.const 16) "\00\00\00\00\01\00\00\00\40\00\00\00\01\00\00\00")
        (data (i32.const 64) "/")"#;
    guests::route(body, data)
}

#[tokio::test]
async fn the_first_backend_wins_and_bodies_add_up() {
    let folder = Folder::new();
    let configs = [
        folder.plugin("silent", &guests::decision(None, None)),
        folder.plugin("body", &guests::decision(None, Some(r#"{"a":1}"#))),
        folder.plugin("first", &guests::decision(Some("node1"), None)),
        folder.plugin(
            "second",
            &guests::decision(Some("node2"), Some(r#"{"b":2}"#)),
        ),
    ];
    let plugins = plugins(&configs).await;
    assert_eq!(
        place(&plugins).await.unwrap(),
        Decision {
            backend: Some("NODE1".to_owned()),
            body: Some(r#"{"a":1}"#.to_owned()),
            plugin: Some("first".to_owned()),
        }
    );
    assert_eq!(place(&Plugins::empty()).await.unwrap(), Decision::default());
}

#[tokio::test]
async fn the_next_plugin_sees_the_changed_body() {
    // The record's body lies at 40: present, pointer, length. Its second byte becomes the backend.
    let peek = guests::route(
        "(i32.store (i32.const 24) (i32.add (i32.load (i32.add (local.get 0) (i32.const 44))) (i32.const 2)))
         (i32.const 16)",
        r#"(data (i32.const 16) "\00\00\00\00\01\00\00\00\00\00\00\00\01\00\00\00")"#,
    );
    let folder = Folder::new();
    let change = folder.plugin("change", &guests::decision(None, Some(r#"{"x":1}"#)));
    let plugins = plugins(&[change, folder.plugin("peek", &peek)]).await;
    assert_eq!(place(&plugins).await.unwrap().backend.as_deref(), Some("X"));
}

#[tokio::test]
async fn what_a_plugin_cannot_do_is_said_with_its_reason() {
    let grow = "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (i32.const 0)";
    let huge = r#"(memory.grow (i32.const 800)) drop (i32.const 16)"#;
    let long = r#"(data (i32.const 16) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\02")"#;
    let folder = Folder::new();
    for (name, bytes, reason) in [
        (
            "loop",
            guests::route(LOOP, ""),
            "it gave no answer within 200ms",
        ),
        ("trap", guests::route("unreachable", ""), "it panicked"),
        (
            "recursion",
            guests::route(
                "(call $deep)",
                "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))",
            ),
            "its stack overflowed",
        ),
        (
            "memory",
            guests::route(grow, ""),
            "it is out of memory: it asked for",
        ),
        (
            "size",
            guests::route(huge, long),
            "it handed over more than 16777216 bytes",
        ),
        (
            "json",
            guests::decision(None, Some("{")),
            "its answer is not JSON",
        ),
        (
            "array",
            guests::decision(None, Some("[]")),
            "its answer is JSON, but not an object",
        ),
        (
            "lie",
            guests::decision(Some("nowhere"), None),
            "there is no backend nowhere",
        ),
        (
            "status",
            guests::answer(r"\01\00\00\00\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00"),
            "it refused with status 200",
        ),
        (
            "failed",
            guests::answer(
                r"\01\00\00\00\01\00\00\00\28\00\00\00\04\00\00\00\00\00\00\00\00\00\00\00oops",
            ),
            "oops",
        ),
    ] {
        let mut config = folder.plugin(name, &bytes);
        match name {
            "size" => config.memory = 64 << 20,
            "loop" => config.timeout = Duration::from_millis(200),
            _ => (),
        }
        let said = failure(&plugins(std::slice::from_ref(&config)).await).await;
        assert!(said.starts_with(reason), "{name}: {said}");
        let after = folder.plugin("after", &guests::decision(Some("node1"), None));
        let skipped = place(&plugins(&[skip(config), after]).await).await.unwrap();
        assert_eq!(skipped.backend.as_deref(), Some("NODE1"), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_skipped() {
    let refusal = r"\01\00\00\00\00\00\00\00\93\01\00\00\28\00\00\00\02\00\00\00\00\00\00\00no";
    let folder = Folder::new();
    let plugins = plugins(&[skip(folder.plugin("policy", &guests::answer(refusal)))]).await;
    let error = place(&plugins).await.unwrap_err();
    assert!(matches!(&error, Error::Denied { plugin, .. } if plugin == "policy"));
    assert_eq!(
        (error.status(), error.to_string()),
        (StatusCode::FORBIDDEN, "no".to_owned())
    );
}

#[tokio::test]
async fn a_warm_instance_remembers_until_it_traps() {
    let folder = Folder::new();
    let fresh = plugins(&[folder.plugin("fresh", &counter())]).await;
    for _ in 0..3 {
        assert_eq!(place(&fresh).await.unwrap().backend.as_deref(), Some("0"));
    }
    let warm = plugins(&[warm(folder.plugin("warm", &counter()))]).await;
    for expected in ["0", "1", "2", "it panicked", "0"] {
        match place(&warm).await {
            Ok(decision) => assert_eq!(decision.backend.as_deref(), Some(expected)),
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_the_warm_instance_with_it() {
    // Loops in its second call.
    let body = "(if (i32.load8_u (i32.const 128)) (then (loop $again (br $again))))
        (i32.store8 (i32.const 128) (i32.const 1)) (i32.const 16)";
    let data = r#"(data (i32.const 16) "\00\00\00\00")"#;
    let folder = Folder::new();
    let plugins = plugins(&[warm(folder.plugin("warm", &guests::route(body, data)))]).await;
    place(&plugins).await.unwrap();
    let impatient = tokio::time::timeout(Duration::from_millis(30), place(&plugins));
    assert!(impatient.await.is_err());
    place(&plugins).await.unwrap();
}

#[tokio::test]
async fn calls_beyond_the_allowed_instances_wait_within_their_timeout() {
    let folder = Folder::new();
    let config = within(500, folder.plugin("loop", &guests::route(LOOP, "")));
    let plugins = plugins(&[config]).await;
    let begin = Instant::now();
    let asked = [
        failure(&plugins),
        failure(&plugins),
        failure(&plugins),
        failure(&plugins),
    ];
    for reason in futures_util::future::join_all(asked).await {
        assert!(reason.starts_with("it gave no answer"), "{reason}");
    }
    assert!(
        begin.elapsed() < Duration::from_millis(990),
        "all four waited from the same moment"
    );
}
