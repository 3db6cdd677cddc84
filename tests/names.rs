//! What a reference means when ids, names and hosts get in each other's way.

use serde_json::{Value, json};

use crate::harness::{Answer, FakeDocker, Flockerd, container};

/// A container with an id that begins so.
fn with_id(start: &str, names: &[&str]) -> Value {
    let mut value = container('0', names);
    value["Id"] = json!(format!("{start:0<64}"));
    value
}

fn over(node1: &[Value], node2: &[Value]) -> (FakeDocker, FakeDocker, Flockerd) {
    let (node1, node2) = (FakeDocker::with(node1), FakeDocker::with(node2));
    let flockerd = Flockerd::over_fakes(&[&node1, &node2]).start();
    (node1, node2, flockerd)
}

#[track_caller]
fn found(flockerd: &Flockerd, reference: &str) -> String {
    let reply = flockerd
        .api()
        .get(&format!("/containers/{reference}/json"))
        .expect(200);
    reply.json()["Id"]
        .as_str()
        .unwrap()
        .trim_end_matches('0')
        .to_owned()
}

#[test]
fn a_full_id_goes_before_a_name_and_a_name_before_a_prefix() {
    let id = format!("{:0<64}", "ab1");
    let (_node1, _node2, flockerd) = over(
        &[with_id("ab1", &["/one"]), with_id("cd1", &["/three"])],
        &[
            with_id("ef1", &["/cd1"]),
            with_id("ff1", &[&format!("/{id}")]),
        ],
    );
    assert_eq!(found(&flockerd, &id), "ab1");
    assert_eq!(found(&flockerd, "cd1"), "ef1");
    assert_eq!(found(&flockerd, "cd10"), "cd1");
}

#[test]
fn a_prefix_that_fits_two_hosts_is_refused_as_one_daemon_would() {
    let (_node1, _node2, flockerd) = over(&[with_id("1a", &["/one"])], &[with_id("1b", &["/two"])]);
    let reply = flockerd.api().get("/containers/1/json");
    assert!(matches!(reply.status, 400 | 500), "{}", reply.status);
    assert!(
        reply
            .message()
            .contains("ultiple IDs found with provided prefix: 1"),
        "{}",
        reply.text()
    );
    assert_eq!(found(&flockerd, "1a"), "1a");
}

#[test]
fn a_name_on_two_hosts_is_refused_with_both_and_found_at_each() {
    let (_node1, _node2, flockerd) =
        over(&[with_id("a1", &["/twin"])], &[with_id("b1", &["/twin"])]);
    let reply = flockerd.api().get("/containers/twin/json");
    assert!(matches!(reply.status, 400 | 409), "{}", reply.status);
    let message = reply.message();
    assert!(
        message.contains("node1") && message.contains("node2"),
        "{message}"
    );
    assert_eq!(found(&flockerd, "twin@node1"), "a1");
    assert_eq!(found(&flockerd, "twin@node2"), "b1");
    assert_eq!(found(&flockerd, "b1"), "b1");
}

#[test]
fn paths_are_cleaned_and_decoded() {
    let (_node1, _node2, flockerd) = over(&[], &[with_id("a1", &["/web"])]);
    for reference in ["web", "/web", "%2Fweb", "web%40node2", "%77eb"] {
        assert_eq!(found(&flockerd, reference), "a1", "{reference}");
    }
}

#[test]
fn a_container_made_behind_the_flocks_back_is_found() {
    let (_node1, node2, flockerd) = over(&[], &[]);
    flockerd.api().get("/containers/late/json").expect(404);
    node2.add(with_id("a1", &["/late"]));
    assert_eq!(found(&flockerd, "late"), "a1");
    assert_eq!(found(&flockerd, "a100"), "a1");
}

#[test]
fn a_name_is_free_again_when_its_container_is_gone() {
    let (node1, node2, flockerd) = over(&[], &[]);
    let created = Answer::Json(201, json!({"Id": "d".repeat(64), "Warnings": []}));
    for node in [&node1, &node2] {
        node.on("POST /containers/create", created.clone());
        node.on(
            &format!("GET /containers/{}/json", "d".repeat(64)),
            Answer::Json(200, json!({"Id": "d".repeat(64), "Name": "/web"})),
        );
        node.on(
            &format!("DELETE /containers/{}", "d".repeat(64)),
            Answer::Json(204, Value::Null),
        );
        node.on("DELETE /containers/web", Answer::Json(204, Value::Null));
    }
    let create = || {
        flockerd
            .api()
            .post("/containers/create?name=web", &json!({"Image": "i"}))
    };
    create().expect(201);
    create().expect(409);
    flockerd.api().delete("/containers/web").expect(204);
    create().expect(201);
}

#[test]
fn an_exec_made_behind_the_flocks_back_is_found() {
    let (_node1, node2, flockerd) = over(&[], &[with_id("a1", &["/web"])]);
    let exec = "e".repeat(64);
    node2.on(
        &format!("GET /exec/{exec}/json"),
        Answer::Json(200, json!({"ID": exec, "ExitCode": 3})),
    );
    assert_eq!(
        flockerd
            .api()
            .get(&format!("/exec/{exec}/json"))
            .expect(200)
            .json()["ExitCode"],
        3
    );
    let unknown = flockerd
        .api()
        .get(&format!("/exec/{}/json", "f".repeat(64)))
        .expect(404)
        .message();
    assert_eq!(
        unknown,
        format!("No such exec instance: {}", "f".repeat(64))
    );
}

#[test]
fn an_inspect_that_finds_nothing_does_not_wait_for_a_slow_host() {
    let (_node1, node2, flockerd) = over(&[], &[]);
    node2.on("GET /containers/*", Answer::Hang);
    let start = std::time::Instant::now();
    let reply = flockerd.api().get("/containers/nobody/json");
    assert!(matches!(reply.status, 404 | 503), "{}", reply.status);
    assert!(
        start.elapsed() < std::time::Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}
