//! Creates and pulls among mdock's vectors.

use serde_json::json;

use super::{Fixture, fixture};
use crate::harness::{Answer, Flockerd, Request, plugin};

impl Fixture {
    /// Both hosts answer calls of this method and path so.
    fn on(&self, line: &str, answer: &Answer) {
        [&self.node1, &self.node2]
            .into_iter()
            .for_each(|node| node.on(line, answer.clone()));
    }

    /// The only call of this method and path that reached a host.
    #[track_caller]
    fn only(&self, line: &str) -> Request {
        let mut asked = [self.node1.asked(line), self.node2.asked(line)].concat();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

/// mdock demanded a name.
#[test]
fn a13_a_create_without_a_name_is_given_one_that_the_flock_knows() {
    let fixture = fixture();
    let created = json!({"Id": "d".repeat(64), "Warnings": []});
    fixture.on(
        "POST /containers/create",
        &Answer::Json(201, created.clone()),
    );
    fixture
        .flockerd
        .api()
        .post("/containers/create", &json!({"Image": "i"}))
        .expect(201);
    let create = fixture.only("POST /containers/create");
    assert!(
        create
            .target
            .split_once("name=")
            .is_some_and(|(_, name)| !name.is_empty()),
        "{}",
        create.target
    );
}

/// mdock answered 500 with the address of the host.
#[test]
fn a14_a_taken_name_is_a_conflict() {
    let fixture = fixture();
    for name in ["web", "/web", "dup"] {
        let path = format!("/containers/create?name={name}");
        let reply = fixture
            .flockerd
            .api()
            .post(&path, &json!({"Image": "i"}))
            .expect(409);
        let (name, id) = (
            name.trim_start_matches('/'),
            if name == "dup" { "c" } else { "a" },
        );
        let expected = format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{}\". \
             You have to remove (or rename) that container to be able to reuse that name.",
            id.repeat(64)
        );
        assert_eq!(reply.message(), expected);
    }
    assert!(fixture.node1.asked("POST *").is_empty());
    fixture.node2_was_left_alone();
}

#[test]
fn a15_an_absent_image_is_the_daemons_404() {
    let fixture = fixture();
    fixture.on(
        "POST /containers/create",
        &Answer::error(404, "No such image: i:latest"),
    );
    let reply = fixture
        .flockerd
        .api()
        .post("/containers/create?name=fresh", &json!({"Image": "i"}))
        .expect(404);
    assert_eq!(reply.body, b"{\"message\":\"No such image: i:latest\"}\n");
}

#[test]
fn a16_a_create_is_forwarded_byte_for_byte() {
    let fixture = fixture();
    let created = json!({"Id": "d".repeat(64), "Warnings": []});
    fixture.on(
        "POST /containers/create",
        &Answer::Json(201, created.clone()),
    );
    // Odd spacing, a key twice, a letter beyond ASCII: mdock re-wrote and cut it.
    let body = "{ \"Image\" :\"i\",\"Env\":[\"ANIMAL=Schäfchen\"],\"X\":1.0,\"X\":1e2 }".as_bytes();
    let mut connection = fixture.flockerd.api().connect();
    connection.request("POST", "/v1.13/containers/create?name=fresh", &[], body);
    assert_eq!(connection.reply().expect(201).json(), created);
    let create = fixture.only("POST /containers/create");
    assert_eq!(create.body, body);
    assert_eq!(create.target, "/v1.13/containers/create?name=fresh");
}

#[test]
fn a17_and_a24_without_a_backend_lists_are_empty_and_creates_are_refused() {
    let path = plugin("fixed-backends");
    let flockerd = Flockerd::builder()
        .toml(&format!(
            "[[plugin]]\npath = {path:?}\nconfig = {{ backends = [] }}"
        ))
        .start();
    assert_eq!(
        flockerd.api().get("/containers/json").expect(200).json(),
        json!([])
    );
    let reply = flockerd
        .api()
        .post("/containers/create?name=x", &json!({"Image": "i"}))
        .expect(503);
    assert!(!reply.message().is_empty());
}

/// mdock knew the path without a version only.
#[test]
fn a19_and_a20_a_pull_is_relayed_with_its_credentials() {
    for prefix in ["", "/v1.13"] {
        let fixture = fixture();
        fixture.on(
            "POST /images/create",
            &Answer::Progress(json!({"status": "Pulling"})),
        );
        let mut connection = fixture.flockerd.api().connect();
        let path = format!("{prefix}/images/create?fromImage=i&tag=t");
        connection.request("POST", &path, &[("X-Registry-Auth", "e30=")], b"");
        assert!(connection.reply().expect(200).text().contains("Pulling"));
        let pull = fixture.only("POST /images/create");
        assert!(
            pull.target.ends_with("/images/create?fromImage=i&tag=t"),
            "{}",
            pull.target
        );
        assert_eq!(pull.header("x-registry-auth"), Some("e30="));
    }
}
