//! Bounds that need no hostile plugin of some size: what is kept for a plugin, what it may list, what a trap leaves.

use super::{imports::context, *};
use crate::{plugin::bindings::flocker::plugin::keyspace, state::memory::Memory};

async fn set(
    context: &mut crate::plugin::imports::Context,
    key: &str,
    bytes: usize,
) -> Result<(), String> {
    keyspace::Host::set(context, key.to_owned(), vec![0; bytes], None).await
}

#[tokio::test]
async fn all_keys_of_a_plugin_take_64_mib_at_most() {
    let memory = Arc::new(Memory::new());
    let mut context = context(Scene::empty(), Some(memory.clone()));
    for number in 0..63 {
        set(&mut context, &number.to_string(), 1 << 20)
            .await
            .unwrap();
    }
    let refused = set(&mut context, "more", 1 << 20).await.unwrap_err();
    assert!(
        refused.ends_with("67108864 are allowed: delete some"),
        "{refused}"
    );
    // What takes another's place counts once, however often.
    for _ in 0..3 {
        set(&mut context, "7", 1 << 20).await.unwrap();
    }
    let swapped = keyspace::Host::swap(
        &mut context,
        "more".to_owned(),
        None,
        Some(vec![0; 1 << 20]),
        None,
    );
    assert!(swapped.await.is_err());
    keyspace::Host::delete(&mut context, "7".to_owned())
        .await
        .unwrap();
    set(&mut context, "more", 1 << 20).await.unwrap();
    // Another instance counts the same keys, and another plugin's do not count.
    let mut next = super::imports::context(Scene::empty(), Some(memory.clone()));
    assert!(set(&mut next, "again", 1 << 20).await.is_err());
    memory
        .set("plugin/petty/k", &[0; 1 << 20], None)
        .await
        .unwrap();
    keyspace::Host::delete(&mut next, "8".to_owned())
        .await
        .unwrap();
    set(&mut next, "again", 1 << 20).await.unwrap();
}

#[tokio::test]
async fn small_keys_are_not_free() {
    let mut context = context(Scene::empty(), Some(Arc::new(Memory::new())));
    let mut number = 0;
    while set(&mut context, &format!("{number:06}"), 0).await.is_ok() {
        number += 1;
    }
    assert!((400_000..500_000).contains(&number), "{number} keys");
}

/// A `list` hook with so many entries, all empty.
fn lister(entries: u32) -> Vec<u8> {
    let function = format!(
        r#"(func (export "flocker:plugin/list@0.1.0#backends") (result i32)
            (drop (memory.grow (i32.const 800)))
            (i32.store (i32.const 20) (i32.const 131072))
            (i32.store (i32.const 24) (i32.const {entries}))
            (i32.const 16))"#
    );
    guests::component("list-hook", "", &function)
}

#[tokio::test]
async fn a_list_has_ten_thousand_backends_at_most() {
    let folder = Folder::new();
    for (entries, reason) in [
        (10_000, None),
        (
            10_001,
            Some("its list has 10001 backends, 10000 are allowed"),
        ),
        (1_000_000, Some("it handed over more than 16777216 bytes")),
    ] {
        let mut config = folder.plugin("lister", &lister(entries));
        config.memory = 64 << 20;
        let lists = plugins(&[config]).await.list(&Scene::empty()).await;
        match (&lists[0].1, reason) {
            (Ok(list), None) => assert_eq!(list.len(), 10_000),
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{error}"),
            (answer, _) => panic!("{entries}: {answer:?}"),
        }
    }
}

/// A `route` hook that never ends, beside so many more core instances with a memory or a table each.
fn greedy(instances: usize, content: &str) -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(instances);
    let text = format!("(component (core module $m {content}) {instances})");
    let mut bytes = guests::route(LOOP, "");
    let inside = wat::parse_str(text).unwrap();
    // A section with the component, and one with an instance of it: as the last of the components.
    let index = components(&bytes[8..]);
    let length = [inside.len() as u8 | 0x80, (inside.len() >> 7) as u8];
    bytes.push(4);
    bytes.extend([&length[..], &inside, &[5, 4, 1, 0, index, 0]].concat());
    bytes
}

/// How many sections of these are components.
fn components(mut sections: &[u8]) -> u8 {
    let mut count = 0;
    while let [id, rest @ ..] = sections {
        let end = rest.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let digits = rest[..=end].iter().rev();
        let length = digits.fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        count += u8::from(*id == 4);
        sections = &rest[end + 1 + length..];
    }
    count
}

#[tokio::test]
async fn no_plugin_takes_the_memories_and_tables_of_another() {
    let folder = Folder::new();
    let modest = guests::route("(i32.const 16)", "(table 1 funcref)");
    for (instances, content) in [(3, "(memory 1)"), (24, "(table 1 funcref)")] {
        let greedy = guests::within(500, folder.plugin("greedy", &greedy(instances, content)));
        let both = plugins(&[greedy, folder.plugin("modest", &modest)]).await;
        let alone = |position: usize| Plugins {
            chain: vec![both.chain[position].clone()],
            loader: None,
        };
        let (greedy, modest) = (alone(0), alone(1));
        // Polled in this order: the two loop already when the third is asked.
        let (one, two, beside) = tokio::join!(failure(&greedy), failure(&greedy), place(&modest));
        assert!(beside.is_ok(), "{content}: {beside:?}");
        for reason in [one, two] {
            assert!(reason.starts_with("it gave no answer"), "{reason}");
        }
    }
    let config = folder.plugin("greedy", &greedy(4, "(memory 1)"));
    let refused = Plugins::load(&[config], Compiler::default(), Registries::default()).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("5 Wasm linear memories"), "{refused}");
}

#[tokio::test]
async fn a_trap_in_the_state_store_fails_that_call_alone() {
    let set = "(call $append (local.get 0)";
    let trap = format!("(if (i32.eq (local.get 3) (i32.const 1008)) (then unreachable)) {set}");
    let folder = Folder::new();
    let text = guests::STATE.replacen(set, &trap, 1);
    let keeper = folder.plugin("keeper", &guests::component("state-hook", "", &text));
    let loaded = Plugins::load(&[keeper], Compiler::default(), Registries::default())
        .await
        .unwrap();
    let (_plugins, state) = loaded.with_plugin_state().unwrap();
    for _ in 0..3 {
        state.set("k", b"before", None).await.unwrap();
        assert_eq!(
            state.get("k").await.unwrap().as_deref(),
            Some(&b"before"[..])
        );
        let error = state.set("j", &[0; 1000], None).await.unwrap_err();
        assert!(
            error.to_string().contains("plugin keeper: it panicked"),
            "{error}"
        );
        // What it kept in its instance is gone with that, and nothing of the failed call is there.
        assert_eq!(state.get("k").await.unwrap(), None);
        assert_eq!(state.get("j").await.unwrap(), None);
    }
}
