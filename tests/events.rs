//! The events of all hosts as one stream.

use serde_json::{Value, json};

use crate::{
    eventually,
    harness::{Connection, FakeDocker, Flockerd, container, flock},
};

#[test]
fn events_of_every_host_arrive_while_they_happen() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let filter = format!("label={}", scope.label());
    let args = [
        "events",
        "--filter",
        &filter,
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ];
    let mut events = flockerd.docker_running(&args);
    // The stream is open when the first event comes through; before that events may be missed.
    let probe = scope.name("probe");
    flock().node("node1").sleeper(&scope, &probe);
    eventually!({
        flock()
            .node("node1")
            .docker(&["restart", "--time", "0", &probe])
            .ok();
        events.has_said(&format!("start {probe}"))
    });
    for node in &flock().nodes {
        let name = scope.name(&node.name);
        node.sleeper(&scope, &name);
        events.expect(&format!("create {name}"));
        events.expect(&format!("start {name}"));
        node.docker(&["rm", "--force", &name]).ok();
        events.expect(&format!("destroy {name}"));
    }
}

#[test]
fn past_events_come_in_the_order_of_their_time_and_end() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let since = now();
    for node in flock().nodes.iter().chain(&flock().nodes) {
        node.docker(&["run", "--rm", "--label", &scope.label(), "busybox", "true"])
            .ok();
    }
    let filter = format!("label={}", scope.label());
    let until = now();
    let args = [
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &filter,
        "--format",
        "{{json .}}",
    ];
    let events: Vec<Value> = flockerd
        .docker(&args)
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        events
            .iter()
            .filter(|event| event["Action"] == "create")
            .count(),
        2 * crate::harness::NODES
    );
    let times: Vec<_> = events
        .iter()
        .map(|event| event["timeNano"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// Seconds since 1970 with a fraction, as `--since` takes them.
fn now() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

#[test]
fn the_head_comes_before_any_event_and_a_lost_host_does_not_end_the_stream() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml("probe_interval = \"200ms\"")
        .start();
    // flockerd itself listens too.
    let listeners = |count: usize| fakes.iter().all(|fake| fake.listeners() == count);
    eventually!(listeners(1));
    let mut stream = flockerd.api().connect();
    stream.request("GET", "/events", &[], b"");
    stream.head().expect(200);
    eventually!(listeners(2));
    fakes[0].emit(&event("one"));
    assert_eq!(action(&mut stream), "one");
    fakes[1].hang_up();
    fakes[0].emit(&event("two"));
    assert_eq!(action(&mut stream), "two");
}

#[test]
fn a_host_that_was_lost_comes_back_to_the_stream() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .toml("probe_interval = \"200ms\"")
        .start();
    let listeners = |count: usize| fakes.iter().all(|fake| fake.listeners() == count);
    eventually!(listeners(1));
    let mut stream = flockerd.api().connect();
    stream.request("GET", "/events", &[], b"");
    stream.head().expect(200);
    eventually!(listeners(2));
    fakes[1].hang_up();
    eventually!(listeners(2));
    fakes[1].emit(&event("three"));
    assert_eq!(action(&mut stream), "three");
}

#[test]
fn an_event_of_a_new_container_makes_it_known() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    fakes[1].add(container('a', &["/new"]));
    fakes[1].emit(&event("create"));
    assert_eq!(
        flockerd
            .api()
            .get("/containers/new/json")
            .expect(200)
            .json()["Id"],
        "a".repeat(64)
    );
}

fn event(action: &str) -> Value {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let id = "a".repeat(64);
    json!({
        "Type": "container", "Action": action, "status": action, "id": id, "from": "busybox", "scope": "local",
        "Actor": {"ID": id, "Attributes": {"name": "new", "image": "busybox"}},
        "time": now.as_secs(), "timeNano": u64::try_from(now.as_nanos()).unwrap()
    })
}

/// The action of the next event.
#[track_caller]
fn action(stream: &mut Connection) -> String {
    let chunk = stream.chunk().expect("an event");
    let event: Value = serde_json::from_slice(&chunk).unwrap();
    event["Action"].as_str().unwrap().to_owned()
}
