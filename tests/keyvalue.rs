//! `wasi:keyvalue` in a real component: both drafts, what is shared, what lasts.

use std::thread;

use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, binary, plugin, run},
    plugins::{entry, fakes, over},
};

fn flockerd(names: &[&str]) -> Flockerd {
    let plugins = names.iter().map(|name| {
        let settings = format!("name = {name:?}\ntimeout = \"20s\"");
        entry("keyvalue", &settings, &format!("{{ path = \"/{name}\" }}"))
    });
    over(&fakes(), &plugins.collect::<String>())
}

/// Has the plugin of that name do something in one of the drafts.
#[track_caller]
fn ask(flockerd: &Flockerd, name: &str, draft: u8, bucket: &str, work: &Value) -> Value {
    let mut order = work.clone();
    order["draft"] = json!(draft);
    order["bucket"] = json!(bucket);
    let reply = flockerd.api().post(&format!("/{name}"), &order);
    reply.expect(200).json()
}

/// The steps that go the same way in both drafts: what to do, and what is answered.
fn common() -> Vec<(Value, Value)> {
    let key = |of: &str, key: &str| json!({ of: key });
    let ok = |value: Value| json!({ "ok": value });
    let said = |reason: &str| json!({ "error": reason });
    let long = "k".repeat(257);
    vec![
        (json!({"open": null}), ok(json!(null))),
        (key("get", "a"), ok(json!(null))),
        (key("exists", "a"), ok(json!(false))),
        (key("delete", "a"), ok(json!(null))),
        (json!({"set": ["a", "1"]}), ok(json!(null))),
        (json!({"set": ["a", "one"]}), ok(json!(null))),
        (key("get", "a"), ok(json!("one"))),
        (key("exists", "a"), ok(json!(true))),
        (
            json!({"set-many": [["b", "two"], ["c", ""]]}),
            ok(json!(null)),
        ),
        (
            json!({"list-keys": null}),
            ok(json!({"keys": ["a", "b", "c"], "cursor": null})),
        ),
        (json!({"delete-many": ["a", "b", "z"]}), ok(json!(null))),
        (
            json!({"list-keys": null}),
            ok(json!({"keys": ["c"], "cursor": null})),
        ),
        (json!({"increment": {"key": "n", "delta": 5}}), ok(json!(5))),
        (json!({"increment": {"key": "n", "delta": 2}}), ok(json!(7))),
        (key("get", "n"), ok(json!("7"))),
        (
            json!({"increment": {"key": "c", "delta": 1}}),
            said("the value of c is not a whole number"),
        ),
        (key("get", ""), said("the key is empty")),
        (key("get", "näh"), said("the key is not printable ASCII")),
        (
            key("get", &long),
            said("the key has 257 bytes, 256 are allowed"),
        ),
        (
            json!({"set-many": [["d", "1"], ["", "2"], ["e", "3"]]}),
            said("the key is empty"),
        ),
        (key("exists", "d"), ok(json!(true))),
        (key("exists", "e"), ok(json!(false))),
    ]
}

#[test]
fn both_drafts_do_what_their_interfaces_say() {
    let flockerd = flockerd(&["kv"]);
    for (draft, bucket) in [(1, "one"), (2, "two")] {
        for (work, expected) in common() {
            let answer = ask(&flockerd, "kv", draft, bucket, &work);
            assert_eq!(answer, expected, "draft {draft}: {work}");
        }
    }
    let get_many = json!({"get-many": ["c", "z"]});
    for (draft, bucket, pairs) in [
        (1, "one", json!([["c", ""], null])),
        (2, "two", json!([["c", ""], ["z", null]])),
    ] {
        let answer = ask(&flockerd, "kv", draft, bucket, &get_many);
        assert_eq!(answer, json!({ "ok": pairs }), "draft {draft}");
    }
    let less = json!({"increment": {"key": "n", "delta": -10}});
    assert_eq!(
        ask(&flockerd, "kv", 2, "two", &less),
        json!({"ok": -3}),
        "only draft2 has a sign"
    );
    let more = json!({"increment": {"key": "n", "delta": i64::MAX}});
    ask(&flockerd, "kv", 2, "three", &more);
    assert_eq!(
        ask(&flockerd, "kv", 2, "three", &more),
        json!({"error": "the number in n leaves its range"})
    );
}

#[test]
fn a_swap_replaces_only_what_was_seen() {
    let flockerd = flockerd(&["kv"]);
    let swap =
        |meanwhile: Value| json!({"swap": {"key": "k", "value": "mine", "meanwhile": meanwhile}});
    for (meanwhile, failures) in [
        (json!(null), json!([])),
        (json!("theirs"), json!(["theirs"])),
        // The same value again is no change that the handle could know of.
        (json!("mine"), json!([])),
    ] {
        let answer = ask(&flockerd, "kv", 2, "", &swap(meanwhile));
        assert_eq!(answer, json!({ "ok": failures }));
        let value = ask(&flockerd, "kv", 2, "", &json!({"get": "k"}));
        assert_eq!(value, json!({"ok": "mine"}));
    }
}

#[test]
fn increments_at_once_lose_nothing() {
    let flockerd = flockerd(&["kv"]);
    let add = json!({"increment": {"key": "n", "delta": 1}});
    thread::scope(|scope| {
        for draft in [1, 2, 1, 2] {
            let (flockerd, add) = (&flockerd, &add);
            scope.spawn(move || {
                for _ in 0..25 {
                    ask(flockerd, "kv", draft, "", add);
                }
            });
        }
    });
    let value = ask(&flockerd, "kv", 2, "", &json!({"get": "n"}));
    assert_eq!(value, json!({"ok": "100"}));
}

#[test]
fn buckets_are_apart_and_so_are_plugins() {
    let flockerd = flockerd(&["one", "two"]);
    let set = |name, bucket, value: &str| {
        ask(&flockerd, name, 1, bucket, &json!({"set": ["k", value]}));
    };
    set("one", "", "kept");
    set("one", "more", "more");
    set("two", "more", "theirs");
    let get = |name, bucket| ask(&flockerd, name, 2, bucket, &json!({"get": "k"}))["ok"].clone();
    assert_eq!(get("one", ""), "kept");
    assert_eq!(get("one", "default"), "kept");
    assert_eq!(get("one", "more"), "more");
    assert_eq!(get("one", "else"), json!(null));
    assert_eq!(get("two", ""), json!(null));
    assert_eq!(get("two", "more"), "theirs");
    let list = json!({"list-keys": null});
    assert_eq!(
        ask(&flockerd, "one", 1, "", &list)["ok"]["keys"],
        json!(["k"]),
        "other buckets are no part of it"
    );
    for name in ["a/b", "../two", "ü", &"b".repeat(65)] {
        for draft in [1, 2] {
            let answer = ask(&flockerd, "one", draft, name, &json!({"open": null}));
            assert_eq!(answer, json!({"error": "no such store"}), "{name}");
        }
    }
}

#[test]
fn long_lists_of_keys_come_in_pages() {
    let flockerd = flockerd(&["kv"]);
    let key = |number: usize| format!("{number:05}");
    let pairs: Vec<_> = (0..2500).map(|number| (key(number), "x")).collect();
    ask(&flockerd, "kv", 1, "", &json!({ "set-many": pairs }));
    for (draft, cursors) in [
        (1, [json!(1000), json!(2000), json!(null)]),
        (2, [json!(key(999)), json!(key(1999)), json!(null)]),
    ] {
        let (mut cursor, mut keys) = (json!(null), Vec::new());
        for next in cursors {
            let page = ask(&flockerd, "kv", draft, "", &json!({ "list-keys": cursor }));
            keys.extend(page["ok"]["keys"].as_array().unwrap().clone());
            cursor = page["ok"]["cursor"].clone();
            assert_eq!(cursor, next, "draft {draft}");
        }
        assert!(
            keys.iter().eq(pairs.iter().map(|(key, _)| key)),
            "draft {draft}"
        );
    }
    let beyond = ask(&flockerd, "kv", 1, "", &json!({"list-keys": u64::MAX}));
    assert_eq!(beyond, json!({"ok": {"keys": [], "cursor": null}}));
}

#[test]
fn a_plugin_holds_no_more_than_its_share_of_buckets() {
    let flockerd = flockerd(&["kv"]);
    for draft in [1, 2] {
        let hoard = |count: usize| ask(&flockerd, "kv", draft, "", &json!({ "hoard": count }));
        assert_eq!(hoard(900), json!({"ok": 900}));
        let error = hoard(1001)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with("too much is open"), "{error}");
    }
}

#[test]
fn keys_are_there_after_a_restart() {
    let mut flockerd = flockerd(&["kv"]);
    ask(&flockerd, "kv", 1, "", &json!({"set": ["k", "v"]}));
    ask(
        &flockerd,
        "kv",
        2,
        "more",
        &json!({"increment": {"key": "n", "delta": 41}}),
    );
    assert_eq!(flockerd.terminate(), 0);
    flockerd.restart();
    let value = ask(&flockerd, "kv", 2, "", &json!({"get": "k"}));
    assert_eq!(value, json!({"ok": "v"}));
    let sum = ask(
        &flockerd,
        "kv",
        1,
        "more",
        &json!({"increment": {"key": "n", "delta": 1}}),
    );
    assert_eq!(sum, json!({"ok": 42}));
}

#[test]
fn plugin_check_names_the_keys() {
    let home = tempfile::TempDir::new().unwrap();
    let mut check = binary(home.path());
    let report = run(check.args(["plugin", "check"]).arg(plugin("keyvalue")), b"").ok();
    assert!(
        report.contains("keys: its own, in the state store"),
        "{report}"
    );
}
