//! What the hooks are shown: the call, the client, and the backends of the moment.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::{Response, header};

use super::Turn;
use crate::{
    docker::{self, Body, call::Call, client::Client},
    error::Error,
    plugin::{JsonBody, Scene, Verdict, request, types},
};

/// What the `request` hooks made of a call.
pub(super) enum Asked {
    Proceed(Call),
    Answered(Response<Body>),
}

/// Asks the `request` hooks about a call.
pub(super) async fn request(
    turn: &Turn,
    mut call: Call,
    scene: Scene,
    body_limit: usize,
) -> Result<Asked, Error> {
    let body = Arc::new(LazyBody::new(&mut call, body_limit));
    let scene = Scene {
        body: body.is_json.then(|| body.clone() as Arc<dyn JsonBody>),
        ..scene
    };
    let version = call.version.map(|version| version.to_string());
    let who = call.client.clone();
    let client = client(&who);
    let asked = request::Call {
        method: call.method.as_str(),
        path: &call.path,
        query: &call.query.0,
        version: version.as_deref(),
        endpoint: call.endpoint.map(|endpoint| endpoint.path),
        headers: &[],
        client,
    };
    let verdict = turn.plugins.request(asked, &call.headers, &scene).await?;
    match verdict {
        Verdict::Proceed => {
            body.give_back(&mut call)?;
            Ok(Asked::Proceed(call))
        }
        Verdict::Respond(response) => Ok(Asked::Answered(response.map(docker::full))),
    }
}

/// The client as plugins see it.
pub(super) fn client(client: &Client) -> types::Client<'_> {
    types::Client {
        address: &client.address,
        identity: client.identity.as_deref(),
    }
}

/// The body of a call, read at most once and only when a plugin asks for it.
struct LazyBody {
    limit: usize,
    is_json: bool,
    /// Whether it is known to be within the limit.
    fits: bool,
    body: tokio::sync::Mutex<Option<Body>>,
    /// What was read, which takes the body's place.
    read: Mutex<Option<Result<String, String>>>,
}

impl LazyBody {
    fn new(call: &mut Call, limit: usize) -> Self {
        let content_type = call
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let length = call.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        Self {
            limit,
            fits: length.is_some_and(|length| length <= limit),
            is_json: content_type.is_some_and(|kind| {
                kind.trim()
                    .to_ascii_lowercase()
                    .starts_with("application/json")
            }),
            body: tokio::sync::Mutex::new(Some(call.take_body())),
            read: Mutex::default(),
        }
    }

    fn seen(&self) -> Option<Result<String, String>> {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts the body back, read or not. One that was read in part is lost, and the call with it.
    fn give_back(&self, call: &mut Call) -> Result<(), Error> {
        let unread = self.body.try_lock().ok().and_then(|mut body| body.take());
        match (self.seen(), unread) {
            (Some(read), _) => call.set_body(read.map_err(Error::Client)?),
            (None, Some(body)) => call.put_body(body),
            (None, None) => return Err(Error::Client("the body was cut off".into())),
        }
        Ok(())
    }
}

#[async_trait]
impl JsonBody for LazyBody {
    async fn read(&self) -> Result<Option<String>, String> {
        if !self.is_json {
            return Ok(None);
        }
        let mut body = self.body.lock().await;
        if let Some(seen) = self.seen() {
            return seen.map(|text| (!text.is_empty()).then_some(text));
        }
        let Some(body) = body.take() else {
            return Err("the body was cut off".into());
        };
        let read = docker::collect(body, self.limit)
            .await
            .map_err(|error| error.to_string());
        let text = read.and_then(|bytes| {
            String::from_utf8(bytes.into()).map_err(|_| "the body is not UTF-8".into())
        });
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        text.map(|text| (!text.is_empty()).then_some(text))
    }

    async fn peek(&self) -> Option<String> {
        match self.fits || self.seen().is_some() {
            true => self.read().await.ok().flatten(),
            false => None,
        }
    }
}
