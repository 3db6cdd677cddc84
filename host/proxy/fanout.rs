//! Asking every backend at once, and waiting for none longer than the limit.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Request, Response};

use super::Turn;
use crate::{
    backend::{Backend, Health},
    docker::{self, Body},
    error::Error,
};

/// The longest answer of one backend that is merged.
pub(super) const ANSWER_MAX: usize = 256 << 20;

/// For work that takes as long as it takes; only backends that are down are left out.
pub(super) const PATIENT: Duration = Duration::from_secs(24 * 3600);

/// Names the backends that a merged answer lacks.
const MISSING: HeaderName = HeaderName::from_static("flockerd-missing");

/// What the backends answered, in their order.
pub(super) struct Answers<T = Bytes> {
    pub(super) ok: Vec<(Arc<Backend>, T)>,
    /// Answers with an error status: they count only when there is no good one.
    refused: Vec<Response<Body>>,
    /// Backends that gave no answer in time.
    missing: Vec<Arc<str>>,
}

/// Sends a request to each of the backends and collects the answers.
pub(super) async fn ask(
    backends: impl IntoIterator<Item = &Arc<Backend>>,
    limit: Duration,
    request: impl Fn(&Backend) -> Result<Request<Body>, Error>,
) -> Result<Answers, Error> {
    each(backends, limit, request, |backend, body| async move {
        collect(&backend, body).await
    })
    .await
}

/// Sends a request to each of the backends and lets `take` make something of each good answer, within the limit.
pub(super) async fn each<T, F>(
    backends: impl IntoIterator<Item = &Arc<Backend>>,
    limit: Duration,
    request: impl Fn(&Backend) -> Result<Request<Body>, Error>,
    take: impl Fn(Arc<Backend>, Body) -> F,
) -> Result<Answers<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let asked = backends.into_iter().map(|backend| {
        let request = request(backend);
        let take = &take;
        async move { Ok::<_, Error>((backend.clone(), one(backend, limit, request?, take).await)) }
    });
    let mut answers = Answers::default();
    for answer in join_all(asked).await {
        let (backend, answer) = answer?;
        match answer {
            Ok(Answer::Good(taken)) => answers.ok.push((backend, taken)),
            Ok(Answer::Refusal(refusal)) => answers.refused.push(refusal),
            Err(error) => {
                // That it is down was said when it went.
                match backend.status().health {
                    Health::Down => {
                        tracing::debug!(backend = %backend.name, %error, "backend is missing from the answer");
                    }
                    Health::Up | Health::Unknown => {
                        tracing::warn!(backend = %backend.name, %error, "backend is missing from the answer");
                    }
                }
                answers.missing.push(backend.name.clone());
            }
        }
    }
    Ok(answers)
}

/// What one backend answered.
enum Answer<T> {
    Good(T),
    Refusal(Response<Body>),
}

async fn one<T, F>(
    backend: &Arc<Backend>,
    limit: Duration,
    request: Request<Body>,
    take: &impl Fn(Arc<Backend>, Body) -> F,
) -> Result<Answer<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    if backend.status().health == Health::Down {
        return Err(Error::backend(&backend.name, &backend.status().reason));
    }
    let answer = async {
        let response = backend.send(request).await?;
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() {
            return take(backend.clone(), body).await.map(Answer::Good);
        }
        let body = collect(backend, body).await?;
        Ok(Answer::Refusal(docker::message::json(status, body)))
    };
    let late = |_| Err(late(backend, limit));
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(late)
}

/// Notes that a backend did not answer in time.
pub(super) fn late(backend: &Backend, limit: Duration) -> Error {
    backend.mark_late();
    Error::backend(&backend.name, format!("no answer within {limit:?}"))
}

async fn collect(backend: &Backend, body: Body) -> Result<Bytes, Error> {
    let body = docker::collect(body, ANSWER_MAX).await;
    body.map_err(|reason| Error::backend(&backend.name, reason))
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self {
            ok: Vec::new(),
            refused: Vec::new(),
            missing: Vec::new(),
        }
    }
}

impl<T> Answers<T> {
    /// Many answers as one.
    pub(super) fn join(all: Vec<Result<Self, Error>>) -> Result<Self, Error> {
        let mut joined = Self::default();
        for answers in all {
            let answers = answers?;
            joined.ok.extend(answers.ok);
            joined.refused.extend(answers.refused);
            joined.missing.extend(answers.missing);
        }
        Ok(joined)
    }

    /// What to answer when no backend gave a good answer: the first refusal, or that nobody answered. None when there
    /// is something to merge, be it the nothing of an empty flock.
    pub(super) fn refusal(&mut self) -> Option<Result<Response<Body>, Error>> {
        if !self.ok.is_empty() {
            return None;
        }
        match self.refused.is_empty() {
            false => Some(Ok(self.refused.remove(0))),
            true => (!self.missing.is_empty()).then_some(Err(Error::NoBackend)),
        }
    }

    /// The backends that did it.
    pub(super) fn holders(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.ok.iter().map(|(backend, _)| backend)
    }

    /// Names the missing backends in a header, so that an incomplete list does not look complete.
    pub(super) fn mark(&self, mut response: Response<Body>) -> Response<Body> {
        if !self.missing.is_empty()
            && let Ok(names) = HeaderValue::try_from(self.missing.join(","))
        {
            response.headers_mut().insert(MISSING, names);
        }
        response
    }
}

impl Turn {
    /// A request to every backend, the unreachable ones named in the answer.
    pub(super) async fn ask_all(
        &self,
        limit: Duration,
        request: impl Fn(&Backend) -> Result<Request<Body>, Error>,
    ) -> Result<Answers, Error> {
        ask(self.flock.backends(), limit, request).await
    }
}
