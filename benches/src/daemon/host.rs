//! One scripted host: its containers, and its answers, written in advance.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Events that wait for a slow listener.
const QUEUE: usize = 1 << 16;
/// The length of an inspect answer.
const INSPECTED: usize = 2048;

/// One host.
pub(super) struct Host {
    pub(super) number: usize,
    /// Whether lists are never answered.
    pub(super) hung: AtomicBool,
    pub(super) events: broadcast::Sender<String>,
    list: Vec<u8>,
    first: Vec<u8>,
    inspected: Vec<u8>,
    created: AtomicU64,
}

impl Host {
    pub(super) fn new(number: usize, containers: usize) -> Self {
        let listed: Vec<String> = (0..containers)
            .map(|nth| listed(number, nth).to_string())
            .collect();
        let first = listed.first().cloned().unwrap_or_default();
        Self {
            number,
            hung: AtomicBool::new(false),
            events: broadcast::Sender::new(QUEUE),
            list: json_answer(200, &format!("[{}]\n", listed.join(","))),
            first: json_answer(200, &format!("[{first}]\n")),
            inspected: json_answer(200, &inspected(&id(number, 0))),
            created: AtomicU64::new(0),
        }
    }

    /// The answer to a list, of the first container alone if so asked.
    pub(super) fn list(&self, limited: bool) -> &[u8] {
        if limited { &self.first } else { &self.list }
    }

    /// The answer to the inspect of a container, whatever its id.
    pub(super) fn inspect(&self, container: &str) -> Vec<u8> {
        let mut answer = self.inspected.clone();
        let own = id(self.number, 0);
        if container.len() == own.len()
            && container != own
            && let Some(at) = crate::http::find(&answer, own.as_bytes())
        {
            answer[at..at + own.len()].copy_from_slice(container.as_bytes());
        }
        answer
    }

    /// The answer to a create.
    pub(super) fn create(&self) -> Vec<u8> {
        let nth = self.created.fetch_add(1, Ordering::Relaxed) + (1 << 32);
        let created = json!({ "Id": id(self.number, nth as usize), "Warnings": [] });
        json_answer(201, &format!("{created}\n"))
    }
}

/// A container's id.
pub(crate) fn id(host: usize, nth: usize) -> String {
    // Ids begin with what differs, as real ones do.
    format!("{nth:012x}{host:052x}")
}

/// What a daemon says of a container, 2 KB.
fn inspected(id: &str) -> String {
    let mut environment: Vec<String> = Vec::new();
    loop {
        let text = container(id, &environment).to_string();
        if text.len() >= INSPECTED {
            return text + "\n";
        }
        environment.push(format!("VARIABLE_{}=some value of it", environment.len()));
    }
}

fn container(id: &str, environment: &[String]) -> Value {
    json!({
        "Id": id, "Created": "2026-01-14T22:13:20.123456789Z", "Path": "sleep", "Args": ["infinity"],
        "State": {"Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false,
            "Dead": false, "Pid": 4711, "ExitCode": 0, "Error": "", "StartedAt": "2026-01-14T22:13:21.123456789Z",
            "FinishedAt": "0001-01-01T00:00:00Z"},
        "Image": "sha256:27a71e19c95622dce4d60d4a3264ec8b1e1d4c3a44a1cb4bd8f7d3d9ec2f4c5a", "Name": "/bench",
        "RestartCount": 0, "Driver": "overlay2", "Platform": "linux", "MountLabel": "", "ProcessLabel": "",
        "HostConfig": {"Binds": null, "NetworkMode": "default", "PortBindings": {}, "AutoRemove": false,
            "Privileged": false, "Memory": 0, "NanoCpus": 0, "CgroupnsMode": "private"},
        "Mounts": [],
        "Config": {"Hostname": &id[..12], "User": "", "Tty": false, "OpenStdin": true, "Env": environment,
            "Cmd": ["sleep", "infinity"], "Image": "busybox", "Labels": {}},
        "NetworkSettings": {"Networks": {"bridge": {"Gateway": "172.17.0.1", "IPAddress": "172.17.0.2"}}}
    })
}

/// A container as lists show it, about 1 KB. Lists begin with the newest, as daemons' do, and no host's are all newer than
/// another's.
fn listed(host: usize, nth: usize) -> Value {
    let created = 1_700_000_000 - nth * 1009 - host * 31 % 1009;
    json!({
        "Id": id(host, nth), "Names": [format!("/service-{host}-{nth}")], "Image": "registry.example.com/team/service:1.2.3",
        "ImageID": "sha256:27a71e19c95622dce4d60d4a3264ec8b1e1d4c3a44a1cb4bd8f7d3d9ec2f4c5a",
        "Command": "/usr/local/bin/service --config /etc/service.toml", "Created": created,
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 30_000 + nth, "Type": "tcp"}],
        "Labels": {"com.example.team": "web", "com.example.service": "frontend", "com.example.version": "1.2.3",
            "org.opencontainers.image.source": "https://git.example.com/team/service",
            "org.opencontainers.image.created": "2026-01-14T22:13:20Z"},
        "State": "running", "Status": "Up 3 days", "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAMConfig": null, "Links": null, "Aliases": null,
            "NetworkID": "7ea29fc1412292a2d7bba362f9253545fecdfa8ce9a6e37dd10ba8bee7129812",
            "EndpointID": "88eaed7b37b38c2a3f0c4bc796494fdf51b270c2d22656412a2ca5d559a64d7a",
            "Gateway": "172.17.0.1", "IPAddress": "172.17.0.8", "IPPrefixLen": 16, "MacAddress": "02:42:ac:11:00:08"}}},
        "Mounts": []
    })
}

/// A whole answer.
pub(super) fn json_answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Scripted\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
