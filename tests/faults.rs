//! Hosts that die, hang, come back, cut their answers or talk nonsense.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{Answer, DEADLINE, FakeDocker, Flockerd, container, flock, long_list},
};

/// How long the tests let flockerd wait for one host.
const PATIENCE: Duration = Duration::from_secs(1);
/// What an answer may take that depends on that wait: twice as long, and what two busy cores need.
const IN_TIME: Duration = Duration::from_secs(4);

#[test]
fn a_dead_host_costs_the_others_nothing_and_returns_by_itself() {
    let mut scope = flock().exclusive();
    let flockerd = Flockerd::over_flock()
        .toml("probe_interval = \"300ms\"")
        .start();
    let [here, there] = ["here", "there"].map(|name| scope.name(name));
    flock().node("node1").sleeper(&scope, &here);
    flock().node("node3").sleeper(&scope, &there);
    assert_eq!(
        names(
            &flockerd.api().get("/containers/json").json(),
            &[&here, &there]
        ),
        2
    );
    scope.stop(flock().node("node3"));

    assert_eq!(
        in_time(|| names(
            &flockerd.api().get("/containers/json").expect(200).json(),
            &[&here]
        )),
        1
    );
    flockerd.docker(&["exec", &here, "true"]).ok();
    for path in [
        format!("/containers/{there}/json"),
        format!("/containers/{there}/logs?stdout=1"),
    ] {
        let message = in_time(|| flockerd.api().get(&path).expect(503).message());
        assert!(message.contains("node3"), "{message}");
    }
    let message = flockerd
        .api()
        .delete(&format!("/containers/{there}"))
        .expect(503)
        .message();
    assert!(message.contains("node3"), "{message}");
    for i in 0..3 {
        assert_ne!(
            flock_holder_without_node3(&flockerd, &scope.name(&format!("new{i}"))),
            "node3"
        );
    }
    flockerd.api().get("/_ping").expect(200);

    scope.start(flock().node("node3"));
    eventually!(
        flockerd
            .api()
            .get(&format!("/containers/{there}/json"))
            .status
            == 200
    );
    flockerd.docker(&["start", &there]).ok();
    assert_eq!(
        names(
            &flockerd.api().get("/containers/json").json(),
            &[&here, &there]
        ),
        2
    );
}

/// Runs a container and says on which of the two living hosts.
fn flock_holder_without_node3(flockerd: &Flockerd, name: &str) -> String {
    flockerd
        .docker(&["run", "-d", "--name", name, "busybox", "sleep", "600"])
        .ok();
    let path = format!("/containers/{name}/json");
    let mut living = flock().nodes.iter().filter(|node| node.name != "node3");
    living
        .find(|node| node.api().get(&path).status == 200)
        .expect("a living host has it")
        .name
        .clone()
}

#[test]
fn a_hung_host_costs_the_others_nothing_and_returns_by_itself() {
    let mut scope = flock().exclusive();
    let quick = "backend_timeout = \"1s\"\nprobe_interval = \"300ms\"";
    let flockerd = Flockerd::over_flock().toml(quick).start();
    let [here, there] = ["here", "there"].map(|name| scope.name(name));
    flock().node("node1").sleeper(&scope, &here);
    flock().node("node2").sleeper(&scope, &there);
    assert_eq!(
        names(
            &flockerd.api().get("/containers/json").json(),
            &[&here, &there]
        ),
        2
    );
    scope.pause(flock().node("node2"));

    assert_eq!(
        in_time(|| names(
            &flockerd.api().get("/containers/json").expect(200).json(),
            &[&here]
        )),
        1
    );
    in_time(|| flockerd.api().get("/info").expect(200));
    in_time(|| flockerd.docker(&["exec", &here, "true"]).ok());
    // Once a probe has found out, its containers are answered for at once.
    let path = format!("/containers/{there}/json");
    eventually!(
        in_time(|| flockerd.api().get(&path)).status == 503,
        DEADLINE
    );
    assert!(flockerd.api().get(&path).message().contains("node2"));

    scope.resume(flock().node("node2"));
    eventually!(flockerd.docker(&["exec", &there, "true"]).code == 0);
}

#[test]
fn a_daemon_that_accepts_and_never_answers_is_left_out_of_the_list() {
    let fakes = [
        FakeDocker::with(&[container('a', &["/a"])]),
        FakeDocker::with(&[container('b', &["/b"])]),
    ];
    fakes[1].on("GET *", Answer::Hang);
    fakes[1].on("HEAD *", Answer::Hang);
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml("backend_timeout = \"1s\"")
        .start();
    let list = in_time(|| flockerd.api().get("/containers/json").expect(200).json());
    assert_eq!(names(&list, &["a", "b"]), 1);
    assert_eq!(
        in_time(|| flockerd.api().get("/containers/a/json").expect(200).json()["Name"].clone()),
        "/a"
    );
}

#[test]
fn a_daemon_that_cuts_or_garbles_its_list_is_left_out_of_it() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n[{\"Id\":".to_vec();
    let not_json =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n<html"
            .to_vec();
    for answer in [
        Answer::Cut(half),
        Answer::Cut(Vec::new()),
        Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Answer::Bytes(not_json),
        Answer::Json(200, json!({"not": "a list"})),
        Answer::error(500, "the disk is full"),
    ] {
        let fakes = [
            FakeDocker::with(&[container('a', &["/a"])]),
            FakeDocker::start(),
        ];
        fakes[1].on("GET /containers/json", answer);
        let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
            .toml("backend_timeout = \"1s\"")
            .start();
        let list = in_time(|| flockerd.api().get("/containers/json").expect(200).json());
        assert_eq!(names(&list, &["a"]), 1);
    }
}

#[test]
fn a_daemon_that_breaks_off_within_a_long_list_breaks_the_answer_off() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    for (nth, fake) in fakes.iter().enumerate() {
        let list = long_list(nth, 200);
        let there = [list.len(), list.len() / 2][nth];
        fake.on_query("GET /containers/json", "long", move |stream| {
            let _ = stream.write_all(&list[..there]);
        });
    }
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml("backend_timeout = \"1s\"")
        .start();
    let mut connection = flockerd.api().connect();
    connection.request("GET", "/containers/json?long=1", &[], b"");
    assert_eq!(
        connection.head().expect(200).header("flockerd-missing"),
        None
    );
    let rest = connection.until_closed();
    assert!(
        rest.len() > 100_000 && !rest.ends_with(b"0\r\n\r\n"),
        "{}",
        rest.len()
    );
    eventually!(flockerd.log().contains("a list of containers breaks off"));
    flockerd.api().get("/containers/json").expect(200);
}

#[test]
fn a_daemon_that_breaks_off_within_a_short_list_is_named_in_the_head() {
    let fakes = [
        FakeDocker::with(&[container('a', &["/a"])]),
        FakeDocker::start(),
    ];
    let list = long_list(1, 2);
    fakes[1].on_query("GET /containers/json", "cut", move |stream| {
        let _ = stream.write_all(&list[..list.len() - 9]);
    });
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let list = flockerd.api().get("/containers/json?cut=1").expect(200);
    assert_eq!(list.header("flockerd-missing"), Some("node2"));
    assert_eq!(names(&list.json(), &["a"]), 1);
    assert!(list.header("content-length").is_some());
}

#[test]
fn when_no_host_answers_the_call_fails_and_names_one() {
    let fake = FakeDocker::start();
    fake.on("GET /containers/json", Answer::Cut(Vec::new()));
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let reply = flockerd.api().get("/containers/json");
    assert!(reply.status >= 500, "{}", reply.status);
    assert!(!reply.message().is_empty());
}

#[test]
fn an_answer_that_is_not_http_becomes_an_error_naming_the_host() {
    for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b""] {
        let fake = FakeDocker::with(&[container('a', &["/a"])]);
        fake.on("GET /containers/a/top", Answer::Bytes(bytes.to_vec()));
        fake.on(
            &format!("GET /containers/{}/top", "a".repeat(64)),
            Answer::Bytes(bytes.to_vec()),
        );
        let flockerd = Flockerd::over_fakes(&[&fake]).start();
        let reply = flockerd.api().get("/containers/a/top");
        assert!(matches!(reply.status, 502 | 503), "{}", reply.status);
        assert!(reply.message().contains("node1"), "{}", reply.text());
        flockerd.api().get("/containers/a/json").expect(200);
    }
}

#[test]
fn an_answer_that_breaks_off_breaks_off_at_the_client_too() {
    let fake = FakeDocker::with(&[container('a', &["/a"])]);
    let half = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    fake.on("GET /containers/a/export", Answer::Bytes(half.clone()));
    fake.on(
        &format!("GET /containers/{}/export", "a".repeat(64)),
        Answer::Bytes(half),
    );
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut connection = flockerd.api().connect();
    connection.request("GET", "/containers/a/export", &[], b"");
    connection.head().expect(200);
    let rest = String::from_utf8(connection.until_closed()).unwrap();
    assert!(
        rest.contains("half") && !rest.contains("\r\n0\r\n"),
        "{rest:?}"
    );
}

#[test]
fn a_create_that_breaks_off_is_not_sent_twice() {
    let fake = FakeDocker::start();
    fake.on("POST /containers/create", Answer::Cut(Vec::new()));
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let reply = flockerd
        .api()
        .post("/containers/create?name=web", &json!({"Image": "busybox"}));
    assert!(matches!(reply.status, 502 | 503), "{}", reply.status);
    assert!(reply.message().contains("node1"), "{}", reply.text());
    assert_eq!(fake.asked("POST /containers/create").len(), 1);
    // The name is free again.
    fake.on(
        "POST /containers/create",
        Answer::Json(201, json!({"Id": "c".repeat(64), "Warnings": []})),
    );
    flockerd
        .api()
        .post("/containers/create?name=web", &json!({"Image": "busybox"}))
        .expect(201);
}

#[test]
fn a_daemon_that_closes_its_idle_connections_is_asked_again() {
    let fake = FakeDocker::with(&[container('a', &["/a"])]);
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    for _ in 0..3 {
        flockerd.api().get("/containers/a/json").expect(200);
        fake.hang_up();
    }
}

#[test]
fn flockerd_without_a_living_host_says_so() {
    let address = {
        let fake = FakeDocker::start();
        fake.address.clone()
    };
    let flockerd = Flockerd::builder()
        .backend(&format!("gone=tcp://{address}"))
        .start();
    let reply = flockerd
        .api()
        .post("/containers/create?name=x", &json!({"Image": "busybox"}))
        .expect(503);
    assert!(!reply.message().is_empty());
    let errors = flockerd.docker(&["run", "busybox", "true"]).fails(125);
    assert!(!errors.contains("Unable to find image"), "{errors}");
}

/// Returns what the function does, and fails when it took longer than a host may hold a call up.
#[track_caller]
fn in_time<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let taken = start.elapsed();
    assert!(taken < PATIENCE + IN_TIME, "took {taken:?}");
    result
}

/// How many containers of a list have one of these names.
fn names(list: &Value, wanted: &[&str]) -> usize {
    let has = |container: &&Value| {
        let names = container["Names"].as_array().into_iter().flatten();
        names
            .filter_map(Value::as_str)
            .any(|name| wanted.iter().any(|wanted| name == format!("/{wanted}")))
    };
    list.as_array().expect("a list").iter().filter(has).count()
}
