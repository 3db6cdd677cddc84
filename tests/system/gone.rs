//! What is on a host that is gone is known to be there, and nothing takes its place.

use serde_json::json;

use super::slow::{network, volume};
use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd},
};

/// `node2` had a network, a volume and an image, and is gone.
fn gone() -> (FakeDocker, Flockerd) {
    let (stays, goes) = (FakeDocker::start(), FakeDocker::start());
    let image = json!([{
        "Id": "sha256:9", "RepoTags": ["gone-image:1"], "RepoDigests": null, "Created": 1, "Size": 1, "SharedSize": -1,
        "VirtualSize": 1, "Containers": -1, "Labels": null, "ParentId": ""
    }]);
    goes.on(
        "GET /networks",
        Answer::Json(200, json!([network("gone-net", 'd')])),
    );
    goes.on(
        "GET /volumes",
        Answer::Json(
            200,
            json!({"Volumes": [volume("gone-vol")], "Warnings": null}),
        ),
    );
    goes.on("GET /images/json", Answer::Json(200, image));
    for path in [
        "POST /networks/create",
        "POST /volumes/create",
        "POST /containers/create",
    ] {
        stays.on(
            path,
            Answer::Json(
                201,
                json!({"Id": "f".repeat(64), "Name": "x", "Warnings": []}),
            ),
        );
    }
    let flockerd = Flockerd::over_fakes(&[&stays, &goes])
        .toml("probe_interval = \"200ms\"\nbackend_timeout = \"1s\"")
        .start();
    // Known once it was listed.
    eventually!(!goes.asked("GET /networks").is_empty() && !goes.asked("GET /volumes").is_empty());
    flockerd.api().get("/networks").expect(200);
    flockerd.api().get("/volumes").expect(200);
    drop(goes);
    eventually!(flockerd.api().get("/networks").header("flockerd-missing") == Some("node2"));
    (stays, flockerd)
}

#[test]
fn calls_for_it_name_the_host() {
    let (_stays, flockerd) = gone();
    for (method, path) in [
        ("GET", "/networks/gone-net"),
        ("DELETE", "/networks/gone-net"),
        ("GET", "/volumes/gone-vol"),
        ("DELETE", "/volumes/gone-vol"),
        ("DELETE", "/volumes/gone-vol?force=1"),
        ("GET", "/images/gone-image:1/json"),
    ] {
        let refused = flockerd
            .api()
            .call(method, path, None)
            .expect(503)
            .message();
        assert!(refused.contains("node2"), "{method} {path}: {refused}");
    }
}

#[test]
fn nothing_is_made_in_its_place() {
    let (stays, flockerd) = gone();
    let refused = flockerd
        .api()
        .post("/networks/create", &json!({"Name": "gone-net"}));
    assert!(
        matches!(refused.status, 409 | 503),
        "{} {}",
        refused.status,
        refused.text()
    );
    let refused = flockerd
        .api()
        .post("/volumes/create", &json!({"Name": "gone-vol"}));
    assert!(refused.expect(503).message().contains("node2"));
    for host in [
        json!({"Binds": ["gone-vol:/data"]}),
        json!({"NetworkMode": "gone-net"}),
    ] {
        let body = json!({"Image": "busybox", "HostConfig": host});
        let refused = flockerd
            .api()
            .post("/containers/create?name=x", &body)
            .expect(503);
        assert!(refused.message().contains("node2"), "{}", refused.text());
    }
    let asked = [
        "POST /networks/create",
        "POST /volumes/create",
        "POST /containers/create",
    ];
    assert!(asked.iter().all(|path| stays.asked(path).is_empty()));
}

#[test]
fn what_concerns_the_others_goes_on() {
    let (stays, flockerd) = gone();
    flockerd
        .api()
        .post("/networks/create", &json!({"Name": "new-net"}))
        .expect(201);
    flockerd
        .api()
        .post("/volumes/create", &json!({"Name": "new-vol"}))
        .expect(201);
    assert_eq!(stays.asked("POST /networks/create").len(), 1);
    assert_eq!(stays.asked("POST /volumes/create").len(), 1);
}
