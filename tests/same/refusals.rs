//! What a daemon refuses, and how the flock does.

use serde_json::{Value, json};

use super::labels;
use crate::harness::{Flockerd, flock, same_as_one_daemon, step};

#[test]
fn creates_that_are_wrong() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let busybox = json!({"Image": "busybox", "Labels": labels()});
    let path = "POST /containers/create?name={p}-wrong";
    let with = |host: Value| json!({"Image": "busybox", "Labels": labels(), "HostConfig": host});
    let script = [
        step(400, "POST /containers/create?name={p}/wrong").json(&busybox),
        step(400, "POST /containers/create?name=-{p}").json(&busybox),
        step(400, path).text("text/plain", &busybox.to_string()),
        step(400, path).text("", &busybox.to_string()),
        step(400, path).json(&json!({})),
        step(400, path).json(&json!({"Image": ""})),
        step(500, path).json(&json!({"Image": "busybox", "Cmd": 5})),
        step(404, path).json(&json!({"Image": "{p}-nosuch:1"})),
        step(400, path).json(&json!({"Image": "UPPER"})),
        step(404, "POST /containers/create?name={p}-wrong&platform=linux/arm64").json(&busybox),
        step(400, path).json(&with(json!({"VolumesFrom": ["nobody"]}))),
        step(400, path).json(&with(json!({"Links": ["nobody:db"]}))),
        step(400, path).json(&with(json!({"PidMode": "container:nobody"}))),
        step(400, path).json(&with(json!({"IpcMode": "container:nobody"}))),
        step(500, path).json(&with(json!({"Binds": ["/nosuch:/x:zz"]}))),
        step(400, path).json(&with(json!({"Mounts": [{"Type": "bind", "Source": "/nosuchpath", "Target": "/x"}]}))),
        step(400, path).json(&json!({
            "Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"{p}-x": {}, "{p}-x2": {}}}
        }))
        .differs(&["message"]),
        // All of them left the name free.
        step(201, path).json(&with(json!({"NetworkMode": "{p}-nosuch"}))),
        step(404, "POST /containers/{p}-wrong/start"),
        step(204, "DELETE /containers/{p}-wrong"),
        step(201, path).json(&with(json!({"NetworkMode": "container:nobody"}))),
        step(404, "POST /containers/{p}-wrong/start"),
        step(400, "POST /containers/{p}-wrong/start").text("application/json", r#"{"Binds": ["/a:/b"]}"#),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn a_command_that_is_not_there_fails_at_the_start() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": "busybox", "Cmd": ["nosuchcommand"], "Labels": labels()});
    let script = [
        step(201, "POST /containers/create?name={p}-bad")
            .json(&body)
            .keep("bad", "/Id"),
        step(400, "POST /containers/{p}-bad/start"),
        step(200, "GET /containers/{p}-bad/json").exact(&["ExitCode"]),
        step(200, "POST /containers/{bad}/wait").exact(&["StatusCode"]),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn a_container_that_is_not_there() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let gets = [
        "json",
        "top",
        "changes",
        "logs?stdout=1",
        "stats",
        "stats?stream=0",
        "export",
        "archive?path=/",
    ];
    let posts = [
        "start",
        "stop",
        "restart",
        "kill",
        "pause",
        "unpause",
        "wait",
        "wait?condition=removed",
        "attach?stream=1",
    ];
    let mut script: Vec<_> = gets
        .iter()
        .map(|path| ("GET", *path))
        .chain(posts.iter().map(|path| ("POST", *path)))
        .chain([
            ("POST", "resize?h=1&w=1"),
            ("POST", "rename?name=x"),
            ("GET", "attach/ws"),
            ("HEAD", "archive?path=/"),
        ])
        .map(|(method, path)| step(404, &format!("{method} /containers/{{p}}-nobody/{path}")))
        .collect();
    script.push(step(404, "POST /containers/{p}-nobody/update").json(&json!({"CpuShares": 512})));
    script.push(step(404, "DELETE /containers/{p}-nobody"));
    script.push(step(404, "DELETE /containers/{p}-nobody?force=1&v=1"));
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn paths_that_are_not_there() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let script = [
        step(404, "PUT /version"),
        step(404, "POST /containers/json"),
        step(404, "GET /containers/json/"),
        step(404, "GET /v1.41/nothing"),
        step(404, "GET /v1.41/"),
        step(404, "GET /metrics"),
        step(400, "GET /v9.99/_ping"),
        step(200, "GET /v1.24/_ping"),
        step(200, "OPTIONS /containers/json"),
        step(200, "OPTIONS /nothing"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// What a plugin could not read is not for a host to read either; a daemon says why in the words of its parser.
#[test]
fn a_body_that_is_not_json_is_refused() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for body in ["", "{nonsense", "[]", "5"] {
        let mut connection = flockerd.api().connect();
        connection.request("POST", "/containers/create?name=x", &[], body.as_bytes());
        let refused = connection.reply();
        assert!(
            matches!(refused.status, 400 | 500),
            "{body:?}: {}",
            refused.status
        );
        assert!(!refused.message().is_empty());
    }
}
