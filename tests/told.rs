//! Plugins that are told what happens: in order, after the fact, and never in the way of a call.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, binary, flock, plugin, run},
    plugins::{body, create, entry, fakes, over},
};

/// What the plugin `event-log` wrote that contains `text`, in order.
fn written(flockerd: &Flockerd, text: &str) -> Vec<String> {
    let log = flockerd.log();
    let lines = log.lines().filter(|line| line.contains("event_log"));
    let from = |line: &str| line.find(text).map(|at| line[at..].to_owned());
    lines.filter_map(from).collect()
}

/// A container's event, as a daemon tells it.
fn event(action: &str, name: &str) -> Value {
    json!({
        "Type": "container", "Action": action, "status": action, "id": "c0ffee", "from": "busybox", "scope": "local",
        "Actor": {"ID": "c0ffee", "Attributes": {"image": "busybox", "name": name}},
        "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_000_u64
    })
}

/// What flockerd tells of its plugins.
fn status(flockerd: &Flockerd) -> Value {
    flockerd.api().get("/flockerd/plugins").expect(200).json()
}

/// Waits until flockerd itself listens to the daemons.
fn listened(fakes: &[FakeDocker]) {
    eventually!(fakes.iter().all(|fake| fake.listeners() == 1));
}

#[test]
fn what_happens_on_a_host_is_told_in_its_order_with_the_backends_name() {
    let scope = flock().shared();
    let actions = r#"["create", "start", "die", "destroy"]"#;
    let log = entry(
        "event-log",
        "",
        &format!("{{ kinds = [\"container\"], actions = {actions} }}"),
    );
    let flockerd = Flockerd::over_flock().toml(&log).start();
    for node in &flock().nodes {
        eventually!(!written(&flockerd, &format!("{} up", node.name)).is_empty());
    }
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        let label = scope.label();
        let run = [
            "run", "--name", &name, "--label", &label, "busybox", "sh", "-c", "exit 3",
        ];
        node.docker(&run).fails(3);
        node.docker(&["rm", &name]).ok();
        let expected = ["create", "start", "die", "destroy"].map(|action| {
            let exit = if action == "die" { " exit 3" } else { "" };
            format!("{} container {action} {name}{exit}", node.name)
        });
        let told = || {
            let lines = written(&flockerd, &format!("{} container", node.name));
            let mine = lines.into_iter().filter(|line| line.contains(&name));
            mine.collect::<Vec<_>>()
        };
        eventually!(told().len() == 4);
        let told = told();
        for (line, expected) in told.iter().zip(&expected) {
            assert!(line.starts_with(expected), "{told:?}");
        }
    }
}

#[test]
fn a_host_that_goes_down_and_comes_back_is_told() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake])
        .toml("probe_interval = \"100ms\"\nbackend_timeout = \"300ms\"")
        .toml(&entry("event-log", "", "{}"))
        .start();
    eventually!(written(&flockerd, "node1").len() == 2);
    fake.on(
        "GET /_ping",
        Answer::Gated(Box::new(Answer::Json(200, json!("OK")))),
    );
    eventually!(written(&flockerd, "node1").len() == 3);
    fake.open();
    eventually!(written(&flockerd, "node1").len() == 4);
    listened(std::slice::from_ref(&fake));
    fake.emit(&event("start", "web"));
    eventually!(written(&flockerd, "node1").len() == 5);
    // Broken off and made anew at once is not down.
    fake.hang_up();
    eventually!(written(&flockerd, "node1").len() == 6);
    let told = written(&flockerd, "node1");
    let expected = [
        "node1 joined",
        "node1 up (1 of 1 up)",
        "node1 down: no answer within 300ms (0 of 1 up)",
        "node1 up (1 of 1 up)",
        "node1 container start web",
        "node1 up (1 of 1 up)",
    ];
    for (line, expected) in told.iter().zip(expected) {
        assert!(line.starts_with(expected), "{told:?}");
    }
}

#[test]
fn a_plugin_that_hangs_in_its_event_hook_delays_no_call() {
    // One instance is all that its `route` hook has, and the `event` hook takes none of it.
    for settings in ["instances = 1", "instance = \"warm\""] {
        let fakes = fakes();
        let settings = format!("timeout = \"60s\"\n{settings}");
        let table = "{ behaviour = \"loop\", hook = \"event\" }";
        let flockerd = over(&fakes, &entry("hostile", &settings, table));
        listened(&fakes);
        for number in 0..1200 {
            fakes[number % 2].emit(&event("start", &format!("sheep{number}")));
        }
        eventually!(status(&flockerd)[0]["events_dropped"].as_u64() > Some(100));
        for number in 0..10 {
            create(&flockerd, &format!("new{number}"), &body()).expect(201);
        }
        // It was told nothing to its end, so it still hangs.
        let told = &status(&flockerd)[0];
        assert_eq!((&told["events"], &told["failures"]), (&json!(0), &json!(0)));
        eventually!(flockerd.log().contains("events dropped"));
        let output = run(
            binary(flockerd.home()).args(["plugin", "status", "--host", &flockerd.host]),
            b"",
        );
        let text = output.ok();
        assert!(
            text.contains("  events   0, ") && text.contains(" dropped"),
            "{text}"
        );
    }
}

#[test]
fn a_plugin_that_traps_in_its_event_hook_rests_and_the_others_are_told() {
    let fakes = fakes();
    let hostile = entry("hostile", "", "{ behaviour = \"trap\", hook = \"event\" }");
    let flockerd = over(
        &fakes,
        &format!("{hostile}{}", entry("event-log", "", "{}")),
    );
    listened(&fakes);
    // One by one: five failures in a row are five calls.
    let mut number = 0;
    eventually!({
        let name = format!("sheep{number}.");
        fakes[0].emit(&event("start", &name));
        eventually!(!written(&flockerd, &name).is_empty());
        number += 1;
        status(&flockerd)[0]["rests_seconds"].as_f64() > Some(0.0)
    });
    let told = status(&flockerd);
    assert_eq!(told[0]["events"], json!(0));
    assert!(told[0]["events_dropped"].as_u64() >= Some(5), "{told}");
    assert_eq!(told[1]["events_dropped"], json!(0));
    create(&flockerd, "new", &body()).expect(201);
}

#[test]
fn after_a_hot_reload_the_new_component_is_told() {
    let put = |name: &str, file: &Path| {
        let aside = file.with_extension("new");
        fs::copy(plugin(name), &aside).unwrap();
        fs::rename(&aside, file).unwrap();
    };
    let fakes = fakes();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("event_log.wasm");
    put("spread", &file);
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&file)
        .start();
    listened(&fakes);
    for name in ["event-log", "spread", "event-log"] {
        let before = flockerd.log().matches("plugin reloaded").count();
        put(name, &file);
        eventually!(flockerd.log().matches("plugin reloaded").count() == before + 1);
        let sheep = format!("sheep{before}.");
        fakes[1].emit(&event("start", &sheep));
        match name {
            "event-log" => eventually!(!written(&flockerd, &sheep).is_empty()),
            _ => assert_eq!(status(&flockerd)[0]["hooks"], json!(["route"])),
        }
    }
    assert!(written(&flockerd, "sheep1.").is_empty());
}
