//! flockerd is killed with -9 in the middle, and started again.

use serde_json::json;

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, container, flock},
};

/// Killed between create and pull, and again between pull and create: the third step still goes to the first one's host.
#[test]
fn a_run_goes_on_where_it_was_when_flockerd_is_killed_in_the_middle() {
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
    let mut flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let path = "/v1.41/containers/create?name=fleece";
    let body = json!({"Image": "wool:1"});
    flockerd.api().post(path, &body).expect(404);
    flockerd.kill9();
    let chosen = fakes
        .iter()
        .position(|fake| !fake.asked("POST /containers/create").is_empty())
        .unwrap();
    let (chosen, other) = (&fakes[chosen], &fakes[1 - chosen]);
    ('a'..='f').for_each(|id| chosen.add(container(id, &[&format!("/{id}")])));
    flockerd.restart();
    flockerd
        .api()
        .call("POST", "/v1.41/images/create?fromImage=wool&tag=1", None)
        .expect(200);
    flockerd.kill9();
    chosen.on(
        "POST /containers/create",
        Answer::Json(201, json!({"Id": "f".repeat(64), "Warnings": []})),
    );
    flockerd.restart();
    flockerd.api().post(path, &body).expect(201);
    assert!(
        other.asked("POST *").is_empty(),
        "{:?}",
        other.asked("POST *")
    );
    assert_eq!(chosen.asked("POST /images/create").len(), 1);
}

#[test]
fn a_run_can_be_repeated_after_flockerd_was_killed_while_the_image_was_pulled() {
    let fakes = [FakeDocker::start(), FakeDocker::start()];
    for fake in &fakes {
        fake.on(
            "POST /containers/create",
            Answer::error(404, "No such image: wool:1"),
        );
        fake.on("POST /images/create", Answer::Follow);
    }
    let mut flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]).start();
    let path = "/v1.41/containers/create?name=fleece";
    let body = json!({"Image": "wool:1"});
    flockerd.api().post(path, &body).expect(404);
    let mut pull = flockerd.api().connect();
    pull.request(
        "POST",
        "/v1.41/images/create?fromImage=wool&tag=1",
        &[],
        b"",
    );
    pull.head().expect(200);
    flockerd.kill9();
    eventually!(
        fakes
            .iter()
            .any(|fake| fake.hangups() == ["POST /images/create"])
    );
    flockerd.restart();
    for fake in &fakes {
        fake.on(
            "POST /images/create",
            Answer::Progress(json!({"status": "Pulling from wool"})),
        );
    }
    flockerd.api().post(path, &body).expect(404);
    flockerd
        .api()
        .call("POST", "/v1.41/images/create?fromImage=wool&tag=1", None)
        .expect(200);
    for fake in &fakes {
        fake.on(
            "POST /containers/create",
            Answer::Json(201, json!({"Id": "f".repeat(64), "Warnings": []})),
        );
    }
    flockerd.api().post(path, &body).expect(201);
    let used: Vec<_> = fakes
        .iter()
        .filter(|fake| !fake.asked("POST *").is_empty())
        .collect();
    assert_eq!(used.len(), 1, "one host had it all");
}

#[test]
fn containers_survive_flockerd() {
    let scope = flock().shared();
    let mut flockerd = Flockerd::over_flock().start();
    let name = scope.name("survivor");
    let id = flockerd.sleeper(&scope, &name);
    flockerd.kill9();
    flockerd.restart();
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", "{{.Id}} {{.State.Running}}", &name])
            .ok(),
        format!("{id} true")
    );
    assert_eq!(
        flockerd.docker(&["exec", &id[..12], "echo", "alive"]).ok(),
        "alive"
    );
}
