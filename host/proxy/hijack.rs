//! Leaving HTTP: attach and exec become raw bytes both ways.

use std::{fmt::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, response::Parts};

use super::{Proxy, Reply, Turn, builds::InUse, forward, splice::Pipes};
use crate::{
    backend::{Backend, Hijacked},
    docker::{self, action::Object, call::Call},
    error::Error,
    socket::Socket,
};

/// How long a head goes before what follows it, if it does: a client takes some milliseconds to read on a busy machine.
const HEAD_START: Duration = Duration::from_millis(5);

/// A connection that leaves HTTP: the front door writes `head` and `early` to the client, then joins the sockets.
pub struct Hijack {
    /// The answer's head as it goes over the wire.
    pub head: Bytes,
    /// The backend's socket.
    pub socket: Socket,
    /// What the backend sent after its head.
    pub early: Bytes,
    /// How long the head goes before what follows it.
    pub head_start: Duration,
    /// What bulk is spliced through.
    pub pipes: Arc<Pipes>,
    /// What ends when the connection does.
    pub held: Option<InUse>,
}

impl Reply {
    /// The same, with something that ends when the connection does, if it leaves HTTP.
    pub(super) fn holding(self, held: InUse) -> Self {
        match self {
            Self::Hijack(hijack) => Self::Hijack(Hijack {
                held: Some(held),
                ..hijack
            }),
            answered => answered,
        }
    }
}

impl Proxy {
    /// Forwards an attach or an exec start.
    ///
    /// The backend is always asked to upgrade. A client that did not ask gets the old form, 200 and raw bytes; either
    /// way nothing of what the client sends after its request goes on before the backend's head has come, because a
    /// daemon throws away what it has read before it leaves HTTP.
    pub(super) async fn hijack(
        &self,
        turn: &Turn,
        mut call: Call,
        object: Object,
    ) -> Result<Reply, Error> {
        let backend = self.locate(turn, &mut call, object).await?;
        self.leave(turn, call, &backend).await
    }

    /// Asks a backend to leave HTTP with a call.
    pub(super) async fn leave(
        &self,
        turn: &Turn,
        mut call: Call,
        backend: &Backend,
    ) -> Result<Reply, Error> {
        let asked = call.headers.get(header::UPGRADE).cloned();
        let head_start = head_start(&call.headers);
        let body = docker::collect(call.take_body(), self.settings.body_limit).await?;
        call.set_body(body);
        let mut request = forward::request(turn, call)?;
        let protocol = asked.clone().unwrap_or(HeaderValue::from_static("tcp"));
        request
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(header::UPGRADE, protocol);
        match backend.hijack(request).await? {
            Hijacked::Stayed(response) => Ok(Reply::Http(response)),
            Hijacked::Left {
                head,
                socket,
                early,
            } => Ok(Reply::Hijack(Hijack {
                head: wire(turn, head, asked.is_some()),
                socket,
                early,
                head_start,
                pipes: self.pipes.clone(),
                held: None,
            })),
        }
    }
}

/// The head start of an answer. Behind a daemon's head the rest comes a moment later, and clients such as
/// docker-py throw away what they read together with it; nobody can see when a client has read the head. The docker CLI,
/// and what else is made of its Go client, keeps what it has read.
fn head_start(headers: &HeaderMap) -> Duration {
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    match agent.is_some_and(|agent| agent.starts_with(b"Docker-Client/")) {
        true => Duration::ZERO,
        false => HEAD_START,
    }
}

/// The head for the client: the backend's own 101, or the 200 of the form without an upgrade.
fn wire(turn: &Turn, head: Parts, upgrade: bool) -> Bytes {
    let mut headers = head.headers;
    for (name, value) in turn.flock.common().identity.clone() {
        if headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    let status = match upgrade {
        true => reason(&head.extensions, head.status),
        false => {
            headers.remove(header::CONNECTION);
            headers.remove(header::UPGRADE);
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/vnd.docker.raw-stream"),
            );
            "200 OK".to_owned()
        }
    };
    write(&status, &headers)
}

/// The status line's end in the backend's words: `101 UPGRADED`.
fn reason(extensions: &http::Extensions, status: StatusCode) -> String {
    let phrase = extensions
        .get::<hyper::ext::ReasonPhrase>()
        .map(|phrase| String::from_utf8_lossy(phrase.as_bytes()));
    format!(
        "{} {}",
        status.as_str(),
        phrase
            .as_deref()
            .or(status.canonical_reason())
            .unwrap_or_default()
    )
}

fn write(status: &str, headers: &HeaderMap) -> Bytes {
    let mut text = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(line, "{}: ", canonical(name.as_str()));
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.into()
}

/// `Content-Type`, as daemons write it: some clients compare header names with capitals.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_written_as_daemons_write_them() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("a/b"));
        assert_eq!(
            write("101 UPGRADED", &headers),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: a/b\r\n\r\n"
        );
    }

    #[test]
    fn who_keeps_what_comes_with_the_head_does_not_wait() {
        let waits = |agent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
            !head_start(&headers).is_zero()
        };
        assert!(!waits("Docker-Client/28.2.2 (linux)"));
        assert!(waits("docker-sdk-python/7.2.0") && waits("python-requests/2 Docker-Client/1"));
        assert!(!head_start(&HeaderMap::new()).is_zero());
    }
}
