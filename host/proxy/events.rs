//! `GET /events`: every backend's events as one stream.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Proxy, Turn, forward, lists::LABEL};
use crate::{
    backend::Backend,
    docker::{Body, BodyError, call::Call, lines::Lines, message},
    error::Error,
};

/// Events that wait for a slow client, over all backends; a full queue stops the reading, not the daemon.
const QUEUE: usize = 256;

impl Proxy {
    /// Opens the stream of every backend and interleaves them as they come. The head is sent at once: clients wait for
    /// it before they do what they want to see.
    pub(super) async fn events(&self, turn: &Turn, call: Call) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let open = turn
            .flock
            .usable()
            .map(|backend| self.open_events(turn, &call, backend));
        let mut streams = Vec::new();
        let mut refused = None;
        for (backend, answer) in join_all(open).await {
            match answer {
                Ok(response) if response.status().is_success() => streams.push((backend, response)),
                Ok(response) => refused = Some(response),
                Err(error) => {
                    tracing::warn!(backend = %backend.name, %error, "events of a backend are missing")
                }
            }
        }
        match (streams.is_empty(), refused) {
            (true, Some(refusal)) => Ok(refusal),
            (true, None) => Err(Error::NoBackend),
            (false, _) => Ok(message::json(StatusCode::OK, Bytes::new()).map(|_| merge(streams))),
        }
    }

    async fn open_events(
        &self,
        turn: &Turn,
        call: &Call,
        backend: &Arc<Backend>,
    ) -> (Arc<Backend>, Result<Response<Body>, Error>) {
        let limit = self.settings.backend_timeout;
        let answer = async { backend.send(forward::request(turn, call.copy())?).await };
        let late = |_| {
            Err(Error::backend(
                &backend.name,
                format!("no answer within {limit:?}"),
            ))
        };
        let answer = tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(late);
        (backend.clone(), answer)
    }
}

/// One body of several streams. It ends when all have ended; when the client goes, so do they.
fn merge(streams: Vec<(Arc<Backend>, Response<Body>)>) -> Body {
    let (sender, receiver) = mpsc::channel(QUEUE);
    for (backend, response) in streams {
        tokio::spawn(follow(
            backend,
            Lines::new(response.into_body()),
            sender.clone(),
        ));
    }
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let event: Bytes = receiver.recv().await?;
        Some((Ok::<_, BodyError>(Frame::data(event)), receiver))
    });
    http_body_util::BodyExt::boxed_unsync(StreamBody::new(frames))
}

/// Passes a backend's events on until it ends or nobody listens.
async fn follow(backend: Arc<Backend>, mut lines: Lines, client: mpsc::Sender<Bytes>) {
    let label = Value::from(&*backend.name).to_string();
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = client.closed() => return,
        };
        match line {
            Ok(Some(line)) => {
                if client.send(marked(&line, &label)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(reason) => {
                return tracing::warn!(backend = %backend.name, reason, "events of a backend broke off");
            }
        }
    }
}

/// Adds the backend to an event's attributes. The name of the member cannot stand inside a string: its quotes would be
/// escaped there.
fn marked(line: &[u8], label: &str) -> Bytes {
    const MEMBER: &[u8] = b"\"Attributes\":{";
    let mut event = BytesMut::with_capacity(line.len() + label.len() + LABEL.len() + 8);
    match line
        .windows(MEMBER.len())
        .position(|window| window == MEMBER)
    {
        Some(at) => {
            let (before, after) = line.split_at(at + MEMBER.len());
            let comma = if after.first() == Some(&b'}') {
                ""
            } else {
                ","
            };
            event.extend_from_slice(before);
            event.extend_from_slice(format!("\"{LABEL}\":{label}{comma}").as_bytes());
            event.extend_from_slice(after);
        }
        None => event.extend_from_slice(line),
    }
    event.extend_from_slice(b"\n");
    event.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_tell_their_backend() {
        for (line, expected) in [
            (
                r#"{"Actor":{"ID":"x","Attributes":{"image":"b"}}}"#,
                r#"{"Actor":{"ID":"x","Attributes":{"flocker.backend":"n1","image":"b"}}}"#,
            ),
            (
                r#"{"Actor":{"ID":"x","Attributes":{}}}"#,
                r#"{"Actor":{"ID":"x","Attributes":{"flocker.backend":"n1"}}}"#,
            ),
            (r#"{"Type":"x"}"#, r#"{"Type":"x"}"#),
        ] {
            let marked = marked(line.as_bytes(), "\"n1\"");
            assert_eq!(marked, format!("{expected}\n"));
        }
    }
}
