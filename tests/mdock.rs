//! The black-box vectors of flockerd's ancestor mdock. Where mdock was wrong, the answer is the one a Docker daemon gives.

use std::{collections::BTreeMap, io::Write};

use serde_json::{Value, json};

use crate::harness::{Answer, FakeDocker, Flockerd, container};

/// Creates and pulls.
mod create;

/// node1 has `/web` with a link alias; node2 has a container without a name and `/dup`.
struct Fixture {
    node1: FakeDocker,
    node2: FakeDocker,
    flockerd: Flockerd,
}

fn fixture() -> Fixture {
    let node1 = FakeDocker::with(&[container('a', &["/web", "/other/web"])]);
    let node2 = FakeDocker::with(&[container('b', &[]), container('c', &["/dup"])]);
    let flockerd = Flockerd::over_fakes(&[&node1, &node2]).start();
    Fixture {
        node1,
        node2,
        flockerd,
    }
}

impl Fixture {
    /// What node1 was asked about the container `web`, by name or id: method, rest of the path, query.
    fn asked_web(&self, method: &str) -> Vec<(String, String)> {
        let requests = self
            .node1
            .requests()
            .into_iter()
            .filter(|request| request.method == method);
        let about_web = requests.filter_map(|request| {
            let rest = ["web", &"a".repeat(64)].iter().find_map(|id| {
                request
                    .path
                    .strip_prefix(&format!("/containers/{id}"))
                    .map(str::to_owned)
            })?;
            let query = request
                .target
                .split_once('?')
                .map_or(String::new(), |(_, query)| query.to_owned());
            Some((rest, query))
        });
        about_web.collect()
    }

    /// Calls that change something or ask for one container; the index and the probes are not of interest.
    fn node2_was_left_alone(&self) {
        let asked: Vec<_> = self
            .node2
            .requests()
            .into_iter()
            .filter(|request| request.method != "GET")
            .collect();
        assert!(
            asked.iter().all(|request| request.path == "/_ping"),
            "{asked:?}"
        );
    }
}

#[test]
fn a1_the_list_has_every_container_with_its_name_at_its_host() {
    let Fixture { flockerd, .. } = &fixture();
    let list = flockerd.api().get("/containers/json").expect(200);
    assert_eq!(list.header("content-type"), Some("application/json"));
    let names: BTreeMap<String, Value> = list
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(by_first_letter)
        .collect();
    let expected = [
        ("a", json!(["/web", "/other/web", "/web@node1"])),
        // Without mdock's missing slash: every name in Docker's lists begins with one.
        ("b", json!(["/bbbbbbbbbbbb@node2"])),
        ("c", json!(["/dup", "/dup@node2"])),
    ];
    assert_eq!(
        names,
        expected.map(|(id, names)| (id.to_owned(), names)).into()
    );
}

fn by_first_letter(container: &Value) -> (String, Value) {
    (
        container["Id"].as_str().unwrap()[..1].to_owned(),
        container["Names"].clone(),
    )
}

/// mdock forgot the query.
#[test]
fn a2_the_list_minds_its_query() {
    let fixture = fixture();
    let list = fixture
        .flockerd
        .api()
        .get("/v1.13/containers/json?all=0&limit=1")
        .expect(200)
        .json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let asked = fixture.node1.asked("GET /containers/json");
    assert!(
        asked
            .iter()
            .any(|request| request.target == "/v1.13/containers/json?all=0&limit=1"),
        "{asked:?}"
    );
}

/// Docker says 404 where mdock said 405.
#[test]
fn a3_a_wrong_method_is_a_page_not_found() {
    let reply = fixture()
        .flockerd
        .api()
        .call("POST", "/containers/json", None)
        .expect(404);
    assert_eq!(reply.message(), "page not found");
}

/// mdock answered none of these.
#[test]
fn a4_ping_info_version_and_images_are_answered() {
    let Fixture { flockerd, .. } = &fixture();
    for path in ["/_ping", "/info", "/v1.13/version", "/images/json"] {
        flockerd.api().get(path).expect(200);
    }
}

#[test]
fn a5_a_name_at_a_host_is_found_there() {
    let fixture = fixture();
    for name in ["web@node1", "web%40node1", "aaaaaaaaaaaa@node1"] {
        let reply = fixture
            .flockerd
            .api()
            .get(&format!("/v1.13/containers/{name}/json"))
            .expect(200);
        assert_eq!(reply.json()["Name"], "/web", "{name}");
    }
    assert!(
        fixture
            .asked_web("GET")
            .contains(&("/json".to_owned(), String::new()))
    );
}

#[test]
fn a6_a_name_at_the_wrong_host_is_not_found() {
    let reply = fixture()
        .flockerd
        .api()
        .get("/containers/web@node2/json")
        .expect(404);
    assert_eq!(reply.message(), "No such container: web@node2");
}

#[test]
fn a7_a_short_id_is_found() {
    let fixture = fixture();
    for id in ["a".repeat(12), "a".repeat(64)] {
        fixture
            .node1
            .on("GET /containers/a*", Answer::Json(200, json!("line")));
        fixture
            .flockerd
            .api()
            .get(&format!("/containers/{id}/logs?stdout=1"))
            .expect(200);
    }
    assert_eq!(
        fixture
            .node1
            .asked("GET /containers/a*")
            .iter()
            .filter(|r| r.target.ends_with("/logs?stdout=1"))
            .count(),
        2
    );
}

/// mdock knew ids of 12 and 64 characters only.
#[test]
fn a8_any_unambiguous_prefix_is_found() {
    let Fixture { flockerd, .. } = &fixture();
    for length in [1, 8, 13] {
        flockerd
            .api()
            .get(&format!("/containers/{}/json", "a".repeat(length)))
            .expect(200);
    }
    assert_eq!(
        flockerd
            .api()
            .get("/containers/bbbbbbbbbbbb@node2/json")
            .expect(200)
            .json()["Id"],
        "b".repeat(64)
    );
}

#[test]
fn a9_a_removal_reaches_the_host_with_its_query() {
    let fixture = fixture();
    fixture
        .flockerd
        .api()
        .delete("/containers/web@node1?v=1&force=1")
        .expect(204);
    assert_eq!(
        fixture.asked_web("DELETE"),
        [(String::new(), "v=1&force=1".to_owned())]
    );
    fixture.node2_was_left_alone();
}

#[test]
fn a10_a_stop_reaches_the_host_with_its_query() {
    let fixture = fixture();
    fixture
        .flockerd
        .api()
        .call("POST", "/containers/web/stop?t=5", None)
        .expect(204);
    assert_eq!(
        fixture.asked_web("POST"),
        [("/stop".to_owned(), "t=5".to_owned())]
    );
    fixture.node2_was_left_alone();
}

#[test]
fn a11_an_archive_is_streamed_to_the_host() {
    let fixture = fixture();
    let mut connection = fixture.flockerd.api().connect();
    let head = "PUT /containers/web/archive?path=/x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}4\r\nwool\r\n6\r\nfleece\r\n0\r\n\r\n").as_bytes());
    connection.reply().expect(204);
    let put = fixture
        .node1
        .requests()
        .into_iter()
        .find(|request| request.method == "PUT")
        .expect("it arrived");
    assert_eq!(put.body, b"woolfleece");
    assert!(put.target.ends_with("/archive?path=/x"), "{}", put.target);
}

/// mdock answered 500.
#[test]
fn a12_the_head_of_an_archive_is_answered_with_its_header() {
    let fixture = fixture();
    let answer = Answer::talk(|_, mut stream| {
        let head = "HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: eyJuYW1lIjoieCJ9\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    });
    fixture.node1.on("HEAD /containers/*", answer);
    let reply = fixture
        .flockerd
        .api()
        .call("HEAD", "/containers/web/archive?path=/x", None)
        .expect(200);
    assert_eq!(
        reply.header("x-docker-container-path-stat"),
        Some("eyJuYW1lIjoieCJ9")
    );
}

/// mdock crashed on a start without a body and could not start `web@node1`.
#[test]
fn a21_a_start_is_relayed_with_and_without_a_body() {
    let fixture = fixture();
    for (name, body) in [("web", Some(json!({}))), ("web", None), ("web@node1", None)] {
        fixture
            .flockerd
            .api()
            .call("POST", &format!("/containers/{name}/start"), body.as_ref())
            .expect(204);
    }
    assert_eq!(fixture.asked_web("POST").len(), 3);
    fixture
        .flockerd
        .api()
        .call("POST", "/containers/nobody/start", None)
        .expect(404);
    fixture.node2_was_left_alone();
}
