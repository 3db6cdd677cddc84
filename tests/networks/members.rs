//! Containers that join a network and leave it.

use serde_json::json;

use super::holders;
use crate::{
    harness::{Flockerd, Scope, flock, same_as_one_daemon, step},
    same::{labels, prunes},
};

#[test]
fn containers_join_and_leave_as_on_one_daemon() {
    let _turn = prunes();
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    // In a group, so that both networks are where the container is.
    let mut group = labels();
    group["com.docker.compose.project"] = json!("{p}");
    let create = |name: &str| {
        step(201, "POST /networks/create")
            .json(
                &json!({"Name": format!("{{p}}-{name}"), "CheckDuplicate": true, "Labels": group}),
            )
            .keep(name, "/Id")
    };
    let container = json!({
        "Image": "busybox", "Cmd": ["sleep", "600"], "Labels": group, "HostConfig": {"NetworkMode": "{p}-one"}
    });
    let body = json!({"Container": "{p}-c", "EndpointConfig": {"Aliases": ["db"]}});
    let again = json!({"Container": "{c}", "EndpointConfig": {"Aliases": ["web"], "Links": []}});
    let by_id = json!({"Container": "{c}", "Force": true});
    let prune = r#"POST /networks/prune?filters={"label":["same={p}"]}"#;
    let script = [
        create("one"),
        create("two"),
        step(201, "POST /containers/create?name={p}-c")
            .json(&container)
            .keep("c", "/Id"),
        // As compose does it between create and start.
        step(200, "POST /networks/{p}-one/disconnect").json(&json!({"Container": "{c}"})),
        step(200, "POST /networks/{p}-one/connect").json(&again),
        step(204, "POST /containers/{c}/start"),
        step(200, "GET /networks/{p}-one").whole(),
        step(200, "POST /networks/{p}-two/connect").json(&body),
        step(403, "POST /networks/{p}-two/connect").json(&body),
        step(200, "GET /networks/{two}"),
        step(200, "GET /containers/{c}/json"),
        step(403, "DELETE /networks/{p}-one"),
        step(200, "POST /networks/{two}/disconnect").json(&by_id),
        step(500, "POST /networks/{two}/disconnect").json(&by_id),
        step(200, "GET /networks/{p}-two"),
        step(200, "POST /networks/bridge/connect").json(&json!({"Container": "{c}"})),
        step(200, "POST /networks/bridge/disconnect").json(&json!({"Container": "{c}"})),
        step(404, "POST /networks/{p}-two/connect").json(&json!({"Container": "{p}-nobody"})),
        step(404, "POST /networks/{p}-two/disconnect").json(&json!({"Container": "{p}-nobody"})),
        step(404, "POST /networks/{p}-nosuch/connect").json(&body),
        step(404, "POST /networks/{p}-nosuch/disconnect").json(&body),
        step(400, "POST /networks/{p}-two/connect")
            .text("application/json", "{bad")
            .differs(&["message"]),
        step(400, "POST /networks/host/connect").json(&body),
        step(400, "POST /networks/{p}-two/connect").json(&json!({})),
        step(400, r#"POST /networks/prune?filters={"nonsense":["a"]}"#),
        step(200, prune),
        step(204, "DELETE /containers/{c}?force=1"),
        step(200, prune),
        step(200, prune),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// A network with somebody on it cannot be made anew where the container is.
#[test]
fn a_container_cannot_join_a_network_in_use_on_another_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let (network, here) = (scope.name("there"), scope.name("here"));
    let two = flock().node("node2");
    two.docker(&["network", "create", &network]).ok();
    let member = scope.name("member");
    two.docker(&[
        "run",
        "-d",
        "--name",
        &member,
        "--network",
        &network,
        "busybox",
        "sleep",
        "600",
    ])
    .ok();
    flock().node("node1").sleeper(&scope, &here);
    let body = json!({"Container": here});
    let refused = flockerd
        .api()
        .post(&format!("/networks/{network}/connect"), &body)
        .expect(409);
    let message = refused.message();
    assert!(
        message.contains("node1") && message.contains("node2"),
        "{message}"
    );
    let body = json!({"Container": member});
    flockerd
        .api()
        .post(&format!("/networks/{network}/disconnect"), &body)
        .expect(200);
}

#[test]
fn the_bridge_is_one_with_the_containers_of_every_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let ids: Vec<String> = flock()
        .nodes
        .iter()
        .map(|node| node.sleeper(&scope, &scope.name(&node.name)))
        .collect();
    let by_name = flockerd.api().get("/networks/bridge").expect(200).json();
    for id in &ids {
        assert!(
            by_name["Containers"][id]["IPv4Address"].is_string(),
            "{by_name}"
        );
    }
    for node in &flock().nodes {
        let id = node
            .docker(&["network", "inspect", "--format", "{{.Id}}", "bridge"])
            .ok();
        let by_id = flockerd
            .api()
            .get(&format!("/networks/{id}"))
            .expect(200)
            .json();
        assert_eq!(by_id["Name"], "bridge");
        assert!(
            ids.iter().all(|id| by_id["Containers"][id].is_object()),
            "{by_id}"
        );
    }
}

/// A network on one host and a volume on another, whose name comes last.
fn apart(scope: &Scope) -> (Flockerd, String, String, String) {
    let flockerd = Flockerd::over_flock().start();
    let (network, volume) = (scope.name("n"), scope.name("v"));
    flockerd.docker(&["network", "create", &network]).ok();
    let on = holders(&format!("/networks/{network}"));
    let mut others = flock().nodes.iter().filter(|node| !on.contains(&node.name));
    let other = others.next().unwrap();
    other.docker(&["volume", "create", &volume]).ok();
    (flockerd, network, volume, other.name.clone())
}

#[test]
fn a_network_that_nobody_uses_moves_to_the_volume_once_however_many_ask() {
    let scope = flock().exclusive();
    let (flockerd, network, volume, other) = apart(&scope);
    let id = flockerd
        .docker(&["network", "inspect", "--format", "{{.Id}}", &network])
        .ok();
    let mount = format!("{volume}:/data");
    std::thread::scope(|threads| {
        for number in 0..4 {
            let (flockerd, network, mount) = (&flockerd, &network, &mount);
            let name = scope.name(&format!("c{number}"));
            threads.spawn(move || {
                let run = [
                    "run",
                    "--name",
                    &name,
                    "--network",
                    network,
                    "--volume",
                    mount,
                ];
                flockerd
                    .docker(&[&run[..], &["busybox", "true"]].concat())
                    .ok();
            });
        }
    });
    assert_eq!(holders(&format!("/networks/{network}")), [other]);
    let by_old_id = ["run", "--rm", "--network", &id, "busybox", "true"];
    flockerd.docker(&by_old_id).ok();
}

#[test]
fn a_network_with_a_container_that_was_never_started_stays() {
    let scope = flock().exclusive();
    let (flockerd, network, volume, _) = apart(&scope);
    let name = scope.name("waits");
    flockerd
        .docker(&[
            "create",
            "--name",
            &name,
            "--network",
            &network,
            "busybox",
            "true",
        ])
        .ok();
    let mount = format!("{volume}:/data");
    let run = [
        "run",
        "--network",
        &network,
        "--volume",
        &mount,
        "busybox",
        "true",
    ];
    let said = flockerd.docker(&run).fails(125);
    assert!(said.contains("no backend has both"), "{said}");
    flockerd.docker(&["start", "--attach", &name]).ok();
}

#[test]
fn networks_of_an_idle_flock_lie_on_different_hosts() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let mut used = Vec::new();
    for number in 0..flock().nodes.len() {
        let network = scope.name(&format!("a/b{number}"));
        flockerd.docker(&["network", "create", &network]).ok();
        let inspect = ["network", "inspect", "--format", "{{.Name}}", &network];
        assert_eq!(flockerd.docker(&inspect).ok(), network);
        let filter = format!("name={network}");
        let on = |node: &crate::harness::Node| {
            let list = ["network", "ls", "--quiet", "--filter", &filter];
            !node.docker(&list).ok().is_empty()
        };
        used.extend(
            flock()
                .nodes
                .iter()
                .filter(|node| on(node))
                .map(|node| &node.name),
        );
        flockerd
            .docker(&["volume", "create", &scope.name(&format!("v{number}"))])
            .ok();
    }
    used.sort();
    used.dedup();
    assert_eq!(used.len(), flock().nodes.len());
}

#[test]
fn a_disconnect_moves_nothing() {
    let scope = flock().shared();
    let (flockerd, network, _, other) = apart(&scope);
    let before = holders(&format!("/networks/{network}"));
    let name = scope.name("c");
    flock().node(&other).sleeper(&scope, &name);
    flockerd
        .docker(&["network", "disconnect", &network, &name])
        .fails(1);
    assert_eq!(holders(&format!("/networks/{network}")), before);
}
