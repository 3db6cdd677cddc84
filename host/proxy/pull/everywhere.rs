//! One pull on several backends, as one stream of progress.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::task::JoinSet;

use super::finished;
use crate::{
    backend::Backend,
    docker::{Body, BodyError, call::Call, lines::Lines},
    error::Error,
    proxy::{Turn, forward},
};

/// Pulls on all of these backends. The client sees the progress of the first one that answers, how the others end, and
/// at last what that first one said in the end.
///
/// A pull that fails on all is one's failure; one that fails on some is a success with a warning.
pub(super) async fn pull(
    turn: &Turn,
    mut call: Call,
    backends: &[Arc<Backend>],
) -> Result<Response<Body>, Error> {
    if let [only] = backends {
        return only.send(forward::request(turn, call)?).await;
    }
    // Clients that send a body with a pull send nothing that a daemon reads.
    drop(call.take_body());
    let mut heads = JoinSet::new();
    for backend in backends {
        let (backend, request) = (backend.clone(), forward::request(turn, call.copy())?);
        heads.spawn(async move {
            let answer = backend.send(request).await;
            (backend, answer)
        });
    }
    let mut failed = Vec::new();
    while let Some(answer) = heads.join_next().await {
        match answer {
            Ok((_, Ok(progress))) if progress.status().is_success() => {
                let mut others = JoinSet::new();
                failed.into_iter().for_each(|(backend, answer)| {
                    others.spawn(ended(backend, answer));
                });
                others.spawn(all_ended(heads));
                return Ok(progress.map(|body| Combined::new(body, others).body()));
            }
            Ok(answer) => failed.push(answer),
            Err(_) => {}
        }
    }
    // A refusal tells more than a host that is away.
    failed.sort_by_key(|(_, answer)| answer.is_err());
    let first = failed.into_iter().next();
    first.map_or(Err(Error::NoBackend), |(_, answer)| answer)
}

/// An answer's head, and whose it is.
type Head = (Arc<Backend>, Result<Response<Body>, Error>);

/// Follows the pulls whose heads are still to come.
async fn all_ended(mut heads: JoinSet<Head>) -> Bytes {
    let mut pulls = JoinSet::new();
    while let Some(head) = heads.join_next().await {
        if let Ok((backend, answer)) = head {
            pulls.spawn(ended(backend, answer));
        }
    }
    pulls.join_all().await.concat().into()
}

/// Follows another backend's pull to its end; returns the line that tells of it.
async fn ended(backend: Arc<Backend>, answer: Result<Response<Body>, Error>) -> Bytes {
    let result = match answer {
        Ok(answer) => {
            let status = answer.status();
            finished(status, Lines::new(answer.into_body()), &backend).await
        }
        Err(error) => Err(error),
    };
    let status = match result {
        Ok(()) => "Pull complete".to_owned(),
        Err(error) => {
            tracing::warn!(backend = %backend.name, %error, "an image was not pulled everywhere");
            format!("Warning: not pulled: {error}")
        }
    };
    line(json!({ "status": status, "progressDetail": {}, "id": &*backend.name }))
}

fn line(value: serde_json::Value) -> Bytes {
    Bytes::from(format!("{value}\r\n"))
}

/// The first backend's progress, the others' ends, the first one's last words.
struct Combined {
    progress: Option<Lines>,
    others: JoinSet<Bytes>,
    last: Vec<Bytes>,
}

impl Combined {
    fn new(progress: Body, others: JoinSet<Bytes>) -> Self {
        Self {
            progress: Some(Lines::new(progress)),
            others,
            last: Vec::new(),
        }
    }

    fn body(self) -> Body {
        let frames = futures_util::stream::unfold(self, |mut combined| async {
            let line = combined.next().await?;
            Some((line.map(Frame::data), combined))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        while let Some(progress) = &mut self.progress {
            match progress.next().await {
                Ok(Some(line)) if is_last(&line) => self.last.push(terminated(&line)),
                Ok(Some(line)) => return Some(Ok(terminated(&line))),
                Ok(None) => self.progress = None,
                Err(reason) => return Some(Err(reason)),
            }
        }
        while let Some(ended) = self.others.join_next().await {
            if let Ok(line) = ended
                && !line.is_empty()
            {
                return Some(Ok(line));
            }
        }
        (!self.last.is_empty()).then(|| Ok(self.last.drain(..).collect::<Vec<_>>().concat().into()))
    }
}

/// True for what a daemon says when a pull has ended: which image it is now, and whether it is a new one.
fn is_last(line: &[u8]) -> bool {
    let begins = |text: &[u8]| line.windows(text.len()).any(|window| window == text);
    begins(b"\"status\":\"Status: ") || begins(b"\"status\":\"Digest: ")
}

fn terminated(line: &[u8]) -> Bytes {
    [line, b"\r\n"].concat().into()
}
