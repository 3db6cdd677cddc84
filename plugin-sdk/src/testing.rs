//! A stand-in for flockerd, so that a plugin's tests run natively: `cargo test`, no wasm.
//!
//! ```
//! use flocker_plugin::{flock, log, testing};
//!
//! let mut flock = testing::Flock::new()
//!     .backend(testing::backend("node1", 3))
//!     .backend(testing::backend("node2", 1));
//! let names = flock.call(|| {
//!     log::info("looking around");
//!     flock::backends().into_iter().map(|backend| backend.name).collect::<Vec<_>>()
//! });
//! assert_eq!(names, ["node1", "node2"]);
//! assert_eq!(flock.log(), ["info looking around"]);
//! ```

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Map, Value, json};

use crate::{
    Backend, Client, Health,
    event::{DockerEvent, Notice, What},
    http,
    request::Call,
    route::{Request, Subject},
};

pub(crate) mod host;

thread_local! {
    // The imports are free functions, so what stands behind them during a call cannot be handed to them.
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

/// What the imports show a plugin, and what it left behind.
#[derive(Debug, Default)]
pub struct Flock {
    scene: Scene,
}

#[derive(Debug)]
struct Scene {
    backends: Vec<Backend>,
    config: Map<String, Value>,
    body: Result<Option<String>, String>,
    keyspace: BTreeMap<String, Vec<u8>>,
    log: Vec<String>,
    answers: BTreeMap<String, http::Response>,
    requests: Vec<http::Request>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            backends: Vec::new(),
            config: Map::new(),
            body: Ok(None),
            keyspace: BTreeMap::new(),
            log: Vec::new(),
            answers: BTreeMap::new(),
            requests: Vec::new(),
        }
    }
}

impl Flock {
    /// Makes a flock without backends, configuration, body and keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend to what `flock::backends` returns.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.scene.backends.push(backend);
        self.scene.backends.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Sets the table `[plugin.config]`: `json!({"hook": "route"})`.
    ///
    /// # Panics
    /// When the value is not an object.
    pub fn config(mut self, table: Value) -> Self {
        let Value::Object(table) = table else {
            panic!("the configuration is a table, not {table}");
        };
        self.scene.config = table;
        self
    }

    /// Sets what `body::read` returns; `Err` is a body that cannot be read.
    pub fn body(mut self, body: Result<Option<&str>, &str>) -> Self {
        self.scene.body = body.map(|body| body.map(Into::into)).map_err(Into::into);
        self
    }

    /// Sets what a request such as `GET http://consul:8500/v1/status/leader` is answered; others fail.
    pub fn answer(mut self, request: &str, response: http::Response) -> Self {
        self.scene.answers.insert(request.into(), response);
        self
    }

    /// Calls a hook with this flock behind the imports. Keys and log lines stay for the next call.
    pub fn call<T>(&mut self, hook: impl FnOnce() -> T) -> T {
        let _behind = Behind::enter(self);
        hook()
    }

    /// Returns what the plugin logged: `info looking around`.
    pub fn log(&self) -> &[String] {
        &self.scene.log
    }

    /// Returns what the plugin sent by HTTP.
    pub fn requests(&self) -> &[http::Request] {
        &self.scene.requests
    }

    /// Returns the plugin's keys. A time to live never ends here.
    pub fn keyspace(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.scene.keyspace
    }
}

/// Takes the scene back when the call ends, also by a panic.
struct Behind<'a>(&'a mut Flock);

impl<'a> Behind<'a> {
    fn enter(flock: &'a mut Flock) -> Self {
        SCENE.set(Some(std::mem::take(&mut flock.scene)));
        Self(flock)
    }
}

impl Drop for Behind<'_> {
    fn drop(&mut self) {
        self.0.scene = SCENE.take().unwrap_or_default();
    }
}

/// Makes a backend that is up, with so many running containers; add to it with [`Backend::with_label`].
pub fn backend(name: &str, running: u32) -> Backend {
    Backend {
        name: name.into(),
        address: format!("tcp://{name}:2375"),
        labels: Vec::new(),
        health: Health::Up,
        running,
        containers: running,
        placing: 0,
        cpus: 4,
        memory: 8 << 30,
    }
}

impl Backend {
    /// Adds a label.
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

/// Makes a client on a unix socket, with uid 1000.
pub fn client() -> Client {
    Client {
        address: "unix".into(),
        identity: Some("uid:1000".into()),
    }
}

/// Makes what a `request` hook gets, its path also being its endpoint.
pub fn call(method: &str, path: &str) -> Call {
    Call {
        method: method.into(),
        path: path.into(),
        query: String::new(),
        version: None,
        endpoint: Some(path.into()),
        headers: Vec::new(),
        client: client(),
    }
}

/// Makes what a `route` hook gets for `docker create` with that body.
pub fn create(body: &str) -> Request {
    Request {
        subject: Subject::Container,
        name: None,
        image: None,
        platform: None,
        body: Some(body.into()),
        client: client(),
    }
}

/// Makes what an `event` hook is told, of the second 1,700,000,000, with nothing dropped before it.
pub fn notice(backend: &str, what: What) -> Notice {
    Notice {
        time: 1_700_000_000_000_000_000,
        backend: backend.into(),
        what,
        dropped: 0,
    }
}

/// Makes what a daemon says, its JSON included: `docker_event("container", "start", "c0ffee", &[("name", "web")])`.
pub fn docker_event(
    kind: &str,
    action: &str,
    id: &str,
    attributes: &[(&str, &str)],
) -> DockerEvent {
    let attributes: BTreeMap<_, _> = attributes.iter().copied().collect();
    let actor = json!({"ID": id, "Attributes": attributes});
    let json = json!({"Type": kind, "Action": action, "Actor": actor});
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    DockerEvent {
        kind: kind.into(),
        action: action.into(),
        id: id.into(),
        attributes: attributes.into_iter().map(owned).collect(),
        json: json.to_string(),
    }
}
