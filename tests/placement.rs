//! Where new containers go: spread evenly, bound by what they refer to, one name once.

use std::thread;

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, NODES, Node, Scope, container, flock},
};

#[test]
fn a_burst_of_parallel_creates_is_spread_evenly() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    const CREATES: usize = 30;
    thread::scope(|threads| {
        for i in 0..CREATES {
            let (api, path) = (
                flockerd.api(),
                format!(
                    "/containers/create?name={}",
                    scope.name(&format!("burst{i}"))
                ),
            );
            threads.spawn(move || {
                api.post(&path, &json!({"Image": "busybox", "Cmd": ["sleep", "60"]}))
                    .expect(201)
            });
        }
    });
    for node in &flock().nodes {
        let filter = "/containers/json?all=1&filters=".to_owned()
            + &format!("{{\"name\":[\"{}\"]}}", scope.name("burst")).replace('"', "%22");
        let count = node.api().get(&filter).json().as_array().unwrap().len();
        assert_eq!(count, CREATES / NODES, "on {}", node.name);
    }
}

#[test]
fn new_containers_go_where_fewest_run() {
    let fakes = ["abc", "d", "ef"].map(|ids| {
        let containers: Vec<_> = ids
            .chars()
            .map(|id| container(id, &[&format!("/{id}")]))
            .collect();
        FakeDocker::with(&containers)
    });
    for fake in &fakes {
        fake.on(
            "POST /containers/create",
            Answer::Json(201, json!({"Id": "f".repeat(64), "Warnings": []})),
        );
    }
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1], &fakes[2]]).start();
    flockerd
        .api()
        .post("/containers/create?name=new", &json!({"Image": "i"}))
        .expect(201);
    assert_eq!(
        fakes
            .each_ref()
            .map(|fake| fake.asked("POST /containers/create").len()),
        [0, 1, 0]
    );
}

#[test]
fn a_container_goes_to_the_host_of_what_it_refers_to() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let [other, volume, network] =
            ["other", "volume", "network"].map(|what| scope.name(&format!("{what}-{}", node.name)));
        node.docker(&["volume", "create", &volume]).ok();
        node.docker(&["network", "create", &network]).ok();
        node.docker(&[
            "run", "-d", "--name", &other, "-v", "/data", "busybox", "sleep", "600",
        ])
        .ok();
        let container = format!("container:{other}");
        let mount = format!("type=volume,source={volume},target=/v");
        for (kind, args) in [
            ("net", ["--network", &container]),
            ("pid", ["--pid", &container]),
            ("from", ["--volumes-from", &other]),
            ("link", ["--link", &other]),
            ("bind", ["-v", &format!("{volume}:/v")]),
            ("mount", ["--mount", &mount]),
            ("user-net", ["--network", &network]),
        ] {
            let name = scope.name(&format!("{kind}-{}", node.name));
            let args = [&["run", "--name", &name][..], &args, &["busybox", "true"]].concat();
            flockerd.docker(&args).ok();
            assert_eq!(flock().holder(&name).name, node.name, "{args:?}");
        }
    }
}

#[test]
fn references_to_two_hosts_are_refused_with_both() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let names = ["node1", "node2"].map(|node| {
        let name = scope.name(node);
        flock().node(node).sleeper(&scope, &name);
        name
    });
    let body = json!({"Image": "busybox", "HostConfig": {"VolumesFrom": names}});
    let message = flockerd
        .api()
        .post("/containers/create", &body)
        .expect(409)
        .message();
    assert!(
        message.contains("node1") && message.contains("node2"),
        "{message}"
    );
}

#[test]
fn references_to_nothing_are_answered_as_a_daemon_does() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for host_config in [
        json!({"Links": ["nobody:x"]}),
        json!({"VolumesFrom": ["nobody"]}),
        json!({"PidMode": "container:nobody"}),
    ] {
        let body = json!({"Image": "busybox", "HostConfig": host_config, "Labels": {"test": scope.name("")}});
        let expected = flock().nodes[0].api().post("/containers/create", &body);
        let answer = flockerd.api().post("/containers/create", &body);
        assert_eq!(
            (answer.status, answer.text()),
            (expected.status, expected.text())
        );
    }
    let name = scope.name("no-network");
    let args = [
        "run",
        "--name",
        &name,
        "--network",
        "no-such-network",
        "busybox",
        "true",
    ];
    let errors = flockerd.docker(&args).fails(125);
    assert!(
        errors.contains("network no-such-network not found"),
        "{errors}"
    );
}

#[test]
fn one_name_is_created_once_by_many_clients() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("once");
    let replies = at_once(8, || {
        let reply = flockerd.api().post(
            &format!("/containers/create?name={name}"),
            &json!({"Image": "busybox"}),
        );
        (reply.status, reply.json())
    });
    let id = flock()
        .holder(&name)
        .docker(&["inspect", "--format", "{{.Id}}", &name])
        .ok();
    assert_eq!(
        replies
            .iter()
            .filter(|(status, body)| *status == 201 && body["Id"] == *id)
            .count(),
        1,
        "{replies:?}"
    );
    let conflict = format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    );
    assert_eq!(
        replies
            .iter()
            .filter(|(status, body)| *status == 409 && body["message"] == *conflict)
            .count(),
        7,
        "{replies:?}"
    );
}

#[test]
fn two_creates_of_one_name_at_the_same_time_give_one_container() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    for (fake, id) in fakes.iter().zip(["a", "b"]) {
        let created = Answer::Json(201, json!({"Id": id.repeat(64), "Warnings": []}));
        fake.on("POST /containers/create", Answer::Gated(Box::new(created)));
        let inspect = format!("GET /containers/{}/json", id.repeat(64));
        fake.on(
            &inspect,
            Answer::Json(200, json!({"Id": id.repeat(64), "Name": "/one"})),
        );
    }
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let creates = || {
        fakes
            .iter()
            .map(|fake| fake.asked("POST /containers/create").len())
            .sum::<usize>()
    };
    let mut statuses = thread::scope(|threads| {
        let create = || {
            flockerd
                .api()
                .post("/containers/create?name=one", &json!({"Image": "i"}))
                .status
        };
        let both = [threads.spawn(create), threads.spawn(create)];
        eventually!(creates() > 0);
        fakes.iter().for_each(FakeDocker::open);
        both.map(|thread| thread.join().unwrap())
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(creates(), 1);
}

#[test]
fn creates_with_and_without_constraints_see_the_running_ones_of_all_clients() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    fill(&scope, flock().node("node1"), 2);
    fill(&scope, flock().node("node2"), 1);
    let mut hosts = Vec::new();
    for i in 0..3 {
        let name = scope.name(&format!("new{i}"));
        flockerd.sleeper(&scope, &name);
        hosts.push(flock().holder(&name).name.as_str());
    }
    hosts.sort_unstable();
    assert_eq!(hosts, ["node2", "node3", "node3"]);
}

fn fill(scope: &Scope, node: &Node, count: usize) {
    for i in 0..count {
        node.sleeper(scope, &scope.name(&format!("fill{i}")));
    }
}

/// Does the same from several threads and returns what came of it.
fn at_once<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|threads| {
        let started: Vec<_> = (0..count).map(|_| threads.spawn(&work)).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn unknown_keys_of_a_create_reach_the_daemon() {
    let fake = FakeDocker::start();
    fake.on(
        "POST /containers/create",
        Answer::Json(201, json!({"Id": "f".repeat(64), "Warnings": []})),
    );
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let body =
        json!({"Image": "i", "FutureKey": {"deep": [1, null]}, "HostConfig": {"Other": true}});
    flockerd
        .api()
        .post("/containers/create?name=x&platform=linux/amd64", &body)
        .expect(201);
    let create = fake.asked("POST /containers/create").pop().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&create.body).unwrap(), body);
    assert!(
        create.target.ends_with("?name=x&platform=linux/amd64"),
        "{}",
        create.target
    );
}
