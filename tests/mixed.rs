//! Hosts of different kinds in one flock: another engine, another transport, and one that is slow.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, FakeDocker, Flockerd, Podman, Reply, container, flock};

#[test]
fn a_podman_service_is_one_more_host() {
    let scope = flock().shared();
    let podman = Podman::start();
    let flockerd = Flockerd::over_flock()
        .backend(&podman.backend("pod"))
        .start();
    let info = flockerd.docker(&["info"]).ok();
    assert!(
        info.contains("4 of 4 up") && info.contains("pod: unix://"),
        "{info}"
    );
    let (name, label) = (scope.name("p"), scope.label());
    let args = ["--network", "host", "--label", &label, "--name", &name];
    let run = [&["run", "-d"], &args[..], &["busybox", "sleep", "600"]].concat();
    let id = podman.docker(&run).ok();
    let list = [
        "ps",
        "--quiet",
        "--no-trunc",
        "--filter",
        "label=flocker.backend=pod",
    ];
    assert_eq!(flockerd.docker(&list).ok(), id);
    assert_eq!(flockerd.docker(&["exec", &name, "echo", "hi"]).ok(), "hi");
    let cat = ["exec", "-i", &name, "cat"];
    assert_eq!(flockerd.docker_with(&cat, b"in").ok(), "in");
    let backend = "{{index .Config.Labels \"flocker.backend\"}}";
    let inspect = ["inspect", "--format", backend, &name];
    assert_eq!(flockerd.docker(&inspect).ok(), "pod");
    flockerd.docker(&["rm", "--force", &name]).ok();
    flockerd.docker(&["inspect", &name]).fails(1);
}

#[test]
fn containers_run_on_podman_through_the_flock() {
    let scope = flock().shared();
    let podman = Podman::start();
    let flockerd = Flockerd::builder().backend(&podman.backend("pod")).start();
    let (name, volume) = (scope.name("c"), scope.name("v"));
    let mount = format!("{volume}:/data");
    let run = |more: &[&str]| {
        let first = [
            "run",
            "--rm",
            "--network",
            "host",
            "--volume",
            &mount,
            "busybox",
        ];
        flockerd.docker(&[&first[..], more].concat())
    };
    flockerd.docker(&["volume", "create", &volume]).ok();
    run(&["sh", "-c", "echo wool > /data/x"]).ok();
    assert_eq!(run(&["cat", "/data/x"]).ok(), "wool");
    // Without `--rm`: this Podman tells a client that waits for the removal that all went well.
    let exit = [
        "run",
        "--network",
        "host",
        "--name",
        &name,
        "busybox",
        "sh",
        "-c",
        "exit 7",
    ];
    flockerd.docker(&exit).fails(7);
    flockerd.docker(&["rm", &name]).ok();
    let detached = ["run", "-d", "--network", "host", "--name", &name, "busybox"];
    let command = ["sh", "-c", "echo out; sleep 600"];
    flockerd.docker(&[&detached[..], &command].concat()).ok();
    crate::eventually!(flockerd.docker(&["logs", &name]).ok() == "out");
    flockerd.docker(&["rm", "--force", &name]).ok();
    flockerd.docker(&["volume", "rm", &volume]).ok();
}

#[test]
fn an_image_goes_from_docker_to_podman_under_its_own_name() {
    let scope = flock().shared();
    let podman = Podman::start();
    let flockerd = Flockerd::builder()
        .backend(&flock().node("node1").backend())
        .backend(&podman.backend("pod"))
        .start();
    let (image, volume) = (scope.name("image"), scope.name("v"));
    flock()
        .node("node1")
        .docker(&["tag", "busybox", &image])
        .ok();
    podman.docker(&["volume", "create", &volume]).ok();
    crate::eventually!(flockerd.docker(&["volume", "inspect", &volume]).code == 0);
    let mount = format!("{volume}:/data");
    let run = [
        "run",
        "--rm",
        "--network",
        "host",
        "--volume",
        &mount,
        &image,
        "echo",
        "hi",
    ];
    assert_eq!(flockerd.docker(&run).ok(), "hi");
    podman.docker(&["image", "inspect", &image]).ok();
}

#[test]
fn a_client_goes_on_when_an_older_host_joins() {
    let version = |newest: &str| {
        let version =
            json!({"Version": "x", "ApiVersion": newest, "MinAPIVersion": "1.24", "Os": "linux"});
        Answer::Json(200, version)
    };
    let [new, old] = ['a', 'b'].map(|id| FakeDocker::with(&[container(id, &[&format!("/{id}")])]));
    new.on("GET /version", version("1.50"));
    old.on("GET /version", Answer::error(500, "not yet"));
    let flockerd = Flockerd::over_fakes(&[&new, &old]).start();
    let api_version = || {
        let ping = flockerd.api().get("/_ping").expect(200);
        ping.header("api-version").unwrap().to_owned()
    };
    assert_eq!(api_version(), "1.50");
    old.on("GET /version", version("1.41"));
    crate::eventually!(api_version() == "1.41");
    // Whoever asked before goes on in the version it was told, which reaches each host as the host knows it.
    let listed = flockerd.api().get("/v1.50/containers/json").expect(200);
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    flockerd.api().get("/v1.50/containers/b/json").expect(200);
    for (fake, version) in [(&new, "/v1.50/"), (&old, "/v1.41/")] {
        let asked = fake.asked("GET /containers/json");
        assert!(asked.last().unwrap().target.starts_with(version));
    }
    flockerd.api().get("/v1.51/containers/json").expect(400);
}

#[test]
fn a_container_goes_where_its_port_is_free() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let publish = format!("{port}:80");
    for number in 1..=3 {
        let name = scope.name(&format!("web{number}"));
        let label = scope.label();
        let run = [
            "run",
            "-d",
            "--label",
            &label,
            "--name",
            &name,
            "--publish",
            &publish,
            "busybox",
            "sleep",
            "600",
        ];
        flockerd.docker(&run).ok();
    }
    // Every host has it now: the daemon says so.
    let run = [
        "run",
        "--label",
        &scope.label(),
        "--publish",
        &publish,
        "busybox",
        "true",
    ];
    let said = flockerd.docker(&run).fails(125);
    assert!(said.contains("port is already allocated"), "{said}");
}

/// A flock of a quick host with the container `quick`, and one with `slow` that answers nothing any more but pings.
fn with_a_slow_host() -> ([FakeDocker; 2], Flockerd) {
    let quick = FakeDocker::with(&[container('a', &["/quick"])]);
    let slow = FakeDocker::with(&[container('b', &["/slow"])]);
    let flockerd = Flockerd::over_fakes(&[&quick, &slow])
        .toml("backend_timeout = \"1s\"")
        .start();
    flockerd.api().get("/containers/json").expect(200);
    for line in [
        "GET /containers*",
        "GET /images*",
        "GET /networks*",
        "GET /volumes*",
        "GET /info",
    ] {
        slow.on(line, Answer::Hang);
    }
    ([quick, slow], flockerd)
}

/// How often a host was asked for anything but how it is.
fn asked(fake: &FakeDocker) -> usize {
    let requests = fake.requests();
    let others = requests.iter().filter(|request| request.path != "/_ping");
    others.count()
}

#[test]
fn a_slow_host_delays_no_call_that_it_does_not_own() {
    let ([quick, slow], flockerd) = with_a_slow_host();
    quick.on(
        "POST /containers/quick/stop",
        Answer::Json(204, json!(null)),
    );
    let before = asked(&slow);
    flockerd.api().get("/containers/quick/json").expect(200);
    flockerd
        .api()
        .call("POST", "/containers/quick/stop", None)
        .expect(204);
    assert_eq!(asked(&slow), before);
    // Nobody has this one: the slow host may be asked once, and counts as slow from then on.
    flockerd.api().get("/containers/nobody/json").expect(404);
    let before = asked(&slow);
    for kind in [
        "containers/nobody/json",
        "images/nobody/json",
        "volumes/nobody",
    ] {
        flockerd.api().get(&format!("/{kind}"));
    }
    assert_eq!(asked(&slow), before);
}

#[test]
fn a_list_waits_for_a_slow_host_no_longer_than_it_may_and_names_it() {
    let (_fakes, flockerd) = with_a_slow_host();
    let begun = Instant::now();
    let listed = |path: &str| -> Reply { flockerd.api().get(path).expect(200) };
    for path in [
        "/containers/json",
        "/images/json",
        "/networks",
        "/volumes",
        "/info",
    ] {
        assert_eq!(
            listed(path).header("flockerd-missing"),
            Some("node2"),
            "{path}"
        );
    }
    // Five lists, a second each, and room for a machine that is busy; the host itself would have taken for ever.
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(flockerd.log().contains("node2"), "{}", flockerd.log());
}
