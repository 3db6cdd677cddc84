//! Images that several backends have: tags and removals reach every holder.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Response, StatusCode, response::Parts};

use super::{Proxy, Turn, forward, lists, target};
use crate::{
    backend::Backend,
    docker::{self, Body, call::Call, edit, message, query::Query},
    error::Error,
};

/// What one backend answered.
type Answer = (Parts, Bytes);

impl Proxy {
    /// `POST /images/{image}/tag` on every backend that has the image.
    pub(super) async fn image_tag(&self, turn: &Turn, call: Call) -> Result<Response<Body>, Error> {
        let holders = self.holders_or_home(turn, &call).await?;
        let answers = self.on_all(turn, &call, &holders).await?;
        let worst = answers
            .into_iter()
            .max_by_key(|(head, _)| head.status.as_u16());
        worst.map(whole).ok_or(Error::NoBackend)
    }

    /// `DELETE /images/{image}` on every backend that has it. Those where containers use it go first, one by one: when
    /// one refuses, nothing has happened elsewhere.
    pub(super) async fn image_remove(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        let holders = self.holders_or_home(turn, &call).await?;
        let mut done = Vec::new();
        let mut easy = Vec::new();
        for backend in holders {
            match self.is_used(turn, &backend, &call.reference()).await? {
                true => done.push(self.on_one(turn, &call, &backend).await?),
                false => easy.push(backend),
            }
            if let Some(at) = done.iter().position(|(head, _)| !head.status.is_success()) {
                return Ok(whole(done.swap_remove(at)));
            }
        }
        done.extend(self.on_all(turn, &call, &easy).await?);
        joined(done)
    }

    /// The backends that have the image; when none has it the first one, whose 404 is the right answer.
    async fn holders_or_home(&self, turn: &Turn, call: &Call) -> Result<Vec<Arc<Backend>>, Error> {
        let mut holders = self.image_holders(turn, &call.reference()).await?;
        if holders.is_empty() {
            holders.extend(turn.flock.usable().next().cloned());
        }
        Ok(holders)
    }

    async fn on_all(
        &self,
        turn: &Turn,
        call: &Call,
        backends: &[Arc<Backend>],
    ) -> Result<Vec<Answer>, Error> {
        let calls = backends
            .iter()
            .map(|backend| self.on_one(turn, call, backend));
        join_all(calls).await.into_iter().collect()
    }

    async fn on_one(&self, turn: &Turn, call: &Call, backend: &Backend) -> Result<Answer, Error> {
        let response = backend.send(forward::request(turn, call.copy())?).await?;
        target::read(response, backend).await
    }

    /// True when a backend has containers of an image.
    async fn is_used(&self, turn: &Turn, backend: &Backend, image: &str) -> Result<bool, Error> {
        let filters = serde_json::json!({ "ancestor": { image: true } }).to_string();
        let query = Query("all=1".into()).with("filters", &filters);
        let request = forward::own(turn, Method::GET, "/containers/json", &query.0)?;
        let (head, body) = target::read(backend.send(request).await?, backend).await?;
        Ok(head.status.is_success() && !lists::parse(&backend.name, &body)?.is_empty())
    }
}

/// One answer of many removals: the records joined, each once. A holder that lost the image meanwhile does not count.
fn joined(answers: Vec<Answer>) -> Result<Response<Body>, Error> {
    let (good, bad): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(head, _)| head.status.is_success());
    let failed = bad.into_iter().reduce(|a, b| {
        if a.0.status == StatusCode::NOT_FOUND {
            b
        } else {
            a
        }
    });
    match failed {
        Some(answer) if good.is_empty() || answer.0.status != StatusCode::NOT_FOUND => {
            return Ok(whole(answer));
        }
        _ => {}
    }
    let mut records: Vec<&str> = Vec::new();
    let bodies: Vec<_> = good
        .iter()
        .map(|(_, body)| String::from_utf8_lossy(body))
        .collect();
    for record in bodies
        .iter()
        .flat_map(|body| edit::items(body).unwrap_or_default())
    {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    Ok(message::json(
        StatusCode::OK,
        edit::array(records.into_iter()),
    ))
}

fn whole((head, body): Answer) -> Response<Body> {
    Response::from_parts(head, docker::full(body))
}
