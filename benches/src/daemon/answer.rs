//! What a host answers.

use std::sync::{Arc, atomic::Ordering};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};

use super::{
    hijacked,
    host::{Host, json_answer},
    stream,
};
use crate::{
    http::{Connection, Head},
    pattern::Pattern,
    socket::Stream,
};

/// What a connection of a host knows.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) host: Arc<Host>,
    pub(super) flock: Arc<Vec<Arc<Host>>>,
    pub(super) pattern: Arc<Pattern>,
}

impl Party {
    pub(super) fn new(
        host: &Arc<Host>,
        flock: &Arc<Vec<Arc<Host>>>,
        pattern: &Arc<Pattern>,
    ) -> Self {
        Self {
            host: host.clone(),
            flock: flock.clone(),
            pattern: pattern.clone(),
        }
    }
}

/// Serves a TCP listener for ever.
pub(super) async fn tcp(listener: TcpListener, party: Party) {
    while let Ok((stream, _)) = listener.accept().await {
        // Fails only when the connection has ended, which its reader notices.
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(Box::new(stream), party.clone()));
    }
}

/// Serves a unix listener for ever.
pub(super) async fn unix(listener: UnixListener, party: Party) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(Box::new(stream), party.clone()));
    }
}

/// A connection that ends in the wrong way is the client's to report: it misses something.
async fn connection(stream: Box<dyn Stream>, party: Party) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(head)) = connection.head().await {
        let Some(asked) = Asked::parse(&head) else {
            return;
        };
        if asked.path.ends_with("/attach") {
            let _ = hijacked::run(connection, &asked, &party).await;
            return;
        }
        let answered = answer(&mut connection, &head, &asked, &party).await;
        if answered.is_err() || head.closes {
            return;
        }
    }
}

/// What a request asks for.
pub(super) struct Asked<'a> {
    method: &'a str,
    /// Without version and query.
    path: &'a str,
    query: &'a str,
}

impl<'a> Asked<'a> {
    fn parse(head: &'a Head) -> Option<Self> {
        let mut words = head.line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let versionless = path
            .strip_prefix("/v1.")
            .and_then(|rest| rest.split_once('/'));
        let path = versionless.map_or(path, |(version, _)| &path["/v1.".len() + version.len()..]);
        Some(Self {
            method,
            path,
            query,
        })
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        let number = self.parameter(name).and_then(|text| text.parse().ok());
        number.unwrap_or_default()
    }

    /// `top` of `/containers/c/top`, and `c`.
    fn of_container(&self) -> Option<(&'a str, &'a str)> {
        self.path.strip_prefix("/containers/")?.split_once('/')
    }
}

async fn answer(
    connection: &mut Connection,
    head: &Head,
    asked: &Asked<'_>,
    party: &Party,
) -> Result<()> {
    let host = &party.host;
    if let ("GET", Some((container, "json"))) = (asked.method, asked.of_container()) {
        return connection.send(&host.inspect(container)).await;
    }
    if asked.method == "POST" {
        return change(connection, head, asked, party).await;
    }
    match asked.path {
        "/containers/json" if host.hung.load(Ordering::Relaxed) => std::future::pending().await,
        "/containers/json" => {
            let limited = asked.parameter("limit") == Some("1");
            connection.send(host.list(limited)).await
        }
        "/events" => stream::events(connection, host).await,
        path if path.ends_with("/logs") => {
            stream::logs(connection, asked.number("bytes"), &party.pattern).await
        }
        path if path.ends_with("/get") => {
            stream::export(connection, asked.number("bytes"), &party.pattern).await
        }
        path => {
            let (status, body) = small(path, asked.of_container().is_some());
            connection.send(&json_answer(status, &body)).await
        }
    }
}

/// Answers that are always the same.
fn small(path: &str, of_container: bool) -> (u16, String) {
    let image = "sha256:27a71e19c95622dce4d60d4a3264ec8b1e1d4c3a44a1cb4bd8f7d3d9ec2f4c5a";
    let body = match path {
        "/_ping" => return (200, "OK".to_owned()),
        "/version" => json!({
            "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"
        }),
        "/info" => json!({"ID": "BENCH", "NCPU": 2, "MemTotal": 1_000_000_000u64, "Name": "bench"}),
        "/images/json" => json!([{"Id": image, "RepoTags": ["busybox:latest"], "RepoDigests": []}]),
        "/networks" => json!([]),
        "/volumes" => json!({"Volumes": [], "Warnings": null}),
        "/images/busybox/json" => {
            json!({"Id": image, "RepoTags": ["busybox:latest"], "Os": "linux", "Architecture": "amd64"})
        }
        // As long as an inspect, and nothing is added to it on its way.
        _ if of_container => json!({"Titles": ["PID"], "Processes": [["x".repeat(2000)]]}),
        _ => return (404, json!({"message": "page not found"}).to_string()),
    };
    (200, body.to_string())
}

/// Answers what is no GET.
async fn change(
    connection: &mut Connection,
    head: &Head,
    asked: &Asked<'_>,
    party: &Party,
) -> Result<()> {
    let mut at = 0;
    let checked = asked.path == "/images/load";
    let length = connection.body(head, |part| {
        let offset = at;
        at += part.len() as u64;
        if checked {
            party.pattern.check(offset, part)
        } else {
            Ok(())
        }
    });
    let length = length.await?;
    match asked.path {
        "/containers/create" => {
            ensure!(length > 0, "a create without a body");
            connection.send(&party.host.create()).await
        }
        "/images/load" => {
            let line = json!({ "stream": format!("received {length}\n") }).to_string();
            connection.send(&json_answer(200, &line)).await
        }
        "/bench/hang" => {
            let hung = asked.number("host") as usize;
            for host in party.flock.iter() {
                host.hung.store(host.number == hung, Ordering::Relaxed);
            }
            empty(connection).await
        }
        "/bench/events" => {
            tokio::spawn(stream::emit(
                party.flock.clone(),
                asked.number("count"),
                asked.number("rate"),
            ));
            empty(connection).await
        }
        _ => empty(connection).await,
    }
}

async fn empty(connection: &mut Connection) -> Result<()> {
    connection
        .send(b"HTTP/1.1 204 No Content\r\nApi-Version: 1.41\r\n\r\n")
        .await
}
