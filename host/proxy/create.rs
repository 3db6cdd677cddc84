//! `POST /containers/create`: from the client's body to a container on the right backend.

mod body;
mod equip;

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use tokio::sync::OwnedMutexGuard;

use super::{
    Proxy, Turn, forward, hooks,
    place::{Newcomer, Placed, name_taken},
    runs::{Fingerprint, NewRun, Run, Stage},
    target,
};
use crate::{
    backend::Backend,
    config::Pull,
    docker::{
        self, Body,
        call::Call,
        create::{Create, Tie},
        edit,
        group::Group,
        names,
        reference::Reference,
    },
    error::Error,
    inventory::index::Located,
    plugin::{Hook, map, route},
};
use body::{is_reference, json_only, text};

/// A create under way.
struct Creation {
    call: Call,
    /// As asked for, or invented.
    name: String,
    /// The body as the client sent it, or as hooks changed it.
    body: Bytes,
    /// What the client will pull if it is missing.
    image: String,
    /// What the body names in the end.
    final_image: String,
    /// What it refers to.
    ties: Vec<Tie>,
    ports: Vec<String>,
    group: Option<Group>,
    /// What tells this create from others in the memory of runs.
    fingerprint: Fingerprint,
    /// Nobody else takes the name meanwhile.
    _reserved: OwnedMutexGuard<()>,
}

/// Where a create goes.
struct Destination {
    placed: Placed,
    /// The run that it continues.
    run: Option<Run>,
}

impl Proxy {
    /// Creates a container.
    pub(super) async fn create(
        self: &Arc<Self>,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        json_only(&call.headers)?;
        turn.some_backend()?;
        let body = docker::collect(call.take_body(), self.settings.body_limit).await?;
        let create = Create::read(&body)
            .map_err(|reason| Error::refused(StatusCode::BAD_REQUEST, reason.to_string()))?;
        let asked = call.query.get("name").unwrap_or_default().into_owned();
        let fingerprint = Fingerprint::of(&asked, &body);
        let (name, reserved) = self.take_name(turn, &asked).await?;
        if asked.is_empty() {
            call.query = call.query.with("name", &name);
        }
        let body = self.with_present_networks(body, &create);
        let creation = Creation {
            call,
            name,
            body,
            image: create.image.clone().unwrap_or_default(),
            final_image: create.image.clone().unwrap_or_default(),
            ties: create.ties(),
            ports: create.ports(),
            group: create.group(),
            fingerprint,
            _reserved: reserved,
        };
        let destination = self.destination(turn, &creation).await?;
        self.send_create(turn, creation, destination).await
    }

    /// Reserves the name, or one that nobody has.
    async fn take_name(
        &self,
        turn: &Turn,
        asked: &str,
    ) -> Result<(String, OwnedMutexGuard<()>), Error> {
        let name = match asked.trim_start_matches('/') {
            "" => names::invent(|name| self.inventory.index.name_owner(name).is_some()),
            name => name.to_owned(),
        };
        let reserved = self.locks.containers.reserve(&name).await;
        match self.holder(turn, &name).await {
            Some(owner) => Err(Error::refused(
                StatusCode::CONFLICT,
                name_taken(&name, &owner.id),
            )),
            None => Ok((name, reserved)),
        }
    }

    /// The container that has a name. The index may be a moment late, so the owner's backend is asked; one that cannot
    /// be asked still has it.
    pub(super) async fn holder(&self, turn: &Turn, name: &str) -> Option<Located> {
        let owner = self.inventory.index.name_owner(name)?;
        let backend = turn.flock.get(&owner.backend)?;
        let path = format!("/containers/{}/json", owner.id);
        match target::inspect(turn, backend, &path).await {
            Ok(None) => {
                self.inventory.index.removed(&owner.id);
                None
            }
            _ => Some(owner),
        }
    }

    /// The backend of the run that this create repeats, else a new placement.
    async fn destination(
        self: &Arc<Self>,
        turn: &Turn,
        creation: &Creation,
    ) -> Result<Destination, Error> {
        let run = self.usable_run(turn, creation).await?;
        if let Some(run) = run.as_ref().filter(|run| !run.is_only_pulled()) {
            let backend = turn.backend(&run.backend)?;
            if !run.is_ready() {
                self.pulls.ended(&backend, &creation.image).await;
            }
            return Ok(Destination {
                placed: Placed {
                    under_way: self.places.begin(
                        &backend,
                        Some(&creation.name),
                        creation.group.clone(),
                        &creation.ties,
                    ),
                    _held: Vec::new(),
                    backend,
                    body: run.body.clone(),
                },
                run: Some(run.clone()),
            });
        }
        let body = text(&creation.body)?;
        let platform = creation.call.query.filled("platform");
        let newcomer = Newcomer {
            subject: route::Subject::Container,
            name: Some(&creation.name),
            image: Some(&creation.image),
            platform: platform.as_deref(),
            body: Some(&body),
            ties: &creation.ties,
            ports: &creation.ports,
            group: creation.group.clone(),
            is_settled: false,
            near: run.as_ref().map(|run| run.backend.as_str()),
            client: &creation.call.client,
        };
        let placed = self.place(turn, newcomer).await?;
        Ok(Destination { placed, run })
    }

    /// What is remembered of this create, unless its backend cannot be used any more.
    async fn usable_run(&self, turn: &Turn, creation: &Creation) -> Result<Option<Run>, Error> {
        let (image, client) = (&creation.image, &creation.call.client);
        self.places.returned(&creation.fingerprint, client);
        while let Some(run) = self
            .runs
            .recall(image, &creation.fingerprint, client)
            .await?
        {
            if turn.is_usable(&run.backend) {
                return Ok(Some(run));
            }
            self.runs.abandon(image, &run).await?;
        }
        Ok(None)
    }

    /// Sends the create, and again after a pull of flockerd's own.
    async fn send_create(
        self: &Arc<Self>,
        turn: &Turn,
        mut creation: Creation,
        destination: Destination,
    ) -> Result<Response<Body>, Error> {
        let placed = &destination.placed;
        if let Some(body) = &placed.body {
            creation.body = Bytes::from(body.clone());
            creation.final_image = edit::read(body, "Image").unwrap_or(creation.final_image);
        }
        let backend = placed.backend.clone();
        self.equip(turn, &creation, &backend).await?;
        let mut answer = self.attempt(turn, &creation, &backend).await?;
        // Twice: the first time somebody else's pull may have been waited for, and have failed.
        for _ in 0..2 {
            if self.settings.pull == Pull::Client || !lacks_image(&answer) {
                break;
            }
            self.pull(turn, &backend, &creation.final_image, &creation.call)
                .await?;
            answer = self.attempt(turn, &creation, &backend).await?;
        }
        self.settle(&creation, destination, &answer).await?;
        Ok(answer.map(docker::full))
    }

    /// One attempt to create: `map` hooks, then the backend.
    async fn attempt(
        &self,
        turn: &Turn,
        creation: &Creation,
        backend: &Backend,
    ) -> Result<Response<Bytes>, Error> {
        let asks = turn.plugins.sees(Hook::Map) && is_reference(&creation.final_image);
        let body = match asks {
            false => creation.body.clone(),
            true => match self.ask_map(turn, creation, backend).await {
                Ok(Some(body)) => body,
                Ok(None) => return Ok(no_such_image(&creation.final_image)),
                // A shadow alone decides nothing, not even by what it would have had to be shown.
                Err(_) if !turn.plugins.has(Hook::Map) => creation.body.clone(),
                Err(error) => return Err(error),
            },
        };
        let mut call = creation.call.copy();
        call.set_body(body);
        let response = backend.send(forward::request(turn, call)?).await?;
        let (head, body) = target::read(response, backend).await?;
        Ok(Response::from_parts(head, body))
    }

    /// Asks the `map` hooks; none when the image is not there yet.
    async fn ask_map(
        &self,
        turn: &Turn,
        creation: &Creation,
        backend: &Backend,
    ) -> Result<Option<Bytes>, Error> {
        let path = format!("/images/{}/json", creation.final_image);
        let Some(image) = target::inspect(turn, backend, &path).await? else {
            return Ok(None);
        };
        let container = text(&creation.body)?;
        let (shown, client) = (self.shown(backend), hooks::client(&creation.call.client));
        let request = map::Request {
            name: &creation.name,
            container: &container,
            image: &image,
            backend: &shown,
            client,
        };
        let changed = turn.plugins.map(request, &self.scene(turn)).await?;
        Ok(Some(
            changed.map_or_else(|| creation.body.clone(), Bytes::from),
        ))
    }

    /// Brings index and memory up to date before the client reads the answer: its next call relies on them.
    async fn settle(
        &self,
        creation: &Creation,
        destination: Destination,
        answer: &Response<Bytes>,
    ) -> Result<(), Error> {
        let Destination { placed, run } = destination;
        let (image, client) = (&creation.image, &creation.call.client);
        let id = std::str::from_utf8(answer.body())
            .ok()
            .and_then(|body| edit::read::<String>(body, "Id"));
        if let (StatusCode::CREATED, Some(id)) = (answer.status(), id) {
            let backend = &placed.backend.name;
            self.inventory.index.created(
                backend,
                &id,
                Some(&creation.name),
                creation.group.clone(),
            );
            return match run {
                Some(run) => self.runs.done(image, &run, client).await,
                None => Ok(()),
            };
        }
        if lacks_image(answer) && run.is_none_or(|run| run.is_only_pulled()) {
            let new = NewRun {
                create: creation.fingerprint.get(),
                backend: &placed.backend.name,
                body: placed.body.as_deref(),
                stage: Stage::Created,
            };
            if let Err(error) = self.runs.remember(image, new, client).await {
                tracing::error!(%error, "a create that waits for its image cannot be remembered");
            }
            self.places
                .wait(creation.fingerprint.get(), client, placed.under_way);
        }
        Ok(())
    }
}

/// True for the 404 after which a client pulls.
fn lacks_image(answer: &Response<Bytes>) -> bool {
    answer.status() == StatusCode::NOT_FOUND
        && String::from_utf8_lossy(answer.body())
            .to_ascii_lowercase()
            .contains("no such image")
}

/// The daemon's words, for when a `map` hook had to wait for the image and the daemon was not asked.
fn no_such_image(image: &str) -> Response<Bytes> {
    let text = format!("No such image: {}", Reference::parse(image).familiar());
    let mut answer = Response::new(Bytes::from(
        serde_json::json!({ "message": text }).to_string(),
    ));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, docker::message::JSON);
    answer
}
