//! Volumes of every host as the volumes of one daemon, and the containers that follow them.

use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, flock, same_as_one_daemon, step},
    images::places::route_to,
    networks::holders,
    same::{labels, prunes},
};

#[test]
fn volumes_as_one_daemon_has_them() {
    let _turn = prunes();
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let path = "POST /volumes/create";
    let create = json!({"Name": "{p}-vol", "Labels": labels()});
    let list = |filters: &str| step(200, &format!("GET /volumes?filters={filters}")).whole();
    let container =
        json!({"Image": "busybox", "Labels": labels(), "HostConfig": {"Binds": ["{p}-vol:/data"]}});
    let prune = r#"POST /v1.41/volumes/prune?filters={"label":["same={p}"]}"#;
    let script = [
        step(201, path).json(&create),
        step(201, path).json(&create),
        step(201, path)
            .json(&json!({"Name": "{p}-vol", "Driver": "local", "Labels": {"other": "1"}})),
        step(201, path)
            .json(&json!({"Labels": labels()}))
            .keep("nameless", "/Name"),
        step(200, "GET /volumes/{nameless}"),
        step(204, "DELETE /volumes/{nameless}"),
        step(201, path).json(&json!({})).keep("nameless", "/Name"),
        step(204, "DELETE /volumes/{nameless}"),
        step(400, path),
        step(400, path).json(&json!({"Name": "{p}/vol"})),
        step(400, path).json(&json!({"Name": "{p}-bad", "DriverOpts": {"nonsense": "x"}})),
        step(400, path)
            .text("application/json", "{bad")
            .differs(&["message"]),
        step(400, path).text("text/plain", r#"{"Name":"{p}-plain"}"#),
        step(404, "GET /volumes/{p}-bad"),
        // Other tests' volumes are there too, with labels or with none.
        step(200, "GET /volumes").differs(&["Volumes"]),
        list(r#"{"name":["{p}-v"]}"#),
        list(r#"{"label":["same={p}"]}"#),
        list(r#"{"label":{"same={p}":true},"driver":{"local":true}}"#),
        list(r#"{"dangling":["true"],"label":["same={p}"]}"#),
        list(r#"{"label":["same=nobody"]}"#),
        step(400, r#"GET /volumes?filters={"nonsense":["a"]}"#),
        step(400, "GET /volumes?filters=nonsense"),
        step(200, "GET /volumes/{p}-vol"),
        step(404, "GET /volumes/{p}-nosuch"),
        step(404, "DELETE /volumes/{p}-nosuch"),
        step(204, "DELETE /volumes/{p}-nosuch?force=1"),
        step(201, "POST /containers/create?name={p}-user")
            .json(&container)
            .keep("user", "/Id"),
        step(409, "DELETE /volumes/{p}-vol"),
        step(409, "DELETE /volumes/{p}-vol?force=1"),
        list(r#"{"dangling":["false"],"label":["same={p}"]}"#),
        step(200, prune),
        step(204, "DELETE /containers/{user}"),
        step(400, r#"POST /volumes/prune?filters={"nonsense":["a"]}"#),
        step(200, prune),
        step(200, prune),
        step(404, "GET /volumes/{p}-vol"),
        step(201, path).json(&create),
        step(204, "DELETE /volumes/{p}-vol?force=true"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn a_volume_is_found_wherever_it_is_and_its_container_follows() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        node.docker(&["volume", "create", &name]).ok();
        let found = ["volume", "inspect", "--format", "{{.Name}}", &name];
        assert_eq!(flockerd.docker(&found).ok(), name);
        // Made again it stays the one there is.
        flockerd.docker(&["volume", "create", &name]).ok();
        assert_eq!(holders(&format!("/volumes/{name}")), [node.name.as_str()]);
        let data = format!("{name}:/data");
        let label = scope.label();
        let run = |container: &str, command: &str| {
            let args = [
                "run", "--name", container, "--label", &label, "-v", &data, "busybox", "sh", "-c",
                command,
            ];
            flockerd.docker(&args).ok()
        };
        let (writer, reader) = (
            scope.name(&format!("w-{}", node.name)),
            scope.name(&format!("r-{}", node.name)),
        );
        run(&writer, "echo kept > /data/file");
        assert_eq!(run(&reader, "cat /data/file"), "kept");
        assert_eq!(flock().holder(&writer).name, node.name);
        assert_eq!(flock().holder(&reader).name, node.name);
        flockerd.docker(&["rm", &writer, &reader]).ok();
        flockerd.docker(&["volume", "rm", &name]).ok();
        assert_eq!(holders(&format!("/volumes/{name}")), Vec::<String>::new());
    }
}

#[test]
fn a_volume_that_a_run_made_keeps_its_containers() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let data = format!("{}:/data", scope.name("made"));
    let container = |number: usize| scope.name(&format!("user{number}"));
    for number in 0..4 {
        let command = format!("echo {number} >> /data/file; cat /data/file");
        let args = [
            "run",
            "--name",
            &container(number),
            "-v",
            &data,
            "busybox",
            "sh",
            "-c",
            &command,
        ];
        let lines = flockerd.docker(&args).lines();
        assert_eq!(lines.len(), number + 1, "{lines:?}");
    }
    let (first, last) = (container(0), container(3));
    assert_eq!(flock().holder(&first).name, flock().holder(&last).name);
}

#[test]
fn the_volumes_of_another_container_draw_a_container_to_them() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let owner = scope.name(&format!("owner-{}", node.name));
        node.docker(&["create", "--name", &owner, "-v", "/data", "busybox"])
            .ok();
        let user = scope.name(&format!("user-{}", node.name));
        flockerd
            .docker(&[
                "create",
                "--name",
                &user,
                "--volumes-from",
                &owner,
                "busybox",
            ])
            .ok();
        assert_eq!(flock().holder(&user).name, node.name);
    }
}

#[test]
fn a_network_in_use_here_and_a_volume_in_use_there_cannot_meet() {
    let scope = flock().shared();
    let (network, volume) = (scope.name("net"), scope.name("vol"));
    let (one, two) = (flock().node("node1"), flock().node("node2"));
    one.docker(&["network", "create", &network]).ok();
    one.docker(&[
        "run",
        "-d",
        "--name",
        &scope.name("a"),
        "--network",
        &network,
        "busybox",
        "sleep",
        "600",
    ])
    .ok();
    let data = format!("{volume}:/data");
    two.docker(&[
        "run",
        "-d",
        "--name",
        &scope.name("b"),
        "-v",
        &data,
        "busybox",
        "sleep",
        "600",
    ])
    .ok();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": "busybox", "HostConfig": {"NetworkMode": network, "Binds": [data]}});
    let path = format!("/containers/create?name={}", scope.name("torn"));
    let message = flockerd.api().post(&path, &body).expect(409).message();
    for word in [&network, &volume, "node1", "node2"] {
        assert!(message.contains(word), "{word} in {message}");
    }
    assert_eq!(holders(&format!("/networks/{network}")), ["node1"]);
    assert_eq!(holders(&format!("/volumes/{volume}")), ["node2"]);
}

/// One of the two can be made anew beside the other while nothing uses it; otherwise the refusal names both.
#[test]
fn a_tie_of_things_that_nothing_uses_is_resolved_or_refused_by_name() {
    let scope = flock().shared();
    let (network, volume) = (scope.name("net"), scope.name("vol"));
    flock()
        .node("node1")
        .docker(&["network", "create", &network])
        .ok();
    flock()
        .node("node2")
        .docker(&["volume", "create", &volume])
        .ok();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "600"],
        "HostConfig": {"NetworkMode": network, "Binds": [format!("{volume}:/data")]}
    });
    let name = scope.name("tie");
    let reply = flockerd
        .api()
        .post(&format!("/containers/create?name={name}"), &body);
    if reply.status == 201 {
        flockerd.docker(&["start", &name]).ok();
        let node = flock().holder(&name).name.clone();
        assert_eq!(holders(&format!("/networks/{network}")), [node.as_str()]);
        assert_eq!(holders(&format!("/volumes/{volume}")), [node]);
    } else {
        let message = reply.expect(409).message();
        assert!(
            message.contains(&network) && message.contains(&volume),
            "{message}"
        );
    }
}

#[test]
fn a_volume_on_two_hosts_is_ambiguous() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("twin");
    for node in ["node1", "node3"] {
        flock().node(node).docker(&["volume", "create", &name]).ok();
    }
    // It may take a moment until their events tell of both.
    let path = format!("/volumes/{name}");
    crate::eventually!(flockerd.api().get(&path).status == 409);
    for reply in [flockerd.api().get(&path), flockerd.api().delete(&path)] {
        let message = reply.expect(409).message();
        assert!(
            message.contains("node1") && message.contains("node3"),
            "{message}"
        );
    }
    assert_eq!(holders(&format!("/volumes/{name}")).len(), 2);
}

#[test]
fn prune_removes_the_unused_volumes_of_every_host() {
    let _turn = prunes();
    let scope = flock().shared();
    let label = scope.label();
    let create = |node: &str| {
        let name = scope.name(node);
        flock()
            .node(node)
            .docker(&["volume", "create", "--label", &label, &name])
            .ok();
        name
    };
    let mut names = ["node1", "node2"].map(create);
    let used = create("node3");
    let flockerd = Flockerd::over_flock().start();
    let data = format!("{used}:/data");
    flockerd
        .docker(&[
            "create",
            "--name",
            &scope.name("user"),
            "-v",
            &data,
            "busybox",
        ])
        .ok();
    let path = format!("/v1.41/volumes/prune?filters=%7B%22label%22%3A%5B%22{label}%22%5D%7D");
    let pruned = flockerd.api().post(&path, &Value::Null).expect(200).json();
    let deleted = pruned["VolumesDeleted"].as_array().unwrap().iter();
    let mut deleted: Vec<&str> = deleted.filter_map(Value::as_str).collect();
    deleted.sort_unstable();
    names.sort();
    assert_eq!(deleted, names);
    assert_eq!(holders(&format!("/volumes/{used}")), ["node3"]);
}

#[test]
fn what_a_shared_driver_makes_binds_no_container() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock()
        .toml("[volume_driver.local]\nflocker.shared = true\n[network_driver.bridge]\nflocker.shared = true")
        .toml(&route_to("node2"))
        .start();
    let (volume, network) = (scope.name("v"), scope.name("n"));
    let node = flock().node("node1");
    node.docker(&["volume", "create", "--label", &scope.label(), &volume])
        .ok();
    node.docker(&["network", "create", "--label", "kept=yes", &network])
        .ok();
    let name = scope.name("c");
    let mount = format!("{volume}:/data");
    flockerd
        .docker(&[
            "run",
            "--name",
            &name,
            "--network",
            &network,
            "--volume",
            &mount,
            "busybox",
            "true",
        ])
        .ok();
    assert_eq!(flock().holder(&name).name, "node2");
    let there = flock().node("node2");
    let labels = there
        .api()
        .get(&format!("/volumes/{volume}"))
        .expect(200)
        .json();
    assert_eq!(labels["Labels"]["test"], scope.prefix());
    let network = there
        .api()
        .get(&format!("/networks/{network}"))
        .expect(200)
        .json();
    assert_eq!(network["Labels"]["kept"], "yes");
    flockerd.docker(&["rm", &name]).ok();
}

#[test]
fn a_volume_that_two_creates_bring_about_at_once_is_one() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for round in 0..4 {
        let volume = scope.name(&format!("cache{round}"));
        let mount = format!("{volume}:/cache");
        std::thread::scope(|threads| {
            for number in 0..3 {
                let name = scope.name(&format!("c{round}x{number}"));
                let (flockerd, mount) = (&flockerd, &mount);
                threads.spawn(move || {
                    let run = ["run", "--name", &name, "--volume", mount, "busybox", "true"];
                    flockerd.docker(&run).ok();
                });
            }
        });
        assert_eq!(holders(&format!("/volumes/{volume}")).len(), 1);
    }
}

#[test]
fn keys_that_a_daemon_reads_in_another_case_are_refused() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("evil");
    for path in ["/volumes/create", "/networks/create"] {
        let reply = flockerd
            .api()
            .post(path, &json!({"name": name}))
            .expect(400);
        assert!(reply.message().contains("differs only in its case"));
        let twice = format!(r#"{{"Name":"{name}1","Name":"{name}2"}}"#);
        let mut connection = flockerd.api().connect();
        connection.request("POST", path, &[], twice.as_bytes());
        connection.reply().expect(400);
    }
}
