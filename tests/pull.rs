//! Images that are not there: pulled by the client, by many clients at once, or by flockerd.

use std::{collections::BTreeSet, thread};

use serde_json::json;

use crate::{
    fronts,
    harness::{
        Answer, Connection, FakeDocker, Flockerd, Front, NODES, Registry, Scope, flock, plugin,
    },
};

fronts!(
    an_absent_image_is_pulled_from_a_registry_with_a_password,
    a_pull_without_the_password_fails_in_the_daemons_words,
);

fn an_absent_image_is_pulled_from_a_registry_with_a_password(front: Front) {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().front(front).start();
    let image = flock().registry.seed(&scope);
    login(&flockerd);
    let name = scope.name("pulled");
    let output = flockerd.docker(&["run", "--name", &name, &image, "echo", "baa"]);
    assert!(
        output.stderr.contains("Unable to find image"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("Status: Downloaded newer image"),
        "{}",
        output.stderr
    );
    assert_eq!(output.ok(), "baa");
    assert_eq!(holders(&image), [flock().holder(&name).name.clone()]);
}

fn a_pull_without_the_password_fails_in_the_daemons_words(front: Front) {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().front(front).start();
    let image = flock().registry.seed(&scope);
    for args in [["run", image.as_str()], ["pull", image.as_str()]] {
        let expected = flock().node("node1").docker(&args);
        assert_eq!(flockerd.docker(&args).fails(expected.code), expected.stderr);
    }
}

#[test]
fn the_create_of_an_absent_image_is_answered_word_for_word_as_a_daemon_does() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": scope.name("nowhere")});
    let path = "/v1.41/containers/create?name=x";
    let expected = flock().node("node1").api().post(path, &body).expect(404);
    let answer = flockerd.api().post(path, &body).expect(404);
    assert_eq!(answer.body, expected.body);
    assert_eq!(
        answer.header("content-type"),
        expected.header("content-type")
    );
}

#[test]
fn a_pull_always_is_followed_by_a_create_on_the_same_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let image = flock().registry.seed(&scope);
    login(&flockerd);
    let name = scope.name("always");
    assert_eq!(
        flockerd
            .docker(&[
                "run", "--name", &name, "--pull", "always", &image, "echo", "baa"
            ])
            .ok(),
        "baa"
    );
    assert_eq!(holders(&image), [flock().holder(&name).name.clone()]);
}

/// The plugin would send a call to another host every time it is asked; it is asked once.
#[test]
fn pull_and_repeated_create_go_where_the_create_was_routed_with_the_credentials_untouched() {
    for same_connection in [true, false] {
        let fakes = [FakeDocker::start(), FakeDocker::start()];
        for fake in &fakes {
            fake.on(
                "POST /containers/create",
                Answer::error(404, "No such image: wool:1"),
            );
            fake.on(
                "POST /images/create",
                Answer::Progress(json!({"status": "Pulling from wool"})),
            );
        }
        let probe = format!(
            "[[plugin]]\npath = {:?}\nconfig = {{ hooks = [\"route\"], sequence = [\"node2\", \"node1\"] }}",
            plugin("probe")
        );
        let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
            .toml(&probe)
            .start();
        let mut connection = flockerd.api().connect();
        let mut call = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
            if !same_connection {
                connection = flockerd.api().connect();
            }
            connection.request("POST", path, headers, body);
            connection.reply()
        };
        let create = (
            "/v1.41/containers/create?name=fleece",
            json!({"Image": "wool:1"}).to_string(),
        );
        assert_eq!(
            call(create.0, &[], create.1.as_bytes())
                .expect(404)
                .message(),
            "No such image: wool:1"
        );
        let credentials = "eyJ1c2VybmFtZSI6ImZsb2NrIn0-_==";
        let headers = [("X-Registry-Auth", credentials), ("X-Meta-Herd", "one")];
        let progress = call("/v1.41/images/create?fromImage=wool&tag=1", &headers, b"").expect(200);
        assert!(progress.text().contains("Pulling from wool"));
        for fake in &fakes {
            // What a plugin with a `map` hook is shown.
            fake.on(
                "GET /images/wool:1/json",
                Answer::Json(200, json!({"Id": "sha256:1"})),
            );
            fake.on(
                "POST /containers/create",
                Answer::Json(201, json!({"Id": "f".repeat(64), "Warnings": []})),
            );
        }
        assert_eq!(
            call(create.0, &[], create.1.as_bytes()).expect(201).json()["Id"],
            "f".repeat(64)
        );

        assert!(
            fakes[0].asked("POST *").is_empty(),
            "{:?}",
            fakes[0].asked("POST *")
        );
        let pull = fakes[1]
            .asked("POST /images/create")
            .pop()
            .expect("the pull reached the host of the create");
        assert_eq!(pull.target, "/v1.41/images/create?fromImage=wool&tag=1");
        assert_eq!(
            (pull.header("x-registry-auth"), pull.header("x-meta-herd")),
            (Some(credentials), Some("one"))
        );
    }
}

#[test]
fn progress_is_streamed_as_it_comes() {
    let fake = FakeDocker::start();
    fake.on("POST /images/create", Answer::Follow);
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut connection = flockerd.api().connect();
    connection.request("POST", "/images/create?fromImage=wool&tag=1", &[], b"");
    connection.head().expect(200);
    drop(connection);
    crate::eventually!(fake.hangups() == ["POST /images/create"]);
}

#[test]
fn many_clients_run_the_same_absent_image() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let image = flock().registry.seed(&scope);
    login(&flockerd);
    run_many(&flockerd, &scope, &image);
    assert_eq!(hosts(&scope), holders(&image));
}

#[test]
fn clients_that_ask_before_the_image_is_anywhere_run_it_on_different_hosts() {
    let scope = flock().exclusive();
    let image = flock().registry.seed(&scope);
    let flockerd = Flockerd::over_flock().start();
    let auth = flock().registry.auth();
    let mut clients: Vec<_> = (0..2 * NODES).map(|_| flockerd.api().connect()).collect();
    let body = json!({ "Image": image, "Cmd": ["true"] }).to_string();
    let create = |client: &mut Connection, i: usize, status: u16| {
        let path = format!(
            "/containers/create?name={}",
            scope.name(&format!("many{i}"))
        );
        client.request("POST", &path, &[], body.as_bytes());
        client.reply().expect(status);
    };
    // Each step of all clients before the next step of any: nobody's pull helps somebody else's create.
    let all = || 0..2 * NODES;
    all().for_each(|i| create(&mut clients[i], i, 404));
    for client in &mut clients {
        let path = format!("/images/create?fromImage={image}");
        client.request("POST", &path, &[("X-Registry-Auth", &auth)], b"");
        let progress = client.reply().expect(200).text();
        assert!(!progress.contains("error"), "{progress}");
    }
    all().for_each(|i| create(&mut clients[i], i, 201));
    let used = hosts(&scope);
    assert_eq!(used.len(), NODES, "the containers are on {used:?} only");
    assert_eq!(holders(&image), used);
}

/// The hosts of the containers `many0`, `many1`...
fn hosts(scope: &Scope) -> Vec<String> {
    let names = (0..2 * NODES).map(|i| scope.name(&format!("many{i}")));
    let hosts: BTreeSet<String> = names
        .map(|name| flock().holder(&name).name.clone())
        .collect();
    hosts.into_iter().collect()
}

#[test]
fn flockerd_pulls_with_the_credentials_of_a_plugin() {
    let scope = flock().shared();
    let registry = &flock().registry;
    let path = plugin("registry-login");
    let login = format!(
        "[[plugin]]\npath = {path:?}\n[plugin.config.registries.{:?}]\nusername = {:?}\npassword = {:?}",
        registry.address,
        Registry::USER,
        Registry::PASSWORD
    );
    let flockerd = Flockerd::over_flock()
        .arg("--pull")
        .arg("proxy")
        .toml(&login)
        .start();
    let image = registry.seed(&scope);
    pulls_by_itself(&flockerd, &scope, &image);
    run_many(&flockerd, &scope, &registry.seed(&scope));
}

#[test]
fn flockerd_pulls_with_the_credentials_of_its_own_docker_configuration() {
    let scope = flock().shared();
    let registry = &flock().registry;
    let builder = Flockerd::over_flock().arg("--pull").arg("proxy");
    registry.login(&builder.home().join(".docker"));
    pulls_by_itself(&builder.start(), &scope, &registry.seed(&scope));
}

#[test]
fn flockerds_own_pull_fails_in_the_daemons_words() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().arg("--pull").arg("proxy").start();
    let image = flock().registry.seed(&scope);
    let answer = flockerd
        .api()
        .post("/v1.41/containers/create", &json!({"Image": image}));
    assert!(answer.status >= 400, "{}", answer.status);
    assert!(
        answer.message().contains("no basic auth credentials"),
        "{}",
        answer.text()
    );
}

/// The client is told nothing of a missing image, and the pull happens on one host.
fn pulls_by_itself(flockerd: &Flockerd, scope: &Scope, image: &str) {
    let name = scope.name("by-itself");
    let output = flockerd.docker(&["run", "--name", &name, image, "echo", "baa"]);
    assert_eq!(
        (output.stderr.as_str(), output.stdout().as_str()),
        ("", "baa\n")
    );
    assert_eq!(holders(image), [flock().holder(&name).name.clone()]);
}

fn run_many(flockerd: &Flockerd, scope: &Scope, image: &str) {
    thread::scope(|threads| {
        for i in 0..2 * NODES {
            let name = scope.name(&format!("many{i}"));
            threads.spawn(move || {
                let args = ["run", "-d", "--name", &name, image, "sleep", "600"];
                assert!(
                    flockerd
                        .docker(&args)
                        .ok()
                        .lines()
                        .last()
                        .is_some_and(|id| id.len() == 64)
                );
            });
        }
    });
}

/// Logs the client in, through flockerd: a backend asks the registry.
fn login(flockerd: &Flockerd) {
    let args = [
        "login",
        "--username",
        Registry::USER,
        "--password-stdin",
        &flock().registry.address,
    ];
    flockerd
        .docker_with(&args, Registry::PASSWORD.as_bytes())
        .ok();
}

/// The names of the hosts that have an image.
fn holders(image: &str) -> Vec<String> {
    let path = format!("/images/{image}/json");
    let nodes = flock()
        .nodes
        .iter()
        .filter(|node| node.api().get(&path).status == 200);
    nodes.map(|node| node.name.clone()).collect()
}
