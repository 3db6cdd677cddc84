//! The life of a container, request by request.

use serde_json::json;

use super::labels;
use crate::harness::{Flockerd, flock, same_as_one_daemon, step, tar};

#[test]
fn a_container_from_its_create_to_its_end() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let create = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "echo one; exec sleep 600"], "Labels": labels(), "Env": ["A=1"],
        "HostConfig": {"Memory": 67_108_864, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    });
    let script = [
        step(201, "POST /containers/create?name={p}-web")
            .json(&create)
            .keep("id", "/Id"),
        step(200, "GET /containers/{p}-web/json"),
        step(200, "GET /containers/{id}/json?size=1"),
        step(200, "GET /containers/{id}/changes"),
        step(200, "GET /containers/{id}/stats?stream=0"),
        step(501, "GET /containers/{id}/checkpoints"),
        step(204, "POST /containers/{p}-web/start"),
        step(304, "POST /containers/{p}-web/start"),
        step(200, "GET /v1.41/containers/{id}/json").until("/State/Running", json!(true)),
        step(200, "GET /v1.24/containers/{id}/json"),
        step(200, "GET /containers/{id}/top").differs(&["Processes/*/*"]),
        step(200, "GET /containers/{id}/top?ps_args=-o+pid,comm").differs(&["Processes/*/0"]),
        step(200, "GET /containers/{id}/logs?stdout=1").until_text("one"),
        step(
            200,
            "GET /containers/{p}-web/logs?stdout=1&stderr=1&tail=1&since=0&timestamps=1",
        ),
        step(200, "GET /containers/{id}/stats?stream=0").differs(&["blkio_stats"]),
        step(200, "GET /containers/{id}/stats?stream=False&one-shot=1").differs(&["blkio_stats"]),
        step(204, "POST /containers/{id}/pause"),
        step(409, "POST /containers/{id}/pause"),
        step(409, "POST /containers/{p}-web/exec").json(&json!({"Cmd": ["true"]})),
        step(
            200,
            r#"GET /containers/json?filters={"label":["same={p}"],"status":["paused"]}"#,
        )
        .differs(&["Status", "Image", "ImageID"])
        .whole(),
        step(204, "POST /containers/{id}/unpause"),
        step(500, "POST /containers/{id}/unpause"),
        step(200, "POST /containers/{id}/resize?h=10&w=20"),
        step(400, "POST /containers/{id}/resize?h=a&w=20"),
        step(200, "POST /containers/{id}/update").json(&json!({"CpuShares": 512})),
        step(400, "POST /containers/{id}/update").json(&json!({"Memory": 1})),
        step(204, "POST /containers/{id}/restart?t=0"),
        step(400, "POST /containers/{id}/kill?signal=NONSENSE"),
        step(409, "DELETE /containers/{id}"),
        step(204, "POST /containers/{id}/stop?t=0"),
        step(304, "POST /containers/{id}/stop?t=0"),
        step(200, "POST /containers/{id}/wait").exact(&["StatusCode"]),
        step(204, "POST /containers/{id}/start"),
        step(204, "POST /containers/{id}/kill?signal=KILL"),
        step(200, "POST /containers/{id}/wait").exact(&["StatusCode"]),
        step(500, "DELETE /containers/{p}-web?link=1"),
        step(204, "DELETE /containers/{id}?v=1&force=1"),
        step(404, "DELETE /containers/{id}"),
        step(404, "GET /containers/{p}-web/json"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn a_container_that_has_ended() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let create = json!({"Image": "busybox", "Cmd": ["sh", "-c", "exit 3"], "Labels": labels()});
    let script = [
        step(201, "POST /containers/create?name={p}-ended")
            .json(&create)
            .keep("id", "/Id"),
        step(204, "POST /containers/{id}/start"),
        step(200, "POST /containers/{id}/wait").exact(&["StatusCode"]),
        step(200, "POST /containers/{p}-ended/wait?condition=not-running").exact(&["StatusCode"]),
        step(409, "POST /containers/{p}-ended/kill"),
        step(409, "POST /containers/{p}-ended/pause"),
        step(409, "POST /containers/{p}-ended/resize?h=1&w=1"),
        step(409, "POST /containers/{p}-ended/exec").json(&json!({"Cmd": ["true"]})),
        step(409, "GET /containers/{p}-ended/top"),
        step(200, "GET /containers/{id}/json").exact(&["ExitCode"]),
        step(200, "GET /containers/{id}/export"),
        step(204, "DELETE /containers/{p}-ended"),
        step(404, "POST /containers/{id}/wait?condition=removed"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn names_are_taken_and_given() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": "busybox", "Labels": labels()});
    let script = [
        step(201, "POST /containers/create?name={p}-a")
            .json(&body)
            .keep("a", "/Id"),
        step(201, "POST /containers/create?name={p}-b")
            .json(&body)
            .keep("b", "/Id"),
        step(409, "POST /containers/create?name={p}-a").json(&body),
        step(409, "POST /containers/create?name=/{p}-a").json(&body),
        step(409, "POST /containers/{p}-b/rename?name={p}-a"),
        step(400, "POST /containers/{b}/rename?name={p}-b"),
        step(400, "POST /containers/{b}/rename?name="),
        step(400, "POST /containers/{b}/rename"),
        step(400, "POST /containers/{b}/rename?name=a/b"),
        step(404, "POST /containers/nobody/rename?name={p}-c"),
        step(204, "POST /containers/{b}/rename?name={p}-c"),
        step(404, "GET /containers/{p}-b/json"),
        step(200, "GET /containers/{p}-c/json"),
        step(204, "POST /containers/{p}-a/rename?name=/{p}-b"),
        step(409, "POST /containers/create?name={p}-b").json(&body),
        step(204, "DELETE /containers/{p}-b"),
        step(201, "POST /containers/create?name={p}-b").json(&body),
        step(201, "POST /containers/create")
            .json(&body)
            .keep("nameless", "/Id"),
        step(200, "GET /containers/{nameless}/json").differs(&["Name"]),
        step(204, "DELETE /containers/{nameless}"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn execs() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "600"], "Labels": labels()});
    let command = "echo out; sleep 0.2; echo err >&2; exit 3";
    let exec = json!({"Cmd": ["sh", "-c", command], "AttachStdout": true, "AttachStderr": true, "Env": ["A=1"]});
    let start = json!({"Detach": false, "Tty": false});
    let detached = json!({"Detach": true});
    let script = [
        step(201, "POST /containers/create?name={p}-in")
            .json(&body)
            .keep("in", "/Id"),
        step(204, "POST /containers/{in}/start"),
        step(201, "POST /containers/{p}-in/exec")
            .json(&exec)
            .keep("exec", "/Id"),
        step(200, "GET /exec/{exec}/json"),
        step(101, "POST /exec/{exec}/start")
            .json(&start)
            .upgrade("tcp"),
        step(200, "GET /exec/{exec}/json")
            .until("/Running", json!(false))
            .exact(&["ExitCode"]),
        step(200, "POST /exec/{exec}/start").json(&start),
        step(201, "POST /containers/{in}/exec")
            .json(&exec)
            .keep("plain", "/Id"),
        step(200, "POST /exec/{plain}/start").json(&start),
        step(201, "POST /containers/{in}/exec")
            .json(&json!({"Cmd": ["touch", "/tmp/new"]}))
            .keep("quiet", "/Id"),
        step(200, "POST /exec/{quiet}/start").json(&detached),
        step(200, "GET /exec/{quiet}/json").until("/ExitCode", json!(0)),
        step(200, "GET /containers/{in}/changes")
            .whole()
            .exact(&["*/Kind"]),
        step(200, "GET /containers/{in}/json"),
        step(201, "POST /containers/{in}/exec")
            .json(&json!({"Cmd": ["nosuchcommand"]}))
            .keep("bad", "/Id"),
        step(400, "POST /exec/{bad}/start").json(&detached),
        step(400, "POST /containers/{in}/exec").json(&json!({})),
        step(404, "POST /containers/nobody/exec").json(&json!({"Cmd": ["true"]})),
        step(404, "POST /exec/nobody/start").json(&detached),
        step(404, "POST /exec/nobody/resize?h=1&w=1"),
        step(404, "GET /exec/nobody/json"),
        step(404, "GET /exec/{exec}x/json"),
        step(204, "POST /containers/{in}/kill"),
        step(200, "POST /containers/{in}/wait").exact(&["StatusCode"]),
        step(409, "POST /containers/{in}/exec").json(&exec),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn files_go_in_and_come_out() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = json!({"Image": "busybox", "Labels": labels()});
    let archive = tar(&[("one", "1\n"), ("two", "2\n")]);
    let put = |status, path: &str, bytes: &[u8]| {
        step(status, &format!("PUT /containers/{path}")).bytes("application/x-tar", bytes)
    };
    let script = [
        step(201, "POST /containers/create?name={p}-box")
            .json(&body)
            .keep("box", "/Id"),
        step(200, "HEAD /containers/{p}-box/archive?path=/etc"),
        step(404, "HEAD /containers/{p}-box/archive?path=/nosuch"),
        put(200, "{p}-box/archive?path=/tmp", &archive),
        put(
            200,
            "{box}/archive?path=/tmp&noOverwriteDirNonDir=true&copyUIDGID=true",
            &archive,
        ),
        put(404, "{p}-box/archive?path=/nosuch", &archive),
        put(500, "{p}-box/archive?path=/tmp/one", &archive),
        put(500, "{p}-box/archive?path=/tmp", b"not a tar"),
        put(404, "nobody/archive?path=/tmp", &archive),
        step(200, "HEAD /containers/{box}/archive?path=/tmp/one"),
        step(200, "GET /containers/{box}/archive?path=/tmp/one"),
        step(200, "GET /containers/{box}/archive?path=/tmp"),
        step(404, "GET /containers/{p}-box/archive?path=/nosuch"),
        step(400, "GET /containers/{p}-box/archive"),
        step(404, "GET /containers/nobody/archive?path=/tmp"),
        step(200, "GET /containers/{box}/changes")
            .unordered()
            .exact(&["*/Kind"]),
        step(204, "DELETE /containers/{box}"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn what_it_says_is_attached_to() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let body = |tty: bool| json!({"Image": "busybox", "Cmd": ["sh", "-c", "echo said; sleep 0.2; echo more >&2"], "Tty": tty, "Labels": labels()});
    let script = [
        step(201, "POST /containers/create?name={p}-a")
            .json(&body(false))
            .keep("a", "/Id"),
        step(204, "POST /containers/{a}/start"),
        step(200, "POST /containers/{a}/wait").exact(&["StatusCode"]),
        step(101, "POST /containers/{a}/attach?logs=1&stdout=1&stderr=1").upgrade("tcp"),
        step(200, "POST /containers/{a}/attach?logs=1&stdout=1&stderr=1"),
        step(200, "GET /containers/{a}/logs?stdout=1&stderr=1&follow=1"),
        step(200, "GET /containers/{p}-a/logs?stderr=1"),
        step(200, "GET /containers/{p}-a/logs?stdout=1&tail=0"),
        step(400, "GET /containers/{p}-a/logs"),
        step(201, "POST /containers/create?name={p}-b")
            .json(&body(true))
            .keep("b", "/Id"),
        step(204, "POST /containers/{b}/start"),
        step(200, "POST /containers/{b}/wait").exact(&["StatusCode"]),
        step(200, "GET /containers/{b}/logs?stdout=1&stderr=1"),
        step(101, "POST /containers/{b}/attach?logs=1&stdout=1").upgrade("tcp"),
        step(404, "POST /containers/nobody/attach?stream=1").upgrade("tcp"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}
