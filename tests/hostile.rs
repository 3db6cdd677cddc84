//! Plugins that loop, eat, trap, lie, or are no plugins at all.

use std::{path::Path, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::{Output, binary, container, plugin, run},
    plugins::{body, create, created, entry, fakes, over},
};

/// What misbehaves, and in which hook.
const MISBEHAVIOURS: [(&str, &str); 13] = [
    ("loop", "route"),
    ("recurse", "route"),
    ("memory", "route"),
    ("trap", "route"),
    ("panic", "route"),
    ("giant", "route"),
    ("bad-json", "route"),
    ("array-json", "route"),
    ("lie", "route"),
    ("fail", "route"),
    ("loop", "map"),
    ("bad-json", "map"),
    ("giant", "map"),
];

fn hostile(behaviour: &str, hook: &str, settings: &str) -> String {
    let settings = format!("timeout = \"300ms\"\nmemory = \"96MiB\"\n{settings}");
    entry(
        "hostile",
        &settings,
        &format!("{{ behaviour = {behaviour:?}, hook = {hook:?} }}"),
    )
}

#[test]
fn a_misbehaving_plugin_ends_its_call_alone_and_is_named() {
    for (behaviour, hook) in MISBEHAVIOURS {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile(behaviour, hook, ""));
        for _ in 0..2 {
            let reply = create(&flockerd, "x", &body());
            assert_eq!(reply.status, 500, "{behaviour} in {hook}: {}", reply.text());
            let message = reply.message();
            assert!(
                message.contains("hostile") && message.contains(hook),
                "{behaviour}: {message}"
            );
            flockerd.api().get("/containers/json").expect(200);
        }
        assert!(
            fakes.iter().all(|fake| created(fake).is_empty()),
            "{behaviour} in {hook}"
        );
    }
}

#[test]
fn a_misbehaving_plugin_that_may_be_skipped_is() {
    for (behaviour, hook) in MISBEHAVIOURS {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile(behaviour, hook, "on_failure = \"skip\""));
        let reply = create(&flockerd, "x", &body());
        assert_eq!(reply.status, 201, "{behaviour} in {hook}: {}", reply.text());
        assert_eq!(
            fakes.iter().flat_map(created).collect::<Vec<_>>(),
            [body()],
            "{behaviour} in {hook}"
        );
    }
}

#[test]
fn a_warm_instance_is_replaced_after_a_trap() {
    let fakes = fakes();
    let flockerd = over(
        &fakes,
        &hostile(
            "trap",
            "route",
            "instance = \"warm\"\non_failure = \"skip\"",
        ),
    );
    for name in ["one", "two", "three"] {
        create(&flockerd, name, &body()).expect(201);
    }
}

#[test]
fn a_request_hook_that_misbehaves_refuses_every_call_but_the_program_lives() {
    for behaviour in ["loop", "trap", "lie", "giant"] {
        let fakes = fakes();
        let mut flockerd = over(&fakes, &hostile(behaviour, "request", ""));
        let message = flockerd.api().get("/containers/json").expect(500).message();
        assert!(
            message.contains("hostile") && message.contains("request"),
            "{behaviour}: {message}"
        );
        assert_eq!(flockerd.terminate(), 0);
    }
}

#[test]
fn a_refusal_reaches_the_client_as_it_is_whatever_on_failure_says() {
    for settings in ["", "on_failure = \"skip\""] {
        for hook in ["request", "route", "map"] {
            let fakes = fakes();
            let flockerd = over(&fakes, &hostile("refuse", hook, settings));
            assert_eq!(
                create(&flockerd, "x", &body()).expect(418).message(),
                "hostile refuses"
            );
        }
    }
}

#[test]
fn other_calls_go_on_while_a_plugin_loops() {
    let fakes = fakes();
    fakes[0].add(container('c', &["/web"]));
    let slow = entry(
        "hostile",
        "timeout = \"20s\"",
        "{ behaviour = \"loop\", hook = \"route\" }",
    );
    let flockerd = over(&fakes, &slow);
    let mut stuck = Vec::new();
    for name in ["one", "two", "three", "four"] {
        let mut connection = flockerd.api().connect();
        connection.request(
            "POST",
            &format!("/containers/create?name={name}"),
            &[],
            body().to_string().as_bytes(),
        );
        stuck.push(connection);
    }
    // None of them waits for the end of the loops.
    let start = std::time::Instant::now();
    for _ in 0..20 {
        flockerd.api().get("/containers/web/json").expect(200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_file_that_is_no_plugin_is_told_at_the_start() {
    let folder = TempDir::new().unwrap();
    let spread = std::fs::read(plugin("spread")).unwrap();
    let module = b"\0asm\x01\0\0\0".to_vec();
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    for (name, bytes, word) in [
        ("text", b"not wasm".to_vec(), "text.wasm"),
        ("empty", Vec::new(), "empty.wasm"),
        ("cut", spread[..spread.len() / 2].to_vec(), "cut.wasm"),
        ("module", module, "module.wasm"),
        ("hookless", component, "hookless"),
    ] {
        let file = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&file, bytes).unwrap();
        is_refused(&file, word);
    }
}

/// The version of the contract is part of the names inside a component, so another version is made by renaming.
#[test]
fn a_plugin_of_another_version_of_the_contract_is_told_at_the_start() {
    let folder = TempDir::new().unwrap();
    let mut bytes = std::fs::read(plugin("spread")).unwrap();
    for at in 0..bytes.len() - 5 {
        if &bytes[at..at + 6] == b"@0.1.0" {
            bytes[at..at + 6].copy_from_slice(b"@0.9.0");
        }
    }
    let file = folder.path().join("future.wasm");
    std::fs::write(&file, bytes).unwrap();
    is_refused(&file, "0.9.0");
}

#[track_caller]
fn is_refused(file: &Path, word: &str) {
    let home = TempDir::new().unwrap();
    let listen = [
        "--listen",
        "tcp://127.0.0.1:0",
        "--backend",
        "tcp://127.0.0.1:1",
        "--plugin",
    ];
    let output: Output = run(binary(home.path()).args(listen).arg(file), b"");
    let errors = output.fails(2);
    assert!(
        errors.lines().any(|line| line.starts_with("error: ")),
        "{errors}"
    );
    assert!(
        errors.lines().any(|line| line.starts_with("hint: ")),
        "{errors}"
    );
    assert!(errors.contains(word), "{errors}");
}

#[test]
fn a_plugin_that_keeps_failing_rests_and_its_last_trap_is_told() {
    let fakes = fakes();
    let hostile = entry("hostile", "", "{ hook = \"route\", behaviour = \"trap\" }");
    let flockerd = over(&fakes, &hostile);
    let create = || {
        let body = json!({"Image": "wool"});
        flockerd
            .api()
            .post("/containers/create", &body)
            .expect(500)
            .message()
    };
    for _ in 0..5 {
        assert!(create().contains("it panicked or aborted"));
    }
    assert!(create().contains("it rests for"));
    let home = TempDir::new().unwrap();
    let mut status = binary(home.path());
    let told = run(
        status.args(["plugin", "status", "--host", &flockerd.host]),
        b"",
    )
    .ok();
    for expected in [
        "hostile (",
        "5 failed",
        "rests ",
        "last failure",
        "wasm backtrace",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let nowhere = run(
        binary(home.path()).args(["plugin", "status", "--host", "tcp://127.0.0.1:1"]),
        b"",
    );
    assert!(
        nowhere
            .fails(2)
            .contains("hint: give the address of a running flockerd")
    );
}
