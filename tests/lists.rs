//! Lists, totals and prunes over all hosts.

use std::{collections::BTreeSet, io::Write};

use serde_json::{Value, json};

use crate::harness::{FakeDocker, Flockerd, NODES, container, flock, long_list};

#[test]
fn ps_shows_the_containers_of_every_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let ids: BTreeSet<String> = flock()
        .nodes
        .iter()
        .map(|node| node.sleeper(&scope, &scope.name(&node.name)))
        .collect();
    let mine = format!("label={}", scope.label());
    let listed = |more: &[&str]| -> BTreeSet<String> {
        let args = [
            &["ps", "--quiet", "--no-trunc", "--filter", &mine][..],
            more,
        ]
        .concat();
        flockerd.docker(&args).lines().into_iter().collect()
    };
    assert_eq!(listed(&[]), ids);
    flockerd.docker(&["kill", &scope.name("node2")]).ok();
    assert_eq!(listed(&["--filter", "status=running"]).len(), NODES - 1);
    assert_eq!(listed(&["--all"]), ids);
    assert_eq!(listed(&["--all", "--last", "2"]).len(), 2);
    assert_eq!(
        listed(&["--filter", &format!("name={}", scope.name("node3"))]).len(),
        1
    );
}

#[test]
fn ps_tells_the_host_beside_the_name() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("where");
    flock().node("node3").sleeper(&scope, &name);
    let filter = format!("label={}", scope.label());
    let names = |more: &[&str]| {
        let args = [
            &["ps", "--filter", &filter, "--format", "{{.Names}}"][..],
            more,
        ]
        .concat();
        flockerd.docker(&args).ok()
    };
    assert!(names(&["--no-trunc"]).contains(&format!("{name}@node3")));
}

#[test]
fn containers_are_listed_newest_first_and_cut_to_the_limit() {
    let fakes = [['a', 'c'], ['b', 'd']]
        .map(|ids| FakeDocker::with(&ids.map(|id| container(id, &[&format!("/{id}")]))));
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let ids = |path: &str| -> String {
        let list = flockerd.api().get(path).expect(200).json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|container| container["Id"].as_str().unwrap()[..1].to_owned())
            .collect()
    };
    assert_eq!(ids("/containers/json"), "dcba");
    assert_eq!(ids("/v1.41/containers/json?limit=3"), "dcb");
    assert_eq!(ids("/containers/json?limit=-1"), "dcba");
}

#[test]
fn long_lists_of_many_hosts_are_merged_in_little_memory() {
    const HOSTS: usize = 30;
    const CONTAINERS: usize = 200;
    let fakes: Vec<_> = (0..HOSTS).map(|_| FakeDocker::start()).collect();
    for (nth, fake) in fakes.iter().enumerate() {
        let list = long_list(nth, CONTAINERS);
        fake.on_query("GET /containers/json", "long", move |stream| {
            let _ = stream.write_all(&list);
        });
    }
    let flockerd = Flockerd::over_fakes(&fakes.iter().collect::<Vec<_>>()).start();
    flockerd.api().get("/containers/json").expect(200);
    flockerd.forget_peak();
    let (before, _) = flockerd.resident();
    let mut connection = flockerd.api().connect();
    connection.request("GET", "/containers/json?long=1", &[], b"");
    let list = connection.reply().expect(200);
    let (_, peak) = flockerd.resident();
    let (grown, whole) = (peak.saturating_sub(before), list.body.len());
    assert!(grown < whole / 3, "{grown} bytes for a list of {whole}");
    let list = list.json();
    let created: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Created"].as_u64())
        .collect();
    assert_eq!(created.len(), HOSTS * CONTAINERS);
    assert!(created.is_sorted_by(|one, next| one >= next));
}

#[test]
fn info_adds_up_the_hosts() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let sum = |field: &str| -> u64 {
        flock()
            .nodes
            .iter()
            .map(|node| node.api().get("/info").json()[field].as_u64().unwrap())
            .sum()
    };
    flock().node("node1").sleeper(&scope, &scope.name("one"));
    let info = flockerd.api().get("/info").expect(200).json();
    for field in ["Containers", "ContainersRunning", "NCPU", "MemTotal"] {
        assert_eq!(info[field].as_u64(), Some(sum(field)), "{field}");
    }
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    let text = flockerd.docker(&["info"]).ok();
    assert!(
        flock().nodes.iter().all(|node| text.contains(&node.name)),
        "{text}"
    );
}

#[test]
fn version_and_ping_speak_for_the_flock() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let daemon = flock().nodes[0].api().get("/version").json();
    let version = flockerd.api().get("/version").expect(200).json();
    assert_eq!(version["ApiVersion"], daemon["ApiVersion"]);
    assert_eq!(version["MinAPIVersion"], daemon["MinAPIVersion"]);
    assert!(
        version["Platform"]["Name"]
            .as_str()
            .is_some_and(|name| name.starts_with("flockerd"))
    );
    for method in ["GET", "HEAD"] {
        let ping = flockerd.api().call(method, "/_ping", None).expect(200);
        assert_eq!(ping.header("api-version"), daemon["ApiVersion"].as_str());
        assert_eq!(ping.header("ostype"), Some("linux"));
        assert_eq!(ping.header("docker-experimental"), Some("false"));
        assert_eq!(ping.text(), if method == "GET" { "OK" } else { "" });
    }
}

#[test]
fn a_version_out_of_range_is_refused_in_the_daemons_words() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for path in ["/v1.99/containers/json", "/v1.11/containers/json"] {
        let expected = flock().nodes[0].api().get(path).expect(400).text();
        // A daemon says it to a client of before 1.24 in plain text.
        let expected = serde_json::from_str::<Value>(&expected).map_or(expected, |body| {
            body["message"].as_str().unwrap().to_owned()
        });
        assert_eq!(
            flockerd.api().get(path).expect(400).message(),
            expected.trim_end()
        );
    }
}

#[test]
fn the_lowest_version_of_the_hosts_is_spoken() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    let old = json!({"Version": "19.03", "ApiVersion": "1.40", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"});
    fakes[1].on("GET /version", crate::harness::Answer::Json(200, old));
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    assert_eq!(
        flockerd.api().get("/version").expect(200).json()["ApiVersion"],
        "1.40"
    );
    flockerd.api().get("/containers/json").expect(200);
    for fake in &fakes {
        assert!(
            fake.requests()
                .iter()
                .any(|request| request.target.starts_with("/v1.40/containers/json"))
        );
    }
}

#[test]
fn prune_removes_the_stopped_containers_of_every_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let [one, two, runs] = ["one", "two", "runs"].map(|name| scope.name(name));
    let label = scope.label();
    for (node, name) in [("node1", &one), ("node2", &two)] {
        flock()
            .node(node)
            .docker(&["run", "--name", name, "--label", &label, "busybox", "true"])
            .ok();
    }
    flock().node("node3").sleeper(&scope, &runs);
    let filter = format!("label={label}");
    let said = flockerd
        .docker(&["container", "prune", "--force", "--filter", &filter])
        .ok();
    assert_eq!(
        said.lines().filter(|line| line.len() == 64).count(),
        2,
        "{said}"
    );
    flockerd.docker(&["inspect", &one]).fails(1);
    flockerd.docker(&["inspect", &two]).fails(1);
    flockerd.docker(&["inspect", &runs]).ok();
}

#[test]
fn images_are_listed_inspected_tagged_and_deleted() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let tag = format!("{}:1", scope.name("tagged"));
    flockerd.docker(&["tag", "busybox:latest", &tag]).ok();
    let listed = flockerd
        .docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .lines();
    assert!(
        listed.contains(&tag) && listed.contains(&"busybox:latest".to_owned()),
        "{listed:?}"
    );
    assert_eq!(
        flockerd
            .docker(&["image", "inspect", "--format", "{{.Config.Cmd}}", &tag])
            .ok(),
        "[sh]"
    );
    flockerd.docker(&["rmi", &tag]).ok();
    flockerd.docker(&["image", "inspect", &tag]).fails(1);
    flockerd.docker(&["image", "inspect", "busybox"]).ok();
    for node in &flock().nodes {
        assert_eq!(node.api().get(&format!("/images/{tag}/json")).status, 404);
    }
}

#[test]
fn swarm_is_refused_in_the_daemons_words() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for path in ["/services", "/nodes", "/tasks", "/swarm", "/secrets"] {
        let expected = flock().nodes[0].api().get(path).expect(503);
        assert_eq!(
            flockerd.api().get(path).expect(503).message(),
            expected.message(),
            "{path}"
        );
    }
}

#[test]
fn paths_and_methods_that_do_not_exist_are_page_not_found() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    for (method, path) in [
        ("GET", "/nothing"),
        ("POST", "/containers/json"),
        ("PUT", "/v1.41/version"),
    ] {
        assert_eq!(
            flockerd
                .api()
                .call(method, path, None)
                .expect(404)
                .message(),
            "page not found"
        );
    }
}
