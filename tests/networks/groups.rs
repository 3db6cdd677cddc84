//! Networks, volumes and containers that bear the label of one group live on one host.

use std::collections::BTreeSet;

use serde_json::json;

use super::{holders, test_label};
use crate::{
    harness::{Answer, FakeDocker, Flockerd, NODES, Node, Scope, flock},
    images::places::route_to,
};

/// The labels that make a group, the first goes before the others.
const KEYS: [&str; 3] = [
    "com.docker.compose.project",
    "com.docker.stack.namespace",
    "org.testcontainers.session-id",
];

/// Makes a network, then a volume, then a running container with both, by the raw API; returns the only host of all three.
#[track_caller]
fn group(flockerd: &mut Flockerd, scope: &Scope, key: &str, value: &str, restart: bool) -> String {
    let name = scope.name(&format!("{value}-{}", key.replace('.', "-")));
    let mut labels = test_label(scope);
    labels[key] = json!(name);
    let network = json!({"Name": name, "CheckDuplicate": true, "Labels": labels});
    flockerd
        .api()
        .post("/networks/create", &network)
        .expect(201);
    if restart {
        flockerd.terminate();
        flockerd.restart();
    }
    let volume = json!({"Name": name, "Labels": labels});
    flockerd.api().post("/volumes/create", &volume).expect(201);
    if restart {
        flockerd.kill9();
        flockerd.restart();
    }
    let container = json!({
        "Image": "busybox", "Cmd": ["sleep", "600"], "Labels": labels,
        "HostConfig": {"NetworkMode": name, "Binds": [format!("{name}:/data")]}
    });
    let path = format!("/containers/create?name={name}");
    flockerd.api().post(&path, &container).expect(201);
    flockerd
        .api()
        .post(&format!("/containers/{name}/start"), &json!(null))
        .expect(204);
    // One that names neither network nor volume.
    let alone = format!("{name}-alone");
    let body = json!({"Image": "busybox", "Labels": labels});
    flockerd
        .api()
        .post(&format!("/containers/create?name={alone}"), &body)
        .expect(201);
    let network = holders(&format!("/networks/{name}"));
    assert_eq!(network.len(), 1, "the network is on {network:?}");
    assert_eq!(holders(&format!("/volumes/{name}")), network, "the volume");
    assert_eq!(
        holders(&format!("/containers/{name}/json")),
        network,
        "the container"
    );
    assert_eq!(
        holders(&format!("/containers/{alone}/json")),
        network,
        "the one alone"
    );
    network[0].clone()
}

#[test]
fn a_group_lives_on_one_host_and_groups_spread() {
    let scope = flock().exclusive();
    for key in KEYS {
        let mut flockerd = Flockerd::over_flock().start();
        let hosts: BTreeSet<String> = (0..NODES)
            .map(|number| group(&mut flockerd, &scope, key, &format!("p{number}"), false))
            .collect();
        assert_eq!(hosts.len(), NODES, "{key}: {hosts:?}");
        for node in &flock().nodes {
            node.docker(&["container", "prune", "--force"]).ok();
            for id in node.docker(&["ps", "--quiet"]).lines() {
                node.docker(&["rm", "--force", &id]).ok();
            }
        }
    }
}

#[test]
fn a_group_is_found_again_after_a_restart() {
    let scope = flock().shared();
    let mut flockerd = Flockerd::over_flock().start();
    group(&mut flockerd, &scope, KEYS[0], "again", true);
}

#[test]
fn objects_made_past_flockerd_begin_a_group_too() {
    let scope = flock().shared();
    let label = |node: &Node| format!("{}={}", KEYS[0], scope.name(&format!("of-{}", node.name)));
    for node in &flock().nodes {
        let volume = scope.name(&format!("vol-{}", node.name));
        node.docker(&["volume", "create", "--label", &label(node), &volume])
            .ok();
    }
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let (name, label) = (scope.name(&node.name), label(node));
        flockerd
            .docker(&["network", "create", "--label", &label, &name])
            .ok();
        assert_eq!(holders(&format!("/networks/{name}")), [node.name.as_str()]);
        flockerd
            .docker(&["create", "--name", &name, "--label", &label, "busybox"])
            .ok();
        assert_eq!(flock().holder(&name).name, node.name);
    }
}

#[test]
fn the_docker_cli_makes_a_group_too() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let hosts: Vec<Vec<String>> = (0..2)
        .map(|number| {
            let name = scope.name(&format!("cli{number}"));
            let label = format!("{}={name}", KEYS[0]);
            flockerd
                .docker(&["network", "create", "--label", &label, &name])
                .ok();
            flockerd
                .docker(&["volume", "create", "--label", &label, &name])
                .ok();
            let data = format!("{name}:/data");
            let web = scope.name(&format!("web{number}"));
            let start = |container: &str, command: &[&str]| {
                let args = [
                    "run",
                    "-d",
                    "--name",
                    container,
                    "--label",
                    &label,
                    "--network",
                    &name,
                    "--network-alias",
                    "db",
                    "-v",
                    &data,
                    "busybox",
                ];
                flockerd.docker(&[&args[..], command].concat()).ok()
            };
            start(&web, &["sleep", "600"]);
            let near = [
                "run",
                "--rm",
                "--label",
                &label,
                "--network",
                &name,
                "busybox",
                "ping",
                "-c",
                "1",
                &web,
            ];
            assert!(flockerd.docker(&near).ok().contains("1 packets received"));
            let found = holders(&format!("/networks/{name}"));
            assert_eq!(found, holders(&format!("/volumes/{name}")));
            assert_eq!(found, [flock().holder(&web).name.as_str()]);
            found
        })
        .collect();
    assert!(hosts.iter().all(|host| host.len() == 1), "{hosts:?}");
}

/// Two calls of one client at once, as compose v2 makes them.
#[test]
fn the_first_objects_of_a_group_may_come_at_once() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for round in 0..4 {
        let project = scope.name(&format!("at-once{round}"));
        let mut labels = test_label(&scope);
        labels[KEYS[0]] = json!(project);
        let names: Vec<String> = (0..4).map(|number| format!("{project}-{number}")).collect();
        std::thread::scope(|threads| {
            for name in &names {
                let (api, body) = (flockerd.api(), json!({"Name": name, "Labels": labels}));
                threads.spawn(move || api.post("/volumes/create", &body).expect(201));
            }
        });
        let hosts: BTreeSet<String> = names
            .iter()
            .flat_map(|name| holders(&format!("/volumes/{name}")))
            .collect();
        assert_eq!(hosts.len(), 1, "{hosts:?}");
    }
}

/// Where no group is, the plugins decide; where one is, it goes before them.
#[test]
fn networks_and_volumes_go_where_a_plugin_says_unless_their_group_is_elsewhere() {
    let scope = flock().shared();
    let (alone, home) = (scope.name("alone"), scope.name("home"));
    let group = format!("{}={home}", KEYS[0]);
    flock()
        .node("node3")
        .docker(&["volume", "create", "--label", &group, &home])
        .ok();
    let flockerd = Flockerd::over_flock().toml(&route_to("node2")).start();
    for kind in ["network", "volume"] {
        flockerd.docker(&[kind, "create", &alone]).ok();
        assert_eq!(holders(&format!("/{kind}s/{alone}")), ["node2"], "{kind}");
    }
    flockerd
        .docker(&["network", "create", "--label", &group, &home])
        .ok();
    assert_eq!(holders(&format!("/networks/{home}")), ["node3"]);
}

/// A refusal leaves nothing behind that would tie the group down.
#[test]
fn a_group_does_not_go_to_a_host_that_is_down() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    for fake in &fakes {
        fake.on(
            "POST /networks/create",
            Answer::Json(201, json!({"Id": "e".repeat(64), "Warning": ""})),
        );
    }
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let create = |name: &str| {
        let body = json!({"Name": name, "Labels": {KEYS[0]: name}});
        flockerd.api().post("/networks/create", &body).expect(201);
    };
    create("first");
    let asked = |fake: &FakeDocker| fake.asked("POST /networks/create").len();
    assert_eq!(fakes.iter().map(asked).sum::<usize>(), 1);
    let [gone, stays]: [FakeDocker; 2] = fakes;
    let before = asked(&stays);
    drop(gone);
    crate::eventually!({
        let listed = flockerd.api().get("/containers/json").expect(200);
        listed.header("flockerd-missing").is_some()
    });
    for number in 0..3 {
        let body = json!({"Name": format!("later{number}"), "Labels": {KEYS[0]: format!("later{number}")}});
        crate::eventually!(flockerd.api().post("/networks/create", &body).status != 503);
    }
    assert!(asked(&stays) >= before + 3);
}
