//! Pull and push with a registry that asks for a password.

use serde_json::{Value, json};

use super::{credentials, having, id_of, import, places::route_to, send};
use crate::harness::{Flockerd, Scope, flock, same_as_one_daemon, step};

#[test]
fn push_and_pull_as_one_daemon_does() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let registry = &flock().registry.address;
    let image = format!("{registry}/{{p}}-r");
    let auth = credentials();
    let file = |p: &str| crate::harness::tar(&[("file", p)]);
    let with = |status, line: String| step(status, &line).header("X-Registry-Auth", &auth);
    let without = |status, line: String| step(status, &line).header("X-Registry-Auth", "e30=");
    let push = |tag: &str| format!("POST /images/{image}/push?tag={tag}");
    let pull = |tag: &str| format!("POST /images/create?fromImage={image}&tag={tag}");
    let script = [
        step(
            200,
            &format!("POST /images/create?fromSrc=-&repo={image}:1"),
        )
        .made("application/x-tar", file),
        step(400, &push("1")),
        without(200, push("1")),
        with(200, push("1")).differs(&["*/progress"]),
        with(200, push("nosuch")),
        with(200, format!("POST /images/{image}-nosuch/push?tag=1")),
        with(200, format!("POST /images/{image}/push")),
        with(200, format!("GET /distribution/{image}:1/json")),
        without(500, format!("GET /distribution/{image}:1/json")),
        with(404, format!("GET /distribution/{image}:nosuch/json")),
        step(200, &format!("GET /images/{image}:1/json")),
        with(200, pull("1")),
        step(200, &format!("DELETE /images/{image}:1")),
        with(200, pull("1")),
        with(200, pull("1")),
        with(200, format!("POST /images/create?fromImage={image}:1")),
        with(200, format!("POST /images/create?fromImage={image}")),
        without(500, pull("1")),
        with(404, pull("nosuch")),
        with(400, "POST /images/create?fromImage=UPPER".to_owned()),
        step(
            200,
            &format!(
                r#"GET /images/json?digests=1&filters={{"reference":["{registry}/{{p}}-r"]}}"#
            ),
        )
        .whole(),
        step(200, &format!("DELETE /images/{image}:1")),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// Logs the docker CLI of this flockerd in.
fn login(flockerd: &Flockerd) {
    flock().registry.login(&flockerd.home().join("docker"));
}

/// Pushes an image with this content under a name of the scope's from a host, and leaves it there.
fn publish(scope: &Scope, node: &str, content: &str) -> String {
    let image = format!("{}/{}:1", flock().registry.address, scope.name("shared"));
    let node = flock().node(node);
    let path = format!("/images/create?fromSrc=-&repo={image}");
    send(
        &node.api(),
        &path,
        &[],
        &crate::harness::tar(&[("file", content)]),
    );
    let (name, tag) = image.rsplit_once(':').unwrap();
    let auth = credentials();
    let said = send(
        &node.api(),
        &format!("/images/{name}/push?tag={tag}"),
        &[("X-Registry-Auth", &auth)],
        b"",
    );
    assert!(said.iter().all(|line| line["error"].is_null()), "{said:?}");
    image
}

fn pull(node: &str, image: &str) {
    let auth = credentials();
    let path = format!("/images/create?fromImage={image}");
    send(
        &flock().node(node).api(),
        &path,
        &[("X-Registry-Auth", &auth)],
        b"",
    );
}

#[test]
fn an_image_is_pushed_from_the_host_that_has_it() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let registry = &flock().registry.address;
    for node in &flock().nodes {
        let image = format!("{registry}/{}:1", scope.name(&node.name));
        import(node, &image);
        let refused = flockerd.docker(&["push", &image]).fails(1);
        assert!(refused.contains("no basic auth credentials"), "{refused}");
    }
    login(&flockerd);
    for node in &flock().nodes {
        let image = format!("{registry}/{}:1", scope.name(&node.name));
        let said = flockerd.docker(&["push", &image]).ok();
        assert!(said.contains("1: digest: sha256:"), "{said}");
        let id = id_of(&node.api(), &image);
        flockerd.docker(&["rmi", &image]).ok();
        flockerd.docker(&["pull", &image]).ok();
        assert_eq!(id_of(&flockerd.api(), &image), id);
    }
    let missing = format!("{registry}/{}:1", scope.name("missing"));
    let expected = flock().nodes[0].docker(&["push", &missing]);
    assert_eq!(
        flockerd.docker(&["push", &missing]).fails(expected.code),
        expected.stderr
    );
}

#[test]
fn a_pull_renews_the_image_on_every_host_that_has_it() {
    let scope = flock().shared();
    let image = publish(&scope, "node1", "old");
    pull("node2", &image);
    let old = id_of(&flock().nodes[0].api(), &image);
    // Published anew from elsewhere; only node1 and node2 are left with the old one.
    publish(&scope, "node3", "new");
    let new = id_of(&flock().nodes[2].api(), &image);
    flock().node("node3").docker(&["rmi", &image]).ok();
    let flockerd = Flockerd::over_flock().start();
    login(&flockerd);
    let said = flockerd.docker(&["pull", &image]).ok();
    assert_eq!(
        said.matches("Status: Downloaded newer image for").count(),
        1,
        "{said}"
    );
    assert_ne!(old, new);
    assert_eq!(having(&image), ["node1", "node2"]);
    for node in ["node1", "node2"] {
        assert_eq!(id_of(&flock().node(node).api(), &image), new, "{node}");
    }
    assert_eq!(id_of(&flockerd.api(), &image), new);
    let said = flockerd.docker(&["pull", &image]).ok();
    assert!(said.contains("Status: Image is up to date for"), "{said}");
}

#[test]
fn a_pull_without_a_create_goes_to_one_host() {
    let scope = flock().shared();
    let image = flock().registry.seed(&scope);
    let flockerd = Flockerd::over_flock().start();
    login(&flockerd);
    flockerd.docker(&["pull", &image]).ok();
    assert_eq!(having(&image).len(), 1);
    flockerd.docker(&["rmi", &image]).ok();
    let flockerd = Flockerd::over_flock().toml(&route_to("node3")).start();
    login(&flockerd);
    flockerd.docker(&["pull", &image]).ok();
    assert_eq!(having(&image), ["node3"]);
}

#[test]
fn a_pull_may_go_to_every_host() {
    let scope = flock().shared();
    let image = flock().registry.seed(&scope);
    let flockerd = Flockerd::over_flock().toml("pull_to = \"all\"").start();
    let path = format!("/images/create?fromImage={image}");
    let auth = credentials();
    let lines = send(&flockerd.api(), &path, &[("X-Registry-Auth", &auth)], b"");
    assert_eq!(having(&image), ["node1", "node2", "node3"], "{lines:?}");
    // One stream as of one daemon: every host's layers, one digest, one status, and it comes last.
    let status = |line: &Value| line["status"].as_str().unwrap_or_default().to_owned();
    let count = |start: &str| {
        lines
            .iter()
            .filter(|line| status(line).starts_with(start))
            .count()
    };
    assert_eq!((count("Digest: "), count("Status: ")), (1, 1), "{lines:?}");
    assert!(
        status(lines.last().unwrap()).starts_with("Status: Downloaded newer image"),
        "{lines:?}"
    );
    // A run needs no pull then, wherever it goes.
    for number in 0..6 {
        let name = scope.name(&number.to_string());
        let said = flockerd.docker(&["run", "--name", &name, &image, "true"]);
        assert_eq!((said.code, said.text().as_str()), (0, ""));
    }
}

#[test]
fn a_pull_to_every_host_that_fails_says_so_as_one_daemon_does() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().toml("pull_to = \"all\"").start();
    let image = format!("{}/nosuch:1", flock().registry.address);
    let path = format!("/images/create?fromImage={image}");
    let expected = flock().nodes[0].api().post(&path, &Value::Null);
    let seen = flockerd
        .api()
        .post(&path, &Value::Null)
        .expect(expected.status);
    assert_eq!(seen.message(), expected.message());
}

#[test]
fn calls_that_concern_a_registry_alone_pass_through() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let registry = &flock().registry.address;
    let login = |password: &str| json!({"username": "flock", "password": password, "serveraddress": registry});
    let script = [
        step(200, "POST /auth").json(&login("shepherd")),
        step(500, "POST /auth").json(&login("wrong")),
        step(500, "POST /auth").text("application/json", "{bad"),
        step(400, "GET /images/search?term=a&limit=1000"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}
