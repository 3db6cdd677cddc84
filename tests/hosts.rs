//! The harness itself: hosts that break and come back, a registry that wants a password, a daemon that misbehaves.

use std::path::Path;

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Registry, Target, container, flock},
};

#[test]
fn three_hosts_run_containers_of_their_own() {
    let flock = flock();
    let scope = flock.shared();
    for node in &flock.nodes {
        let id = node.sleeper(&scope, &scope.name(&node.name));
        assert_eq!(flock.holder(&id).name, node.name);
    }
}

#[test]
fn what_a_test_made_is_gone_after_it() {
    let flock = flock();
    let scope = flock.shared();
    let name = scope.name("left");
    flock.nodes[0].sleeper(&scope, &name);
    drop(scope);
    let _shared = flock.shared();
    assert_eq!(
        flock.nodes[0]
            .api()
            .get(&format!("/containers/{name}/json"))
            .status,
        404
    );
}

#[test]
fn a_host_loses_power_and_comes_back_with_its_containers() {
    let flock = flock();
    let mut scope = flock.exclusive();
    let node = flock.node("node2");
    let name = scope.name("survivor");
    node.sleeper(&scope, &name);
    scope.stop(node);
    // Killed is not yet gone: the kernel closes its sockets a moment later.
    eventually!(std::net::TcpStream::connect(&node.address).is_err());
    scope.start(node);
    assert_eq!(
        node.api().get(&format!("/containers/{name}/json")).json()["State"]["Running"],
        false
    );
}

#[test]
fn a_paused_daemon_accepts_and_says_nothing_until_it_is_resumed() {
    let flock = flock();
    let mut scope = flock.exclusive();
    let node = flock.node("node3");
    scope.pause(node);
    let mut connection = Target::Tcp(node.address.clone()).connect();
    connection.request("GET", "/_ping", &[], b"");
    scope.resume(node);
    assert_eq!(connection.reply().text(), "OK");
}

#[test]
fn the_registry_wants_its_password() {
    let flock = flock();
    let scope = flock.shared();
    let image = flock.registry.seed(&scope);
    let node = flock.node("node1");
    let refused = node.docker(&["pull", &image]);
    assert!(
        refused.stderr.contains("no basic auth credentials"),
        "{}",
        refused.stderr
    );
    assert!(!Registry::PASSWORD.is_empty());
}

#[test]
fn a_scripted_daemon_lists_hangs_cuts_and_remembers() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let api = Target::Tcp(fake.address.clone());
    assert_eq!(
        api.get("/v1.41/containers/json?all=1").json()[0]["Names"][0],
        "/web"
    );
    assert_eq!(
        fake.asked("GET /containers/json")[0].target,
        "/v1.41/containers/json?all=1"
    );
    assert_eq!(
        api.get("/containers/web/json").expect(200).json()["Name"],
        "/web"
    );
    assert_eq!(
        api.get("/containers/nobody/json").expect(404).message(),
        "No such container: nobody"
    );

    fake.on("GET /info", Answer::Follow);
    let mut connection = api.connect();
    connection.request("GET", "/info", &[], b"");
    assert_eq!(connection.head().status, 200);
    drop(connection);
    eventually!(fake.hangups() == ["GET /info"]);

    fake.on(
        "GET /info",
        Answer::Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
    );
    let mut connection = api.connect();
    connection.request("GET", "/info", &[], b"");
    assert!(connection.until_closed().ends_with(b"{"));
}

#[test]
fn the_script_that_makes_the_hosts_explains_itself() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flock.sh");
    let output = crate::harness::run(&mut std::process::Command::new(script), b"");
    assert!(output.fails(2).is_empty());
}
