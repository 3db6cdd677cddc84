//! What plugins remember: their keyspace, and the state store that is a plugin.

use super::*;

/// A `route` hook whose backend is the value of its key `k`; an error of the keyspace is its own.
fn reader(world: &str, more: &str) -> Vec<u8> {
    let import =
        r#"(import "flocker:plugin/keyspace@0.1.0" "get" (func $get (param i32 i32 i32)))"#;
    let place = r#"
      (func (export "flocker:plugin/route@0.1.0#place") (param i32) (result i32)
        (call $get (i32.const 8) (i32.const 1) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then
          (i32.store (i32.const 160) (i32.const 1))
          (i32.store (i32.const 164) (i32.const 1))
          (i64.store align=4 (i32.const 168) (i64.load align=4 (i32.const 68)))
          (return (i32.const 160))))
        (i32.store (i32.const 164) (i32.load (i32.const 68)))
        (i64.store align=4 (i32.const 168) (i64.load align=4 (i32.const 72)))
        (i32.const 160))
      (data (i32.const 8) "k")"#;
    guests::component(world, import, &format!("{place} {more}"))
}

#[tokio::test]
async fn a_plugin_reads_only_its_own_keys() {
    let shelf = Arc::new(Shelf::default());
    shelf.set("plugin/other/k", b"theirs", None).await.unwrap();
    let folder = Folder::new();
    let configs = [folder.plugin("mine", &reader("route-hook", ""))];
    let plugins = Plugins::load(&configs, Compiler::default(), Registries::default())
        .await
        .unwrap()
        .with_state(shelf.clone());
    assert_eq!(place(&plugins).await.unwrap().backend, None);
    shelf.set("plugin/mine/k", b"node7", None).await.unwrap();
    assert_eq!(
        place(&plugins).await.unwrap().backend.as_deref(),
        Some("NODE7")
    );
}

async fn kept() -> (Folder, Plugins, Arc<PluginState>) {
    let folder = Folder::new();
    let configs = [
        folder.plugin("keeper", &guests::state()),
        folder.plugin("mine", &reader("route-hook", "")),
    ];
    let loaded = Plugins::load(&configs, Compiler::default(), Registries::default())
        .await
        .unwrap();
    let (plugins, state) = loaded.with_plugin_state().unwrap();
    (folder, plugins, state)
}

#[tokio::test]
async fn a_plugin_keeps_state_for_flockerd_and_for_other_plugins() {
    let (_folder, plugins, state) = kept().await;
    assert_eq!(state.get("run/a").await.unwrap(), None);
    state.set("run/a", b"one", None).await.unwrap();
    state.set("run/a", b"two", None).await.unwrap();
    state.set("run/b", b"", None).await.unwrap();
    state.set("plugin/mine/k", b"node3", None).await.unwrap();
    assert_eq!(
        state.get("run/a").await.unwrap().as_deref(),
        Some(&b"two"[..])
    );
    assert_eq!(state.get("run/b").await.unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(state.keys("run/").await.unwrap(), ["run/a", "run/b"]);
    assert_eq!(
        place(&plugins).await.unwrap().backend.as_deref(),
        Some("NODE3")
    );
    state.delete("run/a").await.unwrap();
    state.delete("run/a").await.unwrap();
    assert_eq!(state.get("run/a").await.unwrap(), None);
    assert_eq!(state.keys("").await.unwrap(), ["plugin/mine/k", "run/b"]);
}

#[tokio::test]
async fn a_swap_needs_what_is_there() {
    let (_folder, _plugins, state) = kept().await;
    for (expected, replacement, done, after) in [
        (Some(&b"a"[..]), Some(&b"b"[..]), false, None),
        (None, Some(&b"a"[..]), true, Some(&b"a"[..])),
        (None, Some(&b"c"[..]), false, Some(&b"a"[..])),
        (Some(&b"a"[..]), Some(&b"b"[..]), true, Some(&b"b"[..])),
        (Some(&b"a"[..]), None, false, Some(&b"b"[..])),
        (Some(&b"b"[..]), None, true, None),
        (None, None, true, None),
    ] {
        assert_eq!(
            state.swap("k", expected, replacement, None).await.unwrap(),
            done
        );
        assert_eq!(state.get("k").await.unwrap().as_deref(), after);
    }
}

#[tokio::test]
async fn what_has_expired_is_absent() {
    let (_folder, _plugins, state) = kept().await;
    state
        .set("short", b"x", Some(Duration::ZERO))
        .await
        .unwrap();
    state
        .set("long", b"x", Some(Duration::from_secs(60)))
        .await
        .unwrap();
    assert_eq!(state.get("short").await.unwrap(), None);
    assert_eq!(state.keys("").await.unwrap(), ["long"]);
    assert!(state.swap("short", None, Some(b"y"), None).await.unwrap());
    assert_eq!(state.keys("").await.unwrap(), ["long", "short"]);
}

#[tokio::test]
async fn many_swaps_at_once_lose_nothing() {
    let (_folder, _plugins, state) = kept().await;
    let add = async |state: &PluginState| {
        loop {
            let before = state.get("count").await.unwrap();
            let count = before.as_ref().map_or(0, |bytes| bytes[0]) + 1;
            if state
                .swap("count", before.as_deref(), Some(&[count]), None)
                .await
                .unwrap()
            {
                return;
            }
        }
    };
    futures_util::future::join_all((0..20).map(|_| add(&state))).await;
    assert_eq!(state.get("count").await.unwrap(), Some(vec![20]));
}

#[tokio::test]
async fn the_plugin_that_is_the_state_store_has_no_keys_besides() {
    let folder = Folder::new();
    let configs = [folder.plugin("keeper", &reader("plugin", &guests::all_but_route()))];
    let (plugins, _state) = Plugins::load(&configs, Compiler::default(), Registries::default())
        .await
        .unwrap()
        .with_plugin_state()
        .unwrap();
    let reason = failure(&plugins).await;
    assert!(
        reason.starts_with("this plugin is the state store"),
        "{reason}"
    );
}

#[tokio::test]
async fn without_a_state_hook_no_plugin_keeps_state() {
    let folder = Folder::new();
    let loaded = Plugins::load(
        &[folder.plugin("mine", &guests::decision(None, None))],
        Compiler::default(),
        Registries::default(),
    )
    .await
    .unwrap();
    assert!(loaded.with_plugin_state().is_none());
}
