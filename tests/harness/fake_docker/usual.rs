//! What the scripted daemon answers when no rule says otherwise.

use serde_json::{Value, json};

use super::{Answer, Request};

/// What a daemon with these containers and nothing else would say.
pub(super) fn answer(containers: &[Value], request: &Request) -> Answer {
    match request.line().as_str() {
        "GET /_ping" | "HEAD /_ping" => Answer::Json(200, json!("OK")),
        "GET /version" => Answer::Json(200, version()),
        "GET /info" => Answer::Json(200, info(containers)),
        "GET /containers/json" => Answer::Json(200, Value::Array(containers.to_vec())),
        "GET /images/json" | "GET /networks" => Answer::Json(200, json!([])),
        "GET /volumes" => Answer::Json(200, json!({"Volumes": [], "Warnings": null})),
        line => match container_of(&request.path) {
            Some(reference) => inspect(containers, line, reference),
            None => Answer::error(404, "page not found"),
        },
    }
}

/// A container as a list shows it; the id is one character, 64 times.
pub(crate) fn container(id: char, names: &[&str]) -> Value {
    json!({
        "Id": id.to_string().repeat(64), "Names": names, "Image": "busybox", "ImageID": "sha256:1", "Command": "sh",
        "Created": 1_700_000_000 + u32::from(id), "Ports": [], "Labels": {}, "State": "running", "Status": "Up 1 second",
        "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": []
    })
}

/// A host's answer of so many containers of 10 KB, the newest first, with its head.
pub(crate) fn long_list(host: usize, containers: usize) -> Vec<u8> {
    let label = "x".repeat(10_000);
    let list: Vec<_> = (0..containers)
        .map(|nth| {
            json!({
                "Id": format!("{host:032x}{nth:032x}"), "Names": [format!("/long-{host}-{nth}")],
                "Created": 1_700_000_000 - 100 * nth + host, "Labels": {"long": label}
            })
        })
        .collect();
    let list = Value::Array(list).to_string();
    let length = list.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head, list].concat().into_bytes()
}

fn version() -> Value {
    json!({
        "Platform": {"Name": ""}, "Components": [], "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12",
        "GitCommit": "fake", "GoVersion": "go1", "Os": "linux", "Arch": "amd64", "KernelVersion": "6", "BuildTime": ""
    })
}

fn info(containers: &[Value]) -> Value {
    json!({
        "ID": "FAKE", "Containers": containers.len(), "ContainersRunning": containers.len(), "ContainersPaused": 0,
        "ContainersStopped": 0, "Images": 1, "NCPU": 2, "MemTotal": 1_000_000_000_u64, "Name": "fake", "Driver": "overlay2",
        "ServerVersion": "20.10.24", "OSType": "linux", "Architecture": "x86_64", "Labels": [], "Warnings": null,
        "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": false}
    })
}

fn inspect(containers: &[Value], line: &str, reference: &str) -> Answer {
    let is_it = |container: &&Value| {
        let id = container["Id"].as_str().unwrap_or_default();
        let named = |name: &Value| name.as_str() == Some(&format!("/{reference}"));
        id.starts_with(reference)
            || container["Names"]
                .as_array()
                .into_iter()
                .flatten()
                .any(named)
    };
    match containers.iter().find(is_it) {
        None => Answer::error(404, &format!("No such container: {reference}")),
        Some(found) if line.starts_with("GET ") && line.ends_with("/json") => {
            Answer::Json(200, details(found))
        }
        Some(_) => Answer::Json(204, Value::Null),
    }
}

fn details(container: &Value) -> Value {
    let name = container["Names"][0].as_str().unwrap_or("/nameless");
    json!({
        "Id": container["Id"], "Name": name, "Created": "2023-11-14T22:13:20Z", "Image": "sha256:1",
        "Path": "sh", "Args": [], "State": {"Status": "running", "Running": true},
        "Config": {"Image": "busybox", "Tty": false, "Labels": {}, "Env": [], "Cmd": ["sh"]},
        "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": []
    })
}

/// The reference in `/containers/{c}` and `/containers/{c}/...`.
fn container_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/containers/")?;
    let reference = rest.split('/').next()?;
    (!matches!(reference, "create" | "prune")).then_some(reference)
}
