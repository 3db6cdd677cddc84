//! What the imports answer, asked as the bindings ask them.

use serde_json::json;

use super::*;
use crate::config::Grants;
use crate::plugin::{
    bindings::flocker::plugin::{body, config, flock, keyspace},
    capabilities::Capabilities,
    imports::{Context, Identity, View},
    keyspace::Ledger,
};

struct Body(Result<Option<String>, String>);

#[async_trait]
impl JsonBody for Body {
    async fn read(&self) -> Result<Option<String>, String> {
        self.0.clone()
    }
}

pub(super) fn context(scene: Scene, keyspace: Option<Arc<dyn StateStore>>) -> Context {
    let name = "pet".into();
    let identity = Identity {
        capabilities: Capabilities::new(&name, &Grants::default()),
        name,
        config: json!({"text": "as it is", "list": [1, "two"]})
            .as_object()
            .unwrap()
            .clone(),
        memory: 0,
        ledger: Arc::new(Ledger::new("pet")),
    };
    let view = View {
        hook: "route",
        scene,
        keyspace,
    };
    Context::new(Arc::new(identity), view).unwrap()
}

#[test]
fn a_string_of_the_configuration_is_bare_and_the_rest_is_json() {
    let mut context = context(Scene::empty(), None);
    let mut get = |key: &str| config::Host::get(&mut context, key.to_owned());
    assert_eq!(get("text").as_deref(), Some("as it is"));
    assert_eq!(get("list").as_deref(), Some(r#"[1,"two"]"#));
    assert_eq!(get("absent"), None);
    let table: serde_json::Value =
        serde_json::from_str(&config::Host::table(&mut context)).unwrap();
    assert_eq!(table, json!({"text": "as it is", "list": [1, "two"]}));
}

#[tokio::test]
async fn the_scene_is_shown() {
    let backend = types::Backend {
        name: "node1".to_owned(),
        address: "unix:///run/docker.sock".to_owned(),
        labels: vec![],
        health: types::Health::Unknown,
        running: 0,
        containers: 0,
        placing: 0,
        cpus: 0,
        memory: 0,
    };
    for answer in [
        Ok(Some("{}".to_owned())),
        Ok(None),
        Err("the body is too long".to_owned()),
    ] {
        let shown = backend.clone();
        let mut context = context(
            Scene {
                backends: Arc::new(move || vec![shown.clone()]),
                body: Some(Arc::new(Body(answer.clone()))),
            },
            None,
        );
        assert_eq!(flock::Host::backends(&mut context)[0].name, "node1");
        assert_eq!(body::Host::read(&mut context).await, answer);
        context.end();
        assert!(flock::Host::backends(&mut context).is_empty());
        assert_eq!(body::Host::read(&mut context).await, Ok(None));
    }
}

#[tokio::test]
async fn keys_are_prefixed_and_checked() {
    let shelf = Arc::new(Shelf::default());
    shelf.set("other", b"theirs", None).await.unwrap();
    let mut context = context(Scene::empty(), Some(shelf.clone()));
    keyspace::Host::set(&mut context, "a".to_owned(), b"1".to_vec(), None)
        .await
        .unwrap();
    assert_eq!(
        shelf.get("plugin/pet/a").await.unwrap().as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(
        keyspace::Host::get(&mut context, "a".to_owned()).await,
        Ok(Some(b"1".to_vec()))
    );
    assert_eq!(
        keyspace::Host::keys(&mut context, String::new()).await,
        Ok(vec!["a".to_owned()])
    );
    keyspace::Host::delete(&mut context, "a".to_owned())
        .await
        .unwrap();
    assert_eq!(shelf.get("plugin/pet/a").await.unwrap(), None);
    for (key, reason) in [
        (String::new(), "the key is empty"),
        ("k".repeat(257), "the key has 257 bytes, 256 are allowed"),
        ("näh".to_owned(), "the key is not printable ASCII"),
        ("a\nb".to_owned(), "the key is not printable ASCII"),
    ] {
        assert_eq!(
            keyspace::Host::get(&mut context, key).await,
            Err(reason.to_owned())
        );
    }
    let long = vec![0; (1 << 20) + 1];
    let said = keyspace::Host::set(&mut context, "a".to_owned(), long, None).await;
    assert_eq!(
        said,
        Err("the value has 1048577 bytes, 1048576 are allowed".to_owned())
    );
}
