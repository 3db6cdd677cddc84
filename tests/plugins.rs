//! Plugins in the real binary: each that is shipped, one that tells what it sees, and one that misbehaves.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, Output, Reply, binary, container, flock, plugin, run},
};

/// A plugin as an entry of the configuration file, its own table in TOML's inline form.
fn entry(name: &str, settings: &str, config: &str) -> String {
    format!(
        "[[plugin]]\npath = {:?}\n{settings}\nconfig = {config}\n",
        plugin(name)
    )
}

/// Two scripted hosts that create whatever they are asked for.
fn fakes() -> [FakeDocker; 2] {
    ["a", "b"].map(|id| {
        let fake = FakeDocker::start();
        fake.on(
            "POST /containers/create",
            Answer::Json(201, json!({"Id": id.repeat(64), "Warnings": []})),
        );
        let image = json!({"Id": "sha256:1", "Config": {"Entrypoint": ["/bin/shear", "-v"]}});
        fake.on("GET /images/*", Answer::Json(200, image));
        fake
    })
}

fn over(fakes: &[FakeDocker; 2], plugins: &str) -> Flockerd {
    Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml(plugins)
        .start()
}

fn create(flockerd: &Flockerd, name: &str, body: &Value) -> Reply {
    flockerd
        .api()
        .post(&format!("/containers/create?name={name}"), body)
}

fn body() -> Value {
    json!({"Image": "busybox"})
}

/// The bodies of the creates that reached a host.
fn created(fake: &FakeDocker) -> Vec<Value> {
    let creates = fake.asked("POST /containers/create");
    creates
        .iter()
        .map(|create| serde_json::from_slice(&create.body).unwrap())
        .collect()
}

#[test]
fn spread_places_as_the_built_in_strategy_does() {
    let fakes = fakes();
    fakes[0].add(container('c', &["/c"]));
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&plugin("spread"))
        .start();
    create(&flockerd, "new", &body()).expect(201);
    assert_eq!(fakes.each_ref().map(|fake| created(fake).len()), [0, 1]);
}

#[test]
fn label_placement_finds_the_host_with_the_label() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock()
        .plugin(&plugin("label-placement"))
        .start();
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        let constraint = format!("constraint:zone=={}", node.name);
        flockerd
            .docker(&[
                "run",
                "--name",
                &name,
                "-e",
                &constraint,
                "-e",
                "KEPT=1",
                "busybox",
                "true",
            ])
            .ok();
        let holder = flock().holder(&name);
        assert_eq!(holder.name, node.name);
        let env = holder
            .docker(&["inspect", "--format", "{{.Config.Env}}", &name])
            .ok();
        assert!(
            env.contains("KEPT=1") && !env.contains("constraint"),
            "{env}"
        );
    }
    let errors = flockerd
        .docker(&["run", "-e", "constraint:zone==moon", "busybox", "true"])
        .fails(125);
    assert!(errors.contains("zone==moon"), "{errors}");
}

#[test]
fn fixed_backends_are_the_inventory_and_change_on_sighup() {
    let hosts = ['a', 'b'].map(|id| FakeDocker::with(&[container(id, &[&format!("/{id}")])]));
    let table = format!(
        "{{ backends = [{{ name = \"one\", address = \"tcp://{}\" }}] }}",
        hosts[0].address
    );
    let list = entry("fixed-backends", "", &table);
    let flockerd = Flockerd::builder().toml(&list).start();
    flockerd.api().get("/containers/a@one/json").expect(200);
    flockerd.signal("HUP");
    flockerd.api().get("/containers/a@one/json").expect(200);
    // Those of the plugin join those of the configuration.
    let both = Flockerd::builder()
        .toml(&list)
        .backend(&format!("two=tcp://{}", hosts[1].address))
        .start();
    assert_eq!(
        both.api()
            .get("/containers/json")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn refuse_privileged_refuses_before_any_host_sees_the_call() {
    let fakes = fakes();
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&plugin("refuse-privileged"))
        .start();
    let privileged = json!({"Image": "busybox", "HostConfig": {"Privileged": true}});
    let message = create(&flockerd, "no", &privileged).expect(403).message();
    assert!(message.contains("rivileged"), "{message}");
    assert!(fakes.iter().all(|fake| created(fake).is_empty()));
    create(&flockerd, "yes", &body()).expect(201);
    let errors = flockerd
        .docker(&["run", "--privileged", "busybox", "true"])
        .fails(125);
    assert!(errors.contains(&message), "{errors}");
}

#[test]
fn memory_state_keeps_what_flockerd_remembers() {
    let fakes = fakes();
    fakes.iter().for_each(|fake| {
        fake.on(
            "POST /containers/create",
            Answer::error(404, "No such image: wool:1"),
        )
    });
    fakes.iter().for_each(|fake| {
        fake.on(
            "POST /images/create",
            Answer::Progress(json!({"status": "Pulling"})),
        )
    });
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&plugin("memory-state"))
        .start();
    create(&flockerd, "x", &json!({"Image": "wool:1"})).expect(404);
    let chosen = fakes
        .iter()
        .position(|fake| !created(fake).is_empty())
        .unwrap();
    ('c'..='f').for_each(|id| fakes[chosen].add(container(id, &[&format!("/{id}")])));
    flockerd
        .api()
        .call("POST", "/images/create?fromImage=wool&tag=1", None)
        .expect(200);
    assert_eq!(fakes[chosen].asked("POST /images/create").len(), 1);
    assert!(!flockerd.home().join("state/flockerd/state.redb").exists());
}

#[test]
fn route_answers_in_the_order_of_the_plugin_and_is_not_asked_again_after_a_pull() {
    let fakes = fakes();
    let probe = entry(
        "probe",
        "",
        "{ sequence = [\"node2\", \"node1\", \"node2\"], hooks = [\"route\", \"request\"] }",
    );
    let flockerd = over(&fakes, &probe);
    let calls = || flockerd.api().get("/probe").expect(200).json()["calls"].as_u64();
    for (i, expected) in [[0, 1], [1, 1], [1, 2]].into_iter().enumerate() {
        create(&flockerd, &format!("c{i}"), &body()).expect(201);
        assert_eq!(fakes.each_ref().map(|fake| created(fake).len()), expected);
    }
    assert_eq!(calls(), Some(3));
    assert_eq!(created(&fakes[0])[0]["Labels"]["probe.route"], "container");

    fakes.iter().for_each(|fake| {
        fake.on(
            "POST /containers/create",
            Answer::error(404, "No such image: wool:1"),
        )
    });
    fakes.iter().for_each(|fake| {
        fake.on(
            "POST /images/create",
            Answer::Progress(json!({"status": "Pulling"})),
        )
    });
    let missing = Answer::error(404, "no such image: wool:1");
    fakes
        .iter()
        .for_each(|fake| fake.on("GET /images/wool:1/json", missing.clone()));
    create(&flockerd, "pulled", &json!({"Image": "wool:1"})).expect(404);
    fakes.iter().for_each(|fake| {
        fake.on(
            "GET /images/wool:1/json",
            Answer::Json(200, json!({"Id": "sha256:2"})),
        )
    });
    flockerd
        .api()
        .call("POST", "/images/create?fromImage=wool&tag=1", None)
        .expect(200);
    fakes.iter().for_each(|fake| {
        fake.on(
            "POST /containers/create",
            Answer::Json(201, json!({"Id": "c".repeat(64)})),
        )
    });
    create(&flockerd, "pulled", &json!({"Image": "wool:1"})).expect(201);
    assert_eq!(
        calls(),
        Some(4),
        "neither the pull nor the repeated create asked again"
    );
    // The change that `route` made to the container is not lost in the repeated create.
    let bodies: Vec<_> = fakes
        .iter()
        .flat_map(created)
        .filter(|body| body["Image"] == "wool:1")
        .collect();
    assert!(
        bodies
            .iter()
            .all(|body| body["Labels"]["probe.route"] == "container"),
        "{bodies:?}"
    );
}

#[test]
fn map_sees_image_and_backend_and_its_changes_arrive() {
    let fakes = fakes();
    let flockerd = over(&fakes, &entry("probe", "", "{ backend = \"node2\" }"));
    let body = json!({"Image": "busybox", "Env": ["A=1"], "FutureKey": [1, null]});
    create(&flockerd, "mapped", &body).expect(201);
    let sent = created(&fakes[1]).pop().expect("it reached node2");
    assert_eq!(sent["Env"], json!(["A=1", "PROBE_MAP=node2"]));
    assert_eq!(
        sent["Labels"]["probe.entrypoint"],
        json!(["/bin/shear", "-v"]).to_string()
    );
    assert_eq!(sent["FutureKey"], body["FutureKey"]);
}

#[test]
fn map_and_start_work_on_real_hosts() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock()
        .toml(&entry("probe", "", "{ backend = \"node3\" }"))
        .start();
    let name = scope.name("mapped");
    let output = flockerd.docker(&[
        "run",
        "--name",
        &name,
        "busybox",
        "sh",
        "-c",
        "echo $PROBE_MAP",
    ]);
    assert_eq!(output.ok(), "node3");
    eventually!(flockerd.log().contains(&format!("start {name}")));
    let refused = scope.name("refused");
    let args = [
        "run",
        "--name",
        &refused,
        "--label",
        "probe.refuse-start=1",
        "busybox",
        "true",
    ];
    assert!(
        flockerd
            .docker(&args)
            .fails(125)
            .contains("probe refuses the start")
    );
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", "{{.State.Status}}", &refused])
            .ok(),
        "created"
    );
}

#[test]
fn a_plugin_sees_the_backends_and_answers_calls_itself() {
    let fakes = fakes();
    let flockerd = over(&fakes, &entry("probe", "", "{}"));
    assert_eq!(
        flockerd.api().get("/v1.41/probe").expect(200).json()["backends"],
        json!(["node1", "node2"])
    );
    let other = over(&fakes, &entry("probe", "", "{ hooks = [] }"));
    other.api().get("/probe").expect(404);
}

#[test]
fn a_keyspace_survives_a_crash_of_flockerd() {
    let fakes = fakes();
    let mut flockerd = over(&fakes, &entry("probe", "", "{ backend = \"node1\" }"));
    create(&flockerd, "one", &body()).expect(201);
    flockerd.kill9();
    flockerd.restart();
    assert_eq!(flockerd.api().get("/probe").expect(200).json()["calls"], 1);
}

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
    for _ in 0..5 {
        flockerd.api().get("/containers/web/json").expect(200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_first_opinion_wins_and_later_plugins_see_earlier_changes() {
    let fakes = fakes();
    let first = entry(
        "probe",
        "name = \"first\"",
        "{ backend = \"node2\", hooks = [\"route\"] }",
    );
    let second = entry("probe", "name = \"second\"", "{ backend = \"node1\" }");
    let flockerd = over(&fakes, &(first + &second));
    create(&flockerd, "x", &body()).expect(201);
    let sent = created(&fakes[1]).pop().expect("the first plugin's choice");
    assert_eq!(sent["Labels"]["probe.route"], "container");
    assert_eq!(sent["Env"], json!(["PROBE_MAP=node2"]));
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
