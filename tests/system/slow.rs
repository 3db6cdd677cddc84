//! A host that answers late delays nobody who did not ask for it.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Answer, FakeDocker, Flockerd, container};

/// How long a list waits for a host, as configured here.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a loaded machine may need on top of that.
const SPARE: Duration = Duration::from_secs(3);

/// `node1` answers; `node2` has been well and now takes 30 seconds for each answer.
struct Slow {
    quick: FakeDocker,
    slow: FakeDocker,
    flockerd: Flockerd,
}

pub(super) fn network(name: &str, id: char) -> Value {
    json!({
        "Name": name, "Id": id.to_string().repeat(64), "Created": "2026-11-21T00:00:00Z", "Scope": "local", "Driver": "bridge",
        "EnableIPv6": false, "IPAM": {"Driver": "default", "Options": null, "Config": []}, "Internal": false,
        "Attachable": false, "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false, "Containers": {},
        "Options": {}, "Labels": {}
    })
}

pub(super) fn volume(name: &str) -> Value {
    json!({
        "Name": name, "Driver": "local", "Mountpoint": "/x", "Labels": null, "Scope": "local", "Options": null,
        "CreatedAt": "2026-11-21T00:00:00Z"
    })
}

fn slow() -> Slow {
    let quick = FakeDocker::with(&[container('a', &["/quick"])]);
    let slow = FakeDocker::with(&[container('b', &["/slow"])]);
    let volume = volume("quick-vol");
    let usage = json!({"LayersSize": 5, "Images": [], "Containers": [], "Volumes": [], "BuildCache": [], "BuilderSize": 0});
    let answers =
        |path: &str, answer: Value| quick.on(&format!("GET {path}"), Answer::Json(200, answer));
    answers("/networks", json!([network("quick-net", 'c')]));
    answers("/networks/quick-net", network("quick-net", 'c'));
    answers(
        &format!("/networks/{}", "c".repeat(64)),
        network("quick-net", 'c'),
    );
    answers("/volumes", json!({"Volumes": [volume], "Warnings": null}));
    answers("/volumes/quick-vol", volume);
    answers("/system/df", usage);
    let flockerd = Flockerd::over_fakes(&[&quick, &slow])
        .toml("backend_timeout = \"1s\"\nprobe_interval = \"1h\"")
        .start();
    flockerd.api().get("/networks").expect(200);
    flockerd.api().get("/volumes").expect(200);
    let list = flockerd.api().get("/containers/json").expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    for method in ["GET", "POST", "HEAD", "DELETE"] {
        slow.on(
            &format!("{method} /*"),
            Answer::Gated(Box::new(Answer::Hang)),
        );
    }
    Slow {
        quick,
        slow,
        flockerd,
    }
}

#[track_caller]
fn within<T>(limit: Duration, what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let taken = start.elapsed();
    assert!(taken < limit, "{what} took {taken:?}");
    result.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

#[test]
fn lists_wait_no_longer_than_the_timeout_and_name_who_is_missing() {
    for path in [
        "/containers/json",
        "/networks",
        "/volumes",
        "/images/json",
        "/info",
    ] {
        let flock = slow();
        let reply = within(TIMEOUT + SPARE, path, || {
            flock.flockerd.api().get(path).expect(200)
        });
        if path != "/info" {
            assert_eq!(reply.header("flockerd-missing"), Some("node2"), "{path}");
        }
        assert!(!flock.slow.requests().is_empty());
    }
}

#[test]
fn calls_for_another_host_do_not_wait() {
    let flock = slow();
    let api = flock.flockerd.api();
    for path in [
        "/containers/quick/json",
        "/networks/quick-net",
        "/volumes/quick-vol",
        "/_ping",
        "/version",
    ] {
        within(TIMEOUT, path, || api.get(path).expect(200));
    }
    within(TIMEOUT, "stop", || {
        api.post("/containers/quick/stop", &Value::Null).expect(204)
    });
    assert!(!flock.quick.asked("POST /containers/*").is_empty());
}

/// What is nowhere to be found may be on the host that does not answer, so this is no 404.
#[test]
fn what_nobody_knows_is_answered_in_time() {
    for path in [
        "/containers/nobody/json",
        "/networks/nobody",
        "/volumes/nobody",
        "/images/nobody/json",
    ] {
        let flock = slow();
        let reply = within(TIMEOUT + SPARE, path, || flock.flockerd.api().get(path));
        assert!(
            matches!(reply.status, 404 | 503),
            "{path}: {} {}",
            reply.status,
            reply.text()
        );
    }
}

#[test]
fn prunes_go_on_without_the_slow_host() {
    let flock = slow();
    let answers = [
        (
            "/containers/prune",
            json!({"ContainersDeleted": ["x"], "SpaceReclaimed": 1}),
        ),
        ("/networks/prune", json!({"NetworksDeleted": ["x"]})),
        (
            "/volumes/prune",
            json!({"VolumesDeleted": ["x"], "SpaceReclaimed": 1}),
        ),
        (
            "/images/prune",
            json!({"ImagesDeleted": [{"Deleted": "x"}], "SpaceReclaimed": 1}),
        ),
        (
            "/build/prune",
            json!({"CachesDeleted": ["x"], "SpaceReclaimed": 1}),
        ),
    ];
    for (path, answer) in answers {
        flock
            .quick
            .on(&format!("POST {path}"), Answer::Json(200, answer.clone()));
        // A prune is work, which may take its time; what must not wait is everything else.
        let mut waiting = flock.flockerd.api().connect();
        waiting.request("POST", path, &[], b"");
        crate::eventually!(!flock.quick.asked(&format!("POST {path}")).is_empty());
        within(TIMEOUT, path, || {
            flock
                .flockerd
                .api()
                .get("/containers/quick/json")
                .expect(200)
        });
    }
}

/// A new container does not wait for a host that it does not go to.
#[test]
fn a_create_for_another_host_is_in_time() {
    let flock = slow();
    let created = json!({"Id": "f".repeat(64), "Warnings": []});
    flock
        .quick
        .on("POST /containers/create", Answer::Json(201, created));
    let body = json!({"Image": "busybox", "HostConfig": {"NetworkMode": "quick-net"}});
    let path = "/containers/create?name=new";
    within(TIMEOUT + SPARE, path, || {
        flock.flockerd.api().post(path, &body).expect(201)
    });
}

#[test]
fn a_list_of_images_that_hangs_holds_no_call_for_ever_and_no_host_is_down_for_it() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake])
        .toml("backend_timeout = \"500ms\"")
        .start();
    flockerd.api().get("/containers/json").expect(200);
    fake.on("GET /images/json", Answer::Hang);
    fake.on("POST /images/wool/tag", Answer::Json(201, json!(null)));
    fake.on(
        "GET /images/wool/json",
        Answer::Json(200, json!({"Id": "sha256:1"})),
    );
    // The list is read again before a tag is answered; a hanging one is given up.
    flockerd
        .api()
        .call("POST", "/images/wool/tag?repo=a&tag=1", None)
        .expect(201);
    crate::eventually!(flockerd.log().contains("images cannot be listed"));
    assert!(!flockerd.log().contains("backend is down"));
}
