//! What concerns the flock as a whole: totals, versions, events, logins, what is refused.

use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, NODES, flock, same_as_one_daemon, step},
    same::labels,
};

/// What was made past flockerd a moment ago.
mod fresh;
/// Hosts that are gone.
mod gone;
/// Hosts that take their time.
mod slow;

#[test]
fn the_flock_describes_itself_as_one_daemon_does() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let script = [
        step(200, "GET /_ping"),
        step(200, "HEAD /_ping"),
        step(200, "GET /v1.24/_ping"),
        step(200, "GET /version").differs(&[
            "Platform/Name",
            "Version",
            "Components",
            "GitCommit",
            "GoVersion",
            "KernelVersion",
            "BuildTime",
        ]),
        step(200, "GET /info").differs(&[
            "ID",
            "Name",
            "Driver",
            "DriverStatus",
            "Labels",
            "Plugins",
            "Runtimes",
            "Swarm",
            "RegistryConfig",
            "DockerRootDir",
            "OperatingSystem",
            "ServerVersion",
            "SecurityOptions",
            "Warnings",
        ]),
        step(200, "GET /plugins"),
        step(200, r#"GET /plugins?filters={"enabled":["true"]}"#),
        step(500, "GET /plugins?filters=nonsense"),
        step(404, "GET /plugins/{p}-nosuch/json"),
        step(200, "OPTIONS /info"),
        step(503, "POST /swarm/leave"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn swarm_rows_are_refused_as_outside_a_swarm() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let lists = [
        "swarm",
        "nodes",
        "services",
        "tasks",
        "secrets",
        "configs",
        "swarm/unlockkey",
    ];
    let script: Vec<_> = lists
        .iter()
        .map(|path| format!("GET /{path}"))
        .chain(
            ["nodes/x", "services/x", "tasks/x", "secrets/x", "configs/x"]
                .map(|path| format!("GET /{path}")),
        )
        .chain(
            ["nodes/x", "services/x", "secrets/x", "configs/x"]
                .map(|path| format!("DELETE /{path}")),
        )
        .map(|line| step(503, &line))
        .collect();
    same_as_one_daemon(&flockerd, &scope, &script);
    for path in ["/swarm/init", "/swarm/join"] {
        let refused = flockerd
            .api()
            .post(path, &json!({"ListenAddr": "0.0.0.0"}))
            .expect(501);
        assert!(refused.message().contains("swarm"), "{}", refused.text());
    }
    for node in &flock().nodes {
        let info = node.api().get("/info").expect(200).json();
        assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    }
}

#[test]
fn changes_to_the_daemons_plugins_are_not_served() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for (method, path) in [
        ("POST", "/plugins/pull?remote=x"),
        ("POST", "/plugins/create?name=x"),
        ("POST", "/plugins/x/enable?timeout=0"),
        ("POST", "/plugins/x/disable"),
        ("POST", "/plugins/x/push"),
        ("POST", "/plugins/x/set"),
        ("POST", "/plugins/x/upgrade?remote=x"),
        ("DELETE", "/plugins/x"),
    ] {
        let refused = flockerd.api().call(method, path, None).expect(501);
        assert!(!refused.message().is_empty(), "{method} {path}");
    }
    assert!(flockerd.docker(&["plugin", "ls"]).ok().starts_with("ID"));
    let said = flockerd.docker(&["inspect", "nosuchthing"]).fails(1);
    assert!(said.contains("No such object: nosuchthing"), "{said}");
}

#[test]
fn the_disk_usage_is_as_one_daemon_tells_it() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let create =
        json!({"Image": "busybox", "Labels": labels(), "HostConfig": {"Binds": ["{p}-vol:/data"]}});
    // A daemon without a build cache says null.
    for node in &flock().nodes {
        node.api()
            .post("/build/prune?all=1", &Value::Null)
            .expect(200);
    }
    let script = [
        step(201, "POST /volumes/create").json(&json!({"Name": "{p}-vol", "Labels": labels()})),
        step(201, "POST /containers/create?name={p}-c").json(&create),
        step(200, "GET /system/df").differs(&[
            "Images/0/*",
            "Containers/0/*",
            "Volumes/0/*",
            "BuildCache/0/*",
        ]),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn the_disk_usage_of_the_hosts_is_added_up() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        node.docker(&["volume", "create", &scope.name(&node.name)])
            .ok();
        node.docker(&["create", "--name", &scope.name(&node.name), "busybox"])
            .ok();
    }
    let parts: Vec<Value> = flock()
        .nodes
        .iter()
        .map(|node| node.api().get("/system/df").expect(200).json())
        .collect();
    let df = flockerd.api().get("/system/df").expect(200).json();
    for field in ["LayersSize", "BuilderSize"] {
        let sum: u64 = parts.iter().filter_map(|part| part[field].as_u64()).sum();
        assert_eq!(df[field].as_u64().unwrap_or(0), sum, "{field}");
    }
    for list in ["Images", "Containers", "Volumes"] {
        let count: usize = parts
            .iter()
            .map(|part| part[list].as_array().map_or(0, Vec::len))
            .sum();
        assert_eq!(df[list].as_array().unwrap().len(), count, "{list}");
        assert!(count >= NODES);
    }
    let containers = df["Containers"].as_array().unwrap().len();
    let shown = flockerd
        .docker(&["system", "df", "--format", "{{.Type}} {{.TotalCount}}"])
        .lines();
    assert_eq!(shown[1], format!("Containers {containers}"), "{shown:?}");
    // Calls at once, which each daemon by itself refuses.
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| flockerd.api().get("/system/df").expect(200));
        }
    });
}

#[test]
fn events_of_the_past_are_as_one_daemon_tells_them() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let create = json!({"Image": "busybox", "Cmd": ["true"], "Labels": labels()});
    let events = |filters: &str| {
        step(
            200,
            &format!("GET /events?since={{start}}&until={{now}}&filters={filters}"),
        )
        .until_text("destroy")
    };
    let script = [
        step(201, "POST /containers/create?name={p}-c")
            .json(&create)
            .keep("c", "/Id"),
        step(204, "POST /containers/{c}/rename?name={p}-d"),
        step(204, "DELETE /containers/{c}"),
        events(r#"{"label":["same={p}"]}"#),
        events(r#"{"label":["same={p}"],"event":["destroy"]}"#),
        events(r#"{"container":["{p}-d"],"type":["container"]}"#),
        step(
            200,
            r#"GET /events?since={start}&until={now}&filters={"label":["same=nobody"]}"#,
        ),
        step(500, "GET /events?since=nonsense"),
        step(500, "GET /events?until=1&filters=nonsense"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn events_of_every_kind_tell_their_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let since = "0";
    let name = scope.name("thing");
    let node = flock().node("node2");
    node.docker(&["network", "create", &name]).ok();
    node.docker(&["volume", "create", &name]).ok();
    node.docker(&["tag", "busybox", &name]).ok();
    node.docker(&["create", "--name", &name, "busybox"]).ok();
    let path = format!("/events?since={since}&until={}", later());
    let reply = flockerd.api().get(&path).expect(200);
    let events: Vec<Value> = serde_json::Deserializer::from_slice(&reply.body)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for kind in ["network", "volume", "image", "container"] {
        let mine = |event: &&Value| {
            let actor = &event["Actor"];
            event["Type"] == kind
                && [&actor["ID"], &actor["Attributes"]["name"]]
                    .iter()
                    .any(|id| {
                        id.as_str()
                            .is_some_and(|id| id.trim_end_matches(":latest") == name)
                    })
        };
        let found: Vec<&Value> = events.iter().filter(mine).collect();
        assert!(!found.is_empty(), "no event of a {kind}");
        assert!(
            found
                .iter()
                .all(|event| event["Actor"]["Attributes"]["flocker.backend"] == "node2"),
            "{found:?}"
        );
    }
}

#[test]
fn events_are_filtered_by_their_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let ids: Vec<String> = flock()
        .nodes
        .iter()
        .map(|node| {
            node.docker(&[
                "create",
                "--name",
                &scope.name(&node.name),
                "--label",
                &scope.label(),
                "busybox",
            ])
            .ok()
        })
        .collect();
    let mine = format!("label={}", scope.label());
    let seen = |filter: &str| {
        let until = later().to_string();
        let args = [
            "events",
            "--since",
            "0",
            "--until",
            &until,
            "--filter",
            &mine,
            "--filter",
            filter,
            "--format",
            "{{.Actor.ID}}",
        ];
        flockerd.docker(&args).lines()
    };
    assert_eq!(seen("label=flocker.backend=node2"), [ids[1].as_str()]);
    assert_eq!(seen("label=flocker.backend").len(), NODES);
}

#[test]
fn events_of_one_host_are_followed() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        node.docker(&[
            "create",
            "--name",
            &name,
            "--label",
            &scope.label(),
            "busybox",
        ])
        .ok();
    }
    let mine = format!("label={}", scope.label());
    let args = [
        "events",
        "--filter",
        &mine,
        "--filter",
        "label=flocker.backend=node2",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ];
    let mut live = flockerd.docker_running(&args);
    let probe = scope.name("node2");
    crate::eventually!({
        flock().node("node2").docker(&["start", &probe]).ok();
        live.has_said(&format!("start {probe}"))
    });
    flock()
        .node("node1")
        .docker(&["rm", "--force", &scope.name("node1")])
        .ok();
    flock()
        .node("node2")
        .docker(&["rm", "--force", &probe])
        .ok();
    live.expect(&format!("destroy {probe}"));
    assert!(!live.has_said(&scope.name("node1")));
}

/// Seconds since 1970, rounded up.
fn later() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    now.as_secs() + 1
}
