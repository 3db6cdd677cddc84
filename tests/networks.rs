//! Networks of every host as the networks of one daemon.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, Scope, Target, flock, same_as_one_daemon, step},
    same::{labels, prunes},
};

/// Networks, volumes and containers that belong together live on one host.
mod groups;
/// The containers of a network.
mod members;

/// The hosts that answer this path with 200.
pub(crate) fn holders(path: &str) -> Vec<String> {
    let has = |api: Target| api.get(path).status == 200;
    let nodes = flock().nodes.iter().filter(|node| has(node.api()));
    nodes.map(|node| node.name.clone()).collect()
}

/// `{"test": ...}`, what the scope removes by.
pub(crate) fn test_label(scope: &Scope) -> Value {
    json!({"test": scope.label().split_once('=').unwrap().1})
}

#[test]
fn networks_as_one_daemon_has_them() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let create = json!({"Name": "{p}-net", "CheckDuplicate": true, "Driver": "bridge", "Labels": labels(), "Options": {"a": "b"}});
    let list = |filters: &str| step(200, &format!("GET /networks?filters={filters}")).whole();
    let path = "POST /networks/create";
    let script = [
        step(201, path).json(&create).keep("net", "/Id"),
        step(409, path).json(&create),
        step(200, "GET /networks/{p}-net"),
        step(200, "GET /networks/{net}"),
        step(200, "GET /networks/{net}?verbose=1&scope=local"),
        step(404, "GET /networks/{net}?scope=swarm"),
        step(400, "GET /networks/{net}?verbose=nonsense"),
        step(200, "GET /networks").differs(&["0/*"]),
        step(200, "GET /networks/").differs(&["0/*"]),
        list(r#"{"name":["{p}-ne"]}"#),
        list(r#"{"label":{"same={p}":true}}"#),
        list(r#"{"id":["{net}"]}"#),
        list(r#"{"driver":["bridge"],"label":["same={p}"]}"#),
        list(r#"{"driver":["host"]}"#),
        list(r#"{"name":["none"],"type":["builtin"]}"#),
        list(r#"{"type":["custom"],"label":["same={p}"]}"#),
        list(r#"{"dangling":["true"],"label":["same={p}"]}"#),
        list(r#"{"scope":["local"],"label":["same={p}"]}"#),
        list(r#"{"label":["same=nobody"]}"#),
        step(400, r#"GET /networks?filters={"nonsense":["a"]}"#),
        step(500, "GET /networks?filters=nonsense"),
        step(500, r#"GET /networks?filters={"type":["nonsense"]}"#),
        step(404, "GET /networks/{p}-nosuch"),
        step(404, "DELETE /networks/{p}-nosuch"),
        step(200, "GET /networks/host").differs(&["Containers"]),
        step(200, "GET /networks/none").differs(&["Containers"]),
        step(200, "GET /networks/bridge").differs(&["Containers"]),
        step(403, "DELETE /networks/bridge"),
        step(403, "DELETE /networks/host"),
        step(403, "DELETE /networks/none"),
        step(500, path).json(&json!({"Name": "{p}-over", "Driver": "overlay"})),
        step(403, path).json(&json!({"Name": "host"})),
        step(403, path).json(&json!({"Name": "bridge", "CheckDuplicate": true})),
        step(403, path).json(&json!({"Name": "{p}-host", "Driver": "host"})),
        step(500, path).json(&json!({"Name": ""})),
        step(400, path)
            .text("application/json", "{bad")
            .differs(&["message"]),
        step(400, path).text("text/plain", r#"{"Name":"{p}-plain"}"#),
        step(500, path)
            .json(&json!({"Name": "{p}-bad", "IPAM": {"Config": [{"Subnet": "nonsense"}]}})),
        step(204, "DELETE /networks/{net}"),
        step(404, "GET /networks/{net}"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn a_network_is_found_wherever_it_is() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        let id = node.docker(&["network", "create", &name]).ok();
        for reference in [&name, &id, &id[..16]] {
            let found = flockerd.docker(&["network", "inspect", "--format", "{{.Id}}", reference]);
            assert_eq!(found.ok(), id, "{reference}");
        }
        let container = scope.name(&format!("in-{}", node.name));
        let args = [
            "run",
            "-d",
            "--name",
            &container,
            "--network",
            &id[..12],
            "busybox",
            "sleep",
            "600",
        ];
        flockerd.docker(&args).ok();
        assert_eq!(flock().holder(&container).name, node.name);
        flockerd.docker(&["rm", "--force", &container]).ok();
        flockerd.docker(&["network", "rm", &id[..12]]).ok();
        node.docker(&["network", "inspect", &name]).fails(1);
    }
    let listed = flockerd
        .docker(&["network", "ls", "--format", "{{.Name}}"])
        .lines();
    for name in ["bridge", "host", "none"] {
        assert_eq!(
            listed.iter().filter(|listed| *listed == name).count(),
            1,
            "{listed:?}"
        );
    }
}

#[test]
fn a_name_on_two_hosts_is_ambiguous_and_each_is_found_by_its_id() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("twin");
    let ids = ["node1", "node3"].map(|node| {
        flock()
            .node(node)
            .docker(&["network", "create", &name])
            .ok()
    });
    // It may take a moment until their events tell of both.
    let inspect = || flockerd.api().get(&format!("/networks/{name}"));
    crate::eventually!(inspect().status != 200);
    let reply = inspect();
    assert!(
        matches!(reply.status, 400 | 409),
        "{} {}",
        reply.status,
        reply.text()
    );
    let message = reply.message();
    assert!(message.contains("ambiguous"), "{message}");
    let filter = format!("name={name}");
    let args = [
        "network",
        "ls",
        "--quiet",
        "--no-trunc",
        "--filter",
        &filter,
    ];
    let listed: BTreeSet<String> = flockerd.docker(&args).lines().into_iter().collect();
    assert_eq!(listed, ids.iter().cloned().collect());
    let body = json!({"Name": name, "CheckDuplicate": true});
    let taken = flockerd.api().post("/networks/create", &body).expect(409);
    assert_eq!(
        taken.message(),
        format!("network with name {name} already exists")
    );
    for (id, node) in ids.iter().zip(["node1", "node3"]) {
        let container = scope.name(node);
        flockerd
            .docker(&["create", "--name", &container, "--network", id, "busybox"])
            .ok();
        assert_eq!(flock().holder(&container).name, node);
        flockerd.docker(&["rm", &container]).ok();
        flockerd
            .api()
            .delete(&format!("/networks/{id}"))
            .expect(204);
    }
    assert_eq!(holders(&format!("/networks/{name}")), Vec::<String>::new());
}

#[test]
fn a_network_name_is_taken_for_the_whole_flock() {
    let scope = flock().shared();
    let name = scope.name("once");
    flock()
        .node("node3")
        .docker(&["network", "create", &name])
        .ok();
    let flockerd = Flockerd::over_flock().start();
    // A daemon of this age would make a second one when it is not asked to check.
    for check in [true, false] {
        let body = json!({"Name": name, "CheckDuplicate": check});
        let reply = flockerd.api().post("/networks/create", &body).expect(409);
        assert_eq!(
            reply.message(),
            format!("network with name {name} already exists")
        );
    }
    assert_eq!(holders(&format!("/networks/{name}")), ["node3"]);
}

#[test]
fn prune_removes_the_unused_networks_of_every_host() {
    let _turn = prunes();
    let scope = flock().shared();
    let label = scope.label();
    let create = |node: &str| {
        let name = scope.name(node);
        flock()
            .node(node)
            .docker(&["network", "create", "--label", &label, &name])
            .ok();
        name
    };
    let mut names = ["node1", "node2"].map(create);
    let used = create("node3");
    let flockerd = Flockerd::over_flock().start();
    let container = scope.name("user");
    flockerd
        .docker(&[
            "run",
            "-d",
            "--name",
            &container,
            "--network",
            &used,
            "busybox",
            "sleep",
            "600",
        ])
        .ok();
    let filters = format!("/networks/prune?filters=%7B%22label%22%3A%5B%22{label}%22%5D%7D");
    let pruned = flockerd
        .api()
        .post(&filters, &Value::Null)
        .expect(200)
        .json();
    let mut deleted: Vec<&str> = pruned["NetworksDeleted"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    deleted.sort_unstable();
    names.sort();
    assert_eq!(deleted, names);
    assert_eq!(holders(&format!("/networks/{used}")), ["node3"]);
}
