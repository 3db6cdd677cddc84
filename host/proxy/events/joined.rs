//! Many backends' events in one order.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::docker::{Body, BodyError};

/// How long an event waits for an earlier one of another backend.
const WINDOW: Duration = Duration::from_millis(50);
/// An event of a backend: when, by the daemon's clock in nanoseconds, and the line for the client.
pub(super) type Timed = (i64, Bytes);

/// The events of all backends, ordered by time within a small window.
pub(super) struct Joined {
    receiver: mpsc::Receiver<Timed>,
    waiting: Vec<Timed>,
    /// When what waits goes to the client.
    flush_at: Option<Instant>,
    /// Everything has happened: order the whole.
    past: bool,
}

impl Joined {
    /// Joins what a channel brings; `past` when everything has happened.
    pub(super) fn new(receiver: mpsc::Receiver<Timed>, past: bool) -> Self {
        Self {
            receiver,
            waiting: Vec::new(),
            flush_at: None,
            past,
        }
    }

    /// The events as a body. It ends when all backends' streams have ended; when the client goes, so do they.
    pub(super) fn body(self) -> Body {
        let frames = futures_util::stream::unfold(self, |mut joined| async {
            let events = joined.next().await?;
            Some((Ok::<_, BodyError>(Frame::data(events)), joined))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next events, in order; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let event = match self.flush_at {
                Some(at) => match timeout_at(at, self.receiver.recv()).await {
                    Ok(event) => event,
                    Err(_) => return Some(self.flush()),
                },
                None => self.receiver.recv().await,
            };
            match event {
                Some(event) => self.take(event),
                None if self.waiting.is_empty() => return None,
                None => return Some(self.flush()),
            }
        }
    }

    fn take(&mut self, event: Timed) {
        self.waiting.push(event);
        if !self.past && self.flush_at.is_none() {
            self.flush_at = Some(Instant::now() + WINDOW);
        }
    }

    fn flush(&mut self) -> Bytes {
        self.flush_at = None;
        // Stable, so that one daemon's order stands above all.
        self.waiting.sort_by_key(|(time, _)| *time);
        let mut events = BytesMut::new();
        self.waiting
            .drain(..)
            .for_each(|(_, line)| events.extend_from_slice(&line));
        events.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_are_ordered_within_the_window() {
        let (sender, receiver) = mpsc::channel(8);
        let mut joined = Joined::new(receiver, false);
        for time in [3, 1, 2] {
            sender
                .send((time, Bytes::from(time.to_string())))
                .await
                .unwrap();
        }
        assert_eq!(joined.next().await.unwrap(), "123");
        sender.send((0, Bytes::from("0"))).await.unwrap();
        drop(sender);
        assert_eq!(joined.next().await.unwrap(), "0");
        assert_eq!(joined.next().await, None);
    }
}
