//! Shadows of the hooks: what they are shown, and what counts as disagreement.

use http::HeaderMap;

use super::*;
use crate::plugin::bindings::{map, registry_auth, request, start};

const NOBODY: types::Client<'_> = types::Client {
    address: "unix",
    identity: None,
};

fn shadow(config: PluginConfig) -> PluginConfig {
    PluginConfig {
        shadow: true,
        ..config
    }
}

/// A hook that changes JSON to a letter's, or leaves it as it is.
fn change(world: &str, function: &str, letter: Option<char>) -> Vec<u8> {
    let data = match letter {
        Some(letter) => {
            format!(r"\00\00\00\00\01\00\00\00\20\00\00\00\07\00\00\00{{\22{letter}\22:1}}")
        }
        None => r"\00\00\00\00\00\00\00\00".to_owned(),
    };
    guests::constant(world, function, 1, &data)
}

/// Waits until the shadow, the first of the chain, was asked; how often it disagreed.
async fn disagreements(plugins: &Plugins, asked: u64) -> u64 {
    let told = async {
        loop {
            let tally = plugins.tallies().swap_remove(0);
            if tally.shadowed == asked {
                return tally.disagreements;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .unwrap()
}

#[tokio::test]
async fn shadows_of_map_and_start_are_compared_with_what_is_sent() {
    let folder = Folder::new();
    for (tried, live, disagree) in [
        (Some('a'), Some('a'), 0),
        (Some('b'), Some('a'), 1),
        (Some('b'), None, 1),
        (None, Some('a'), 0),
    ] {
        let map = |letter| change("map-hook", "map@0.1.0#rewrite", letter);
        let configs = [
            shadow(folder.plugin("tried", &map(tried))),
            folder.plugin("live", &map(live)),
        ];
        let plugins = plugins(&configs).await;
        let (json, backend) = ("{}".to_owned(), backend());
        let request = map::Request {
            name: "web",
            container: &json,
            image: &json,
            backend: &backend,
            client: NOBODY,
        };
        let sent = plugins.map(request, &Scene::empty()).await.unwrap();
        assert_eq!(sent, live.map(|letter| format!("{{\"{letter}\":1}}")));
        assert_eq!(
            disagreements(&plugins, 1).await,
            disagree,
            "{tried:?} {live:?}"
        );
    }
    let start = |letter| change("start-hook", "start@0.1.0#rewrite", letter);
    let plugins = plugins(&[shadow(folder.plugin("tried", &start(Some('a'))))]).await;
    let (json, backend) = ("{}".to_owned(), backend());
    let request = start::Request {
        name: "web",
        container: &json,
        image: None,
        backend: &backend,
        body: None,
        client: NOBODY,
    };
    let sent = plugins.start(request, &Scene::empty()).await.unwrap();
    assert_eq!((sent, disagreements(&plugins, 1).await), (None, 1));
}

#[tokio::test]
async fn the_credentials_of_a_shadow_are_not_used() {
    let text = r"\01\00\00\00";
    let login = format!(
        r"\00\00\00\00{text}\40\00\00\00{text}\41\00\00\00{text}\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00up"
    );
    let login = guests::constant(
        "registry-auth-hook",
        "registry-auth@0.1.0#lookup",
        9,
        &login,
    );
    let folder = Folder::new();
    let plugins = plugins(&[shadow(folder.plugin("tried", &login))]).await;
    let request = registry_auth::Request {
        registry: "docker.io",
        image: "docker.io/library/alpine:latest",
        client: NOBODY,
    };
    let found = plugins.registry_auth(request, &Scene::empty()).await;
    assert!(found.unwrap().is_none());
    assert_eq!(disagreements(&plugins, 1).await, 1);
}

#[tokio::test]
async fn a_shadow_that_fails_is_no_disagreement_and_rests() {
    let trap = r#"(func (export "flocker:plugin/request@0.1.0#handle") (param i32) (result i32) unreachable)"#;
    let folder = Folder::new();
    let trap = guests::component("request-hook", "", trap);
    let plugins = plugins(&[shadow(folder.plugin("tried", &trap))]).await;
    let call = request::Call {
        method: "GET",
        path: "/info",
        query: "",
        version: None,
        endpoint: Some("/info"),
        headers: &[],
        client: NOBODY,
    };
    let (headers, scene) = (HeaderMap::new(), Scene::empty());
    let failures = async {
        while plugins.tallies()[0].rests.is_none() {
            let asked = plugins.request(call.clone(), &headers, &scene).await;
            assert!(matches!(asked, Ok(Verdict::Proceed)));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), failures)
        .await
        .unwrap();
    let tally = plugins.tallies().swap_remove(0);
    assert_eq!((tally.shadowed, tally.disagreements), (0, 0));
}
