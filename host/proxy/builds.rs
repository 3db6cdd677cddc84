//! Builds: all calls of one client that builds go to one backend.
//!
//! A build is several calls that do not name each other: `/build`, which names its session; `/session`, by which the
//! builder comes back for files; `/grpc`, which names nothing. What they have in common is who makes them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{Response, header};

use super::{Proxy, Reply, Turn, ending, forward, place::Newcomer};
use crate::{
    backend::Backend,
    docker::{
        Body,
        action::Builds,
        call::{Call, page_not_found},
        client::Client,
    },
    error::Error,
    inventory::index::BackendName,
    plugin::route::Subject,
};

/// How long a client keeps its builder after its last call of a build.
const GRACE: Duration = Duration::from_secs(10 * 60);
/// The longest name of a session or a build that is remembered, and how many keys are.
const KEY_MAX: usize = 128;
const KEYS_MAX: usize = 10_000;
/// The header by which a session gives its name.
const SESSION: &str = "x-docker-expose-session-uuid";

/// The builder of each client, and of each session and build by name.
#[derive(Default)]
pub(super) struct Builders(Arc<Mutex<HashMap<Key, Builder>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Client(String),
    Session(String),
    Build(String),
}

struct Builder {
    backend: BackendName,
    /// Calls that are open.
    open: usize,
    last: Instant,
}

/// A call of a build that is open until this is dropped.
pub struct InUse {
    builders: Arc<Mutex<HashMap<Key, Builder>>>,
    keys: Vec<Key>,
}

impl Builders {
    /// The backend where a client builds, while it does.
    pub(super) fn of(&self, turn: &Turn, client: &Client) -> Option<Arc<Backend>> {
        self.find(turn, &[Key::Client(who(client))])
    }

    /// The usable backend that the first known of these keys leads to.
    fn find(&self, turn: &Turn, keys: &[Key]) -> Option<Arc<Backend>> {
        let builders = self.lock();
        let known = keys.iter().find_map(|key| builders.get(key))?;
        turn.first_usable(std::slice::from_ref(&known.backend))
    }

    /// Notes a call of a build to a backend.
    fn begin(&self, keys: Vec<Key>, backend: &Backend) -> InUse {
        let mut builders = self.lock();
        let keys: Vec<Key> = match builders.len() < KEYS_MAX {
            true => keys,
            // Only who is known goes on being known.
            false => keys
                .into_iter()
                .filter(|key| builders.contains_key(key))
                .collect(),
        };
        for key in &keys {
            let builder = builders.entry(key.clone()).or_insert_with(|| Builder {
                backend: backend.name.clone(),
                open: 0,
                last: Instant::now(),
            });
            builder.backend = backend.name.clone();
            builder.open += 1;
        }
        InUse {
            builders: self.0.clone(),
            keys,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Builder>> {
        let mut builders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        builders.retain(|_, builder| builder.open > 0 || builder.last.elapsed() < GRACE);
        builders
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut builders = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            if let Some(builder) = builders.get_mut(key) {
                builder.open -= 1;
                builder.last = Instant::now();
            }
        }
    }
}

impl Proxy {
    pub(super) async fn builds(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Builds,
    ) -> Result<Response<Body>, Error> {
        match action {
            Builds::Build => self.build(turn, call).await,
            Builds::Cancel => self.build_cancel(turn, call).await,
            // These leave HTTP: `Proxy::tunnel`.
            Builds::Session | Builds::Grpc => Err(page_not_found()),
        }
    }

    /// `POST /build`, classic or not.
    async fn build(self: &Arc<Self>, turn: &Turn, call: Call) -> Result<Response<Body>, Error> {
        let (backend, in_use) = self.builder(turn, &call).await?;
        let answer = backend.send(forward::request(turn, call)?).await?;
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let proxy = self.clone();
        Ok(ending::before_end(answer, async move {
            proxy.relist(&[backend]).await;
            drop(in_use);
            None
        }))
    }

    /// `POST /build/cancel`: fine with a build that nobody knows, as in a daemon.
    async fn build_cancel(&self, turn: &Turn, call: Call) -> Result<Response<Body>, Error> {
        let id = call.query.get("id").unwrap_or_default().into_owned();
        let known = self.builders.find(turn, &[Key::Build(id)]);
        let backend = known.or_else(|| self.builders.of(turn, &call.client));
        let backend = backend.map_or_else(|| turn.home(), Ok)?;
        backend.send(forward::request(turn, call)?).await
    }

    /// `POST /session` and `POST /grpc`: the connection becomes HTTP/2 between client and builder.
    pub(super) async fn tunnel(self: &Arc<Self>, turn: &Turn, call: Call) -> Result<Reply, Error> {
        let (backend, in_use) = self.builder(turn, &call).await?;
        if !call.headers.contains_key(header::UPGRADE) {
            // The daemon says what is missing.
            let answer = backend.send(forward::request(turn, call)?).await?;
            return Ok(Reply::Http(answer));
        }
        let reply = self.leave(turn, call, &backend).await?;
        Ok(reply.holding(in_use))
    }

    /// The backend for a call of a build: the one that knows its session, else its client's, else a new choice.
    async fn builder(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
    ) -> Result<(Arc<Backend>, InUse), Error> {
        let keys = keys(call);
        // Two first calls of a client that come at once choose one builder.
        let _choice = self.locks.builders.reserve(&who(&call.client)).await;
        let backend = match (self.builders.find(turn, &keys), &self.settings.builder) {
            (Some(backend), _) => backend,
            (None, Some(name)) => turn.usable_backend(name)?,
            (None, None) => self.place_build(turn, call).await?,
        };
        let in_use = self.builders.begin(keys, &backend);
        Ok((backend, in_use))
    }

    async fn place_build(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
    ) -> Result<Arc<Backend>, Error> {
        let (tag, platform) = (call.query.filled("t"), call.query.filled("platform"));
        let newcomer = Newcomer {
            image: tag.as_deref(),
            platform: platform.as_deref(),
            ..Newcomer::of(Subject::Build, &call.client)
        };
        Ok(self.place(turn, newcomer).await?.backend)
    }
}

/// By what a call's builder is known, the surest first.
fn keys(call: &Call) -> Vec<Key> {
    let exposed = call.headers.get(SESSION);
    let exposed = exposed.and_then(|session| session.to_str().ok());
    let session = call.query.filled("session");
    let session = session.as_deref().or(exposed);
    let build = call.query.filled("buildid");
    let mut keys: Vec<Key> = Vec::new();
    let session = session.filter(|session| session.len() <= KEY_MAX);
    let build = build.filter(|build| build.len() <= KEY_MAX);
    keys.extend(session.map(|session| Key::Session(session.to_owned())));
    keys.extend(build.map(|build| Key::Build(build.into_owned())));
    keys.push(Key::Client(who(&call.client)));
    keys
}

/// A client as far as it can be told from others: by what its transport vouches for, else by its host.
fn who(client: &Client) -> String {
    match &client.identity {
        Some(identity) => identity.to_string(),
        None => {
            let host = client.address.rsplit_once(':');
            host.map_or(&*client.address, |(host, _)| host).to_owned()
        }
    }
}

impl Turn {
    /// A backend by its name, which must be there and not down.
    fn usable_backend(&self, name: &str) -> Result<Arc<Backend>, Error> {
        let backend = self.backend(name)?;
        match self.is_usable(name) {
            true => Ok(backend),
            false => Err(Error::backend(name, &backend.status().reason)),
        }
    }
}
