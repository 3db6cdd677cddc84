//! `GET /events`: every backend's events as one stream.

mod joined;

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::{Response, StatusCode};
use memchr::memmem;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use super::{Proxy, Turn, forward, lists::mark::LABEL};
use crate::{
    backend::{Backend, Health},
    docker::{Body, call::Call, event::Event, lines::Lines, message, query::Query},
    error::Error,
    inventory::Inventory,
};
use joined::{Joined, Timed};

/// Events that wait for a slow client, over all backends; a full queue stops the reading, not the daemon.
const QUEUE: usize = 256;
/// The pause before a lost stream is opened again.
const PAUSE: Duration = Duration::from_millis(200);

impl Proxy {
    /// Opens the stream of every backend and joins them. The head is sent at once: clients wait for it before they do
    /// what they want to see.
    pub(super) async fn events(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let concerned = turn.selected(&mut call.query);
        let call = Arc::new(call);
        let until = Until::of(&call.query);
        let sources = concerned.into_iter().map(|backend| Source {
            backend,
            inventory: self.inventory.clone(),
            turn: turn.clone(),
            call: call.clone(),
            until,
            opened: now(),
            last: 0,
        });
        let opened = join_all(sources.map(|source| self.opened(source))).await;
        if let Some(refusal) = all_refused(&opened) {
            return Ok(opened
                .into_iter()
                .nth(refusal)
                .and_then(|(_, answer)| answer.ok())
                .unwrap_or_default());
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        for (source, answer) in opened {
            let lines = answer.ok().filter(|answer| answer.status().is_success());
            let lines = lines.map(|answer| Lines::new(answer.into_body()));
            tokio::spawn(source.run(lines, sender.clone()));
        }
        let joined = Joined::new(receiver, until.is_past());
        Ok(message::json(StatusCode::OK, Bytes::new()).map(|_| joined.body()))
    }

    async fn opened(&self, source: Source) -> (Source, Result<Response<Body>, Error>) {
        let limit = self.settings.backend_timeout;
        let late = |_| {
            Err(Error::backend(
                &source.backend.name,
                format!("no answer within {limit:?}"),
            ))
        };
        let answer = tokio::time::timeout(limit, source.open())
            .await
            .unwrap_or_else(late);
        if let Err(error) = &answer {
            tracing::warn!(backend = %source.backend.name, %error, "events of a backend are missing");
        }
        (source, answer)
    }
}

/// Where the refusal to pass on is, when no backend opened its stream and one said why.
fn all_refused(opened: &[(Source, Result<Response<Body>, Error>)]) -> Option<usize> {
    let status =
        |answer: &Result<Response<Body>, Error>| answer.as_ref().ok().map(Response::status);
    let good = opened
        .iter()
        .any(|(_, answer)| status(answer).is_some_and(|status| status.is_success()));
    (!good)
        .then(|| opened.iter().position(|(_, answer)| answer.is_ok()))
        .flatten()
}

/// The moment up to which a client wants events.
#[derive(Clone, Copy)]
struct Until(Option<Duration>);

impl Until {
    fn of(query: &Query) -> Self {
        let seconds = query
            .filled("until")
            .and_then(|until| until.parse::<f64>().ok());
        Self(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    }

    fn is_past(self) -> bool {
        self.0.is_some_and(|until| until <= now())
    }

    /// Waits for the moment, for ever when there is none.
    async fn reached(self) {
        match self.0 {
            Some(until) => sleep(until.saturating_sub(now())).await,
            None => pending().await,
        }
    }
}

/// The time since the epoch, by flockerd's clock.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// One backend's events for one client.
struct Source {
    backend: Arc<Backend>,
    inventory: Arc<Inventory>,
    turn: Turn,
    call: Arc<Call>,
    until: Until,
    /// When the client asked, as time since the epoch.
    opened: Duration,
    /// The time of the last event passed on, in nanoseconds since the epoch.
    last: i64,
}

/// How following a stream ended.
#[derive(PartialEq, Eq)]
enum End {
    /// There is no more to come, or nobody listens.
    Done,
    Lost,
}

impl Source {
    /// Opens the stream for the first time.
    async fn open(&self) -> Result<Response<Body>, Error> {
        self.backend
            .send(forward::request(&self.turn, self.call.copy())?)
            .await
    }

    /// Opens the stream after a loss: from the last event on, or from when the client asked.
    async fn open_again(&self) -> Result<Response<Body>, Error> {
        let mut call = self.call.copy();
        let since = match self.last {
            0 => self.opened,
            last => Duration::from_nanos(last.unsigned_abs()),
        };
        if self.last > 0 || call.query.filled("since").is_none() {
            let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
            call.query = call.query.with("since", &since);
        }
        self.backend.send(forward::request(&self.turn, call)?).await
    }

    /// Passes the events on until they end or nobody listens. A stream that is lost is opened again when the backend
    /// is back.
    async fn run(mut self, mut lines: Option<Lines>, client: mpsc::Sender<Timed>) {
        let until = self.until;
        loop {
            let end = tokio::select! {
                end = self.follow(&mut lines, &client) => end,
                () = client.closed() => return,
            };
            if end == End::Done || until.is_past() {
                return;
            }
            tokio::select! {
                opened = self.reopen() => match opened {
                    Some(opened) => lines = Some(opened),
                    None => return,
                },
                () = until.reached() => return,
                () = client.closed() => return,
            }
        }
    }

    /// Follows one stream.
    async fn follow(&mut self, lines: &mut Option<Lines>, client: &mpsc::Sender<Timed>) -> End {
        let Some(lines) = lines else { return End::Lost };
        let label = Value::from(&*self.backend.name).to_string();
        let seen = self.last;
        loop {
            match lines.next().await {
                Ok(Some(line)) => {
                    let event = serde_json::from_slice::<Event<IgnoredAny>>(&line);
                    let time = event.map_or(0, |event| event.time_nano);
                    // What was passed on before a loss comes again after it.
                    if time <= seen && seen > 0 {
                        continue;
                    }
                    self.last = self.last.max(time);
                    if client.send((time, marked(&line, &label))).await.is_err() {
                        return End::Done;
                    }
                }
                Ok(None) if self.until.0.is_some() => return End::Done,
                Ok(None) | Err(_) => return End::Lost,
            }
        }
    }

    /// Waits for the backend and opens its stream again; none when it left the flock or wants no such request.
    async fn reopen(&mut self) -> Option<Lines> {
        loop {
            sleep(PAUSE).await;
            let present = self.inventory.flock().get(&self.backend.name).cloned();
            if !present.is_some_and(|backend| Arc::ptr_eq(&backend, &self.backend)) {
                return None;
            }
            if self.backend.status().health != Health::Up {
                continue;
            }
            match self.open_again().await {
                Ok(answer) if answer.status().is_success() => {
                    return Some(Lines::new(answer.into_body()));
                }
                Ok(answer) if answer.status().is_client_error() => return None,
                _ => {}
            }
        }
    }
}

/// Adds the backend to an event's attributes. The name of the member cannot stand inside a string: its quotes would be
/// escaped there.
fn marked(line: &[u8], label: &str) -> Bytes {
    const MEMBER: &[u8] = b"\"Attributes\":{";
    let mut event = BytesMut::with_capacity(line.len() + label.len() + LABEL.len() + 8);
    match memmem::find(line, MEMBER) {
        Some(at) => {
            let (before, after) = line.split_at(at + MEMBER.len());
            let comma = if after.first() == Some(&b'}') {
                ""
            } else {
                ","
            };
            event.extend_from_slice(before);
            for part in ["\"", LABEL, "\":", label, comma] {
                event.extend_from_slice(part.as_bytes());
            }
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
