//! Plugins in the real binary: each that is shipped, and one that tells what it sees.

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, Reply, container, flock, plugin},
};

/// A plugin as an entry of the configuration file, its own table in TOML's inline form.
pub(crate) fn entry(name: &str, settings: &str, config: &str) -> String {
    format!(
        "[[plugin]]\npath = {:?}\n{settings}\nconfig = {config}\n",
        plugin(name)
    )
}

/// Two scripted hosts that create whatever they are asked for.
pub(crate) fn fakes() -> [FakeDocker; 2] {
    ["a", "b"].map(|id| {
        let fake = FakeDocker::start();
        fake.on(
            "POST /containers/create",
            Answer::Json(201, json!({"Id": id.repeat(64), "Warnings": []})),
        );
        let image = json!({"Id": "sha256:1", "Config": {"Entrypoint": ["/bin/shear", "-v"]}});
        fake.on("GET /images/*", Answer::Json(200, image));
        fake.on("GET /images/json", Answer::Json(200, json!([])));
        fake
    })
}

pub(crate) fn over(fakes: &[FakeDocker; 2], plugins: &str) -> Flockerd {
    Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml(plugins)
        .start()
}

pub(crate) fn create(flockerd: &Flockerd, name: &str, body: &Value) -> Reply {
    flockerd
        .api()
        .post(&format!("/containers/create?name={name}"), body)
}

pub(crate) fn body() -> Value {
    json!({"Image": "busybox"})
}

/// The bodies of the creates that reached a host.
pub(crate) fn created(fake: &FakeDocker) -> Vec<Value> {
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
    // Its client waits for the end of what is to be removed at its end.
    let fleeting = scope.name("fleeting");
    let refuse = ["--rm", "--label", "probe.refuse-start=1", "busybox", "true"];
    let run = [&["run", "--name", &fleeting], &refuse[..]].concat();
    flockerd.docker(&run).fails(125);
    flockerd.docker(&["inspect", &fleeting]).fails(1);
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
fn a_shadow_decides_nothing_and_its_disagreements_are_counted() {
    let fakes = fakes();
    let live = entry(
        "probe",
        "name = \"live\"",
        "{ hooks = [\"route\"], backend = \"node1\" }",
    );
    let shadow = entry(
        "probe",
        "name = \"tried\"\nshadow = true",
        "{ hooks = [\"route\"], backend = \"node2\" }",
    );
    let flockerd = over(&fakes, &format!("{shadow}\n{live}"));
    for _ in 0..3 {
        let created = flockerd
            .api()
            .post("/containers/create", &json!({"Image": "wool"}));
        created.expect(201);
    }
    assert_eq!(fakes[0].asked("POST /containers/create").len(), 3);
    eventually!(flockerd.log().contains("disagreements=3 "));
    let log = flockerd.log();
    assert!(log.contains("hook=\"route\""), "{log}");
    assert!(log.contains("chain=\"node1\" shadow=\"node2\""), "{log}");
}

#[test]
fn a_shadow_sees_bodies_and_refuses_nobody() {
    let fakes = fakes();
    let shadow = entry("refuse-privileged", "name = \"tried\"\nshadow = true", "{}");
    let flockerd = over(&fakes, &shadow);
    for privileged in [true, false] {
        let body = json!({"Image": "wool", "HostConfig": {"Privileged": privileged}});
        flockerd.api().post("/containers/create", &body).expect(201);
    }
    eventually!(flockerd.log().contains("shadow=\"refuse with 403\""));
    let bodies = fakes.iter().flat_map(created).collect::<Vec<_>>();
    assert_eq!(bodies.len(), 2);
    let log = flockerd.log();
    assert_eq!(log.matches("shadow disagrees").count(), 1, "{log}");
    assert!(log.contains("chain=\"nothing\""), "{log}");
}

#[test]
fn a_body_too_long_for_a_shadow_goes_on() {
    let fakes = fakes();
    let shadow = entry("refuse-privileged", "name = \"tried\"\nshadow = true", "{}");
    let flockerd = over(&fakes, &format!("body_limit = 1024\n{shadow}"));
    let body = json!({"Cmd": ["x".repeat(2000)]});
    let id = "c".repeat(64);
    let (exec, inspect) = (
        format!("/containers/{id}/exec"),
        format!("GET /containers/{id}/json"),
    );
    fakes[0].on(
        &format!("POST {exec}"),
        Answer::Json(201, json!({"Id": "e"})),
    );
    fakes[0].on(&inspect, Answer::Json(200, json!({"Id": id, "Name": "/c"})));
    fakes[1].on(&inspect, Answer::Json(404, json!({"message": "no"})));
    flockerd.api().post(&exec, &body).expect(201);
}
