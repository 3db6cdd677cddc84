//! Calls that go to the one backend that has the object.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use super::{Proxy, Turn, forward, hooks};
use crate::{
    backend::Backend,
    docker::{self, Body, BodyError, action::Object, call::Call, edit},
    error::Error,
    plugin::{Hook, start},
};

/// The longest answer of which flockerd reads a field.
const SMALL: usize = 16 << 20;

impl Proxy {
    /// Forwards a call as it is.
    pub(super) async fn forward(
        &self,
        turn: &Turn,
        mut call: Call,
        object: Object,
    ) -> Result<Response<Body>, Error> {
        let backend = self.locate(turn, &mut call, object).await?;
        backend.send(forward::request(turn, call)?).await
    }

    /// `POST /commit`: to the backend of the container that the query names.
    pub(super) async fn commit(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let reference = call.query.get("container").unwrap_or_default().into_owned();
        let backend = match self.container(turn, &reference).await {
            Ok((name, located)) => {
                if *name != *reference {
                    call.query = call.query.with("container", &located.id);
                }
                turn.backend(&located.backend)?
            }
            Err(error) if error.status() == StatusCode::NOT_FOUND => turn.home()?,
            Err(error) => return Err(error),
        };
        let response = backend.send(forward::request(turn, call)?).await?;
        if response.status().is_success() {
            self.relist(&[backend]).await;
        }
        Ok(response)
    }

    /// Forwards a call that any backend can answer to the first by name.
    pub(super) async fn forward_anywhere(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.home()?.send(forward::request(turn, call)?).await
    }

    /// Forwards a wait. When the backend is lost the body ends with an error in Docker's form instead of in silence.
    pub(super) async fn wait(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        let (mut head, body) = response.into_parts();
        head.headers.remove(http::header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, until_lost(body, backend)))
    }

    /// Forwards a rename, under the lock of the new name.
    pub(super) async fn rename(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let (_, located) = self.container(turn, &reference).await?;
        let name = call
            .query
            .get("name")
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned();
        let _reserved = self.locks.containers.reserve(&name).await;
        let owner = self.holder(turn, &name).await;
        if let Some(owner) = owner.filter(|owner| owner.id != located.id) {
            let taken = super::place::name_taken(&name, &owner.id);
            let text = format!("Error when allocating new name: {taken}");
            return Err(Error::refused(StatusCode::CONFLICT, text));
        }
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if response.status().is_success() {
            self.inventory.index.renamed(&located.id, &name);
        }
        Ok(response)
    }

    /// Forwards a removal and forgets the container when it is gone. `link=1` removes a link, not a container.
    pub(super) async fn remove(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let (_, located) = self.container(turn, &reference).await?;
        let is_link = call.query.flag("link");
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if response.status().is_success() && !is_link {
            self.inventory.index.removed(&located.id);
        }
        Ok(response)
    }

    /// Forwards the making of an exec and remembers where it is.
    pub(super) async fn exec_create(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        let (head, body) = read(response, &backend).await?;
        if let Some(id) = edit::read::<String>(&String::from_utf8_lossy(&body), "Id") {
            self.inventory.index.exec_created(&backend.name, &id);
        }
        Ok(Response::from_parts(head, docker::full(body)))
    }

    /// Forwards a start, after asking the `start` hooks.
    pub(super) async fn start(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let (_, located) = self.container(turn, &reference).await?;
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        if turn.plugins.sees(Hook::Start) {
            let asked = self.ask_start(turn, &mut call, &backend, &located.id);
            // A shadow alone decides nothing, not even by what it would have had to be shown.
            if let Err(refusal) = asked.await
                && turn.plugins.has(Hook::Start)
            {
                self.discard(turn, &backend, &located.id).await;
                return Err(refusal);
            }
        }
        self.run(turn, call, &backend, &located.id).await
    }

    /// Forwards a restart.
    pub(super) async fn restart(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let (_, located) = self.container(turn, &reference).await?;
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        self.run(turn, call, &backend, &located.id).await
    }

    /// Sends what makes a container run. When its ports are forwarded, they are open when this returns.
    async fn run(
        &self,
        turn: &Turn,
        call: Call,
        backend: &Arc<Backend>,
        id: &str,
    ) -> Result<Response<Body>, Error> {
        let request = forward::request(turn, call)?;
        let start = match &self.published {
            Some(published) => published.begin(backend, id).await,
            None => Ok(None),
        };
        let start = match start {
            Ok(start) => start,
            Err(refusal) => {
                self.discard(turn, backend, id).await;
                return Err(refusal);
            }
        };
        let answer = backend.send(request).await;
        if let Some(start) = start {
            start.end().await;
        }
        answer
    }

    /// Does with a container whose start flockerd refused what a daemon does with one that cannot be started: it
    /// removes those that are to be removed at their end, for which their clients wait.
    async fn discard(&self, turn: &Turn, backend: &Backend, id: &str) {
        let path = format!("/containers/{id}");
        let discarded = async {
            let container = inspect(turn, backend, &format!("{path}/json")).await?;
            let container = container.unwrap_or_default();
            let host = edit::member(&container, "HostConfig").unwrap_or_default();
            let state = edit::member(&container, "State").unwrap_or_default();
            let is_waited_for = edit::read(host, "AutoRemove") == Some(true);
            if is_waited_for && edit::read(state, "Running") == Some(false) {
                let request = forward::own(turn, Method::DELETE, &path, "v=1")?;
                backend.send(request).await?;
                self.inventory.index.removed(id);
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = discarded.await {
            tracing::warn!(backend = %backend.name, container = id, %error, "cannot remove a container that was not started");
        }
    }

    async fn ask_start(
        &self,
        turn: &Turn,
        call: &mut Call,
        backend: &Backend,
        id: &str,
    ) -> Result<(), Error> {
        let sent = docker::collect(call.take_body(), self.settings.body_limit).await?;
        call.set_body(sent.clone());
        let body = String::from_utf8(sent.to_vec())
            .map_err(|_| Error::Client("the body is not UTF-8".into()))?;
        let container = inspect(turn, backend, &format!("/containers/{id}/json")).await?;
        let container = container.ok_or_else(|| {
            Error::refused(
                StatusCode::NOT_FOUND,
                format!("No such container: {}", call.reference()),
            )
        })?;
        let image_id: String = edit::read(&container, "Image").unwrap_or_default();
        let image = inspect(turn, backend, &format!("/images/{image_id}/json")).await?;
        let name: String = edit::read(&container, "Name").unwrap_or_default();
        let (shown, client) = (self.shown(backend), hooks::client(&call.client));
        let request = start::Request {
            name: name.trim_start_matches('/'),
            container: &container,
            image: image.as_ref(),
            backend: &shown,
            body: Some(&body).filter(|body| !body.is_empty()),
            client,
        };
        let changed = turn.plugins.start(request, &self.scene(turn)).await?;
        if let Some(body) = changed {
            let json = http::HeaderValue::from_static("application/json");
            call.headers.insert(http::header::CONTENT_TYPE, json);
            call.set_body(body);
        }
        Ok(())
    }
}

/// The JSON that a backend answers to an inspect; none for a 404.
pub(super) async fn inspect(
    turn: &Turn,
    backend: &Backend,
    path: &str,
) -> Result<Option<String>, Error> {
    let response = backend
        .send(forward::own(turn, Method::GET, path, "")?)
        .await?;
    let (head, body) = read(response, backend).await?;
    if head.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let text = String::from_utf8(body.into())
        .ok()
        .filter(|_| head.status.is_success());
    text.map(Some).ok_or_else(|| Error::BadAnswer {
        backend: backend.name.to_string(),
        reason: format!("{} to GET {path}", head.status),
    })
}

/// Sends JSON to a backend and returns what it answers.
pub(super) async fn post(
    turn: &Turn,
    backend: &Backend,
    path: &str,
    body: String,
) -> Result<(StatusCode, Bytes), Error> {
    let mut request = forward::own(turn, Method::POST, path, "")?;
    *request.body_mut() = docker::full(body);
    let headers = request.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, docker::message::JSON);
    let (head, body) = read(backend.send(request).await?, backend).await?;
    Ok((head.status, body))
}

/// Reads an answer whole.
pub(super) async fn read(
    response: Response<Body>,
    backend: &Backend,
) -> Result<(http::response::Parts, Bytes), Error> {
    let (head, body) = response.into_parts();
    let body = docker::collect(body, SMALL)
        .await
        .map_err(|reason| Error::backend(&backend.name, reason))?;
    Ok((head, body))
}

/// A wait's body; when it breaks off, or its backend goes down, the client reads why.
fn until_lost(body: Body, backend: Arc<Backend>) -> Body {
    let stream = futures_util::stream::unfold(Some((body, backend)), |state| async {
        let (mut body, backend) = state?;
        let lost = tokio::select! {
            frame = body.frame() => match frame? {
                Ok(frame) => return Some((Ok::<_, BodyError>(frame), Some((body, backend)))),
                Err(reason) => reason.to_string(),
            },
            reason = backend.down() => reason,
        };
        let message = Error::backend(&backend.name, lost).to_string();
        let last = json!({ "StatusCode": -1, "Error": { "Message": message } }).to_string();
        Some((Ok(Frame::data(Bytes::from(last))), None))
    });
    StreamBody::new(stream).boxed_unsync()
}
