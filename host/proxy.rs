//! The life of a call, top to bottom.

mod bring;
mod builds;
mod create;
mod credentials;
mod disk;
mod ending;
mod events;
mod fanout;
mod forward;
mod hijack;
mod hooks;
mod images;
mod info;
mod inspect;
mod items;
mod lists;
mod load;
mod local;
mod locate;
mod names;
mod networks;
mod place;
mod prune;
mod publish;
mod pull;
mod runs;
mod select;
mod splice;
mod target;
mod volumes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, Response, header};

use crate::{
    config::{Pull, PullTo, Shared, Strategy},
    docker::{
        Body,
        action::{Action, Builds, Containers, System},
        call::{Call, Label},
        client::Client,
        message,
    },
    error::{Blame, Error},
    inventory::{Flock, Inventory},
    plugin::{Hook, Plugins},
    state::StateStore,
};

pub use hijack::Hijack;
pub use local::STATUS;
pub use publish::Published;
pub use splice::{End, Pipes, join};

/// What the proxy does as the operator wants it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub pull: Pull,
    pub pull_to: PullTo,
    /// The backend that builds for everybody.
    pub builder: Option<String>,
    pub shared: Shared,
    pub strategy: Strategy,
    /// The longest JSON body that is read, in bytes.
    pub body_limit: usize,
    /// How long a list waits for one backend.
    pub backend_timeout: Duration,
    /// How long a create that waits for its image is remembered.
    pub run_expiry: Duration,
}

/// The one way to the daemons: every front door hands its calls to [`Proxy::handle`].
pub struct Proxy {
    inventory: Arc<Inventory>,
    plugins: Arc<ArcSwap<Plugins>>,
    settings: Settings,
    places: load::Places,
    locks: names::Locks,
    builders: builds::Builders,
    /// The newest API version that clients were ever told of, as [`ApiVersion::number`] has it.
    ///
    /// [`ApiVersion::number`]: crate::docker::version::ApiVersion::number
    offered: AtomicU32,
    state: Arc<dyn StateStore>,
    runs: runs::Runs,
    pulls: pull::Pulls,
    pipes: Arc<Pipes>,
    /// None: published ports stay where they are.
    published: Option<Arc<Published>>,
}

/// What the front door does with a call in the end.
pub enum Reply {
    Http(Response<Body>),
    /// The connection leaves HTTP.
    Hijack(Hijack),
}

/// The snapshots that one call keeps from its beginning to its end.
#[derive(Clone)]
pub(crate) struct Turn {
    flock: Arc<Flock>,
    plugins: Arc<Plugins>,
}

impl Proxy {
    pub fn new(
        inventory: Arc<Inventory>,
        plugins: Arc<ArcSwap<Plugins>>,
        state: Arc<dyn StateStore>,
        pipes: Arc<Pipes>,
        settings: Settings,
    ) -> Self {
        Self {
            runs: runs::Runs::new(state.clone(), settings.run_expiry),
            state,
            inventory,
            plugins,
            settings,
            places: load::Places::default(),
            locks: names::Locks::default(),
            builders: builds::Builders::default(),
            offered: AtomicU32::new(0),
            pulls: pull::Pulls::default(),
            pipes,
            published: None,
        }
    }

    /// Lets published ports be forwarded.
    pub fn publishing(self, published: Option<Arc<Published>>) -> Self {
        Self { published, ..self }
    }

    /// Answers one request of a client.
    pub async fn handle(self: &Arc<Self>, request: Request<Body>, client: Arc<Client>) -> Reply {
        let call = Call::new(request, client);
        let (label, address) = (call.label(), call.client.address.clone());
        let turn = self.begin().await;
        let reply = self.answer(&turn, call).await.unwrap_or_else(|error| {
            log(&label, &address, &error);
            Reply::Http(message::error(&error))
        });
        match reply {
            Reply::Http(response) => {
                tracing::debug!(endpoint = %label, client.addr = %address, status = response.status().as_u16(), "call");
                Reply::Http(dress(&turn, response))
            }
            hijacked => hijacked,
        }
    }

    /// Ends the memory of a client's connection.
    pub fn hung_up(&self, client: &Client) {
        self.runs.hung_up(client);
        self.places.hung_up(client);
    }

    /// Notes that a client's connection is there.
    pub fn connected(&self, client: &Client) {
        self.runs.connected(client);
    }

    async fn begin(&self) -> Turn {
        if !self.inventory.is_settled() {
            self.inventory.settled().await;
        }
        Turn {
            flock: self.inventory.flock(),
            plugins: self.plugins.load_full(),
        }
    }

    async fn answer(self: &Arc<Self>, turn: &Turn, call: Call) -> Result<Reply, Error> {
        if let Some(range) = turn.flock.known_versions() {
            let newest = range.max.number();
            let offered = self.offered.fetch_max(newest, Ordering::Relaxed);
            let version = call.version.unwrap_or(range.max);
            let fits = range.up_to(offered).check(version);
            fits.map_err(|text| Error::refused(http::StatusCode::BAD_REQUEST, text))?;
        }
        let call = match self.ask_request(turn, call).await? {
            hooks::Asked::Proceed(call) => call,
            hooks::Asked::Answered(response) => return Ok(Reply::Http(response)),
        };
        let Some(endpoint) = call.endpoint else {
            return local::unknown(turn, &call).map(Reply::Http);
        };
        match endpoint.action {
            Action::Hijack(object) => self.hijack(turn, call, object).await,
            Action::Builds(Builds::Session | Builds::Grpc) => self.tunnel(turn, call).await,
            action => self.act(turn, call, action).await.map(Reply::Http),
        }
    }

    /// Asks the `request` hooks, if there are any.
    async fn ask_request(&self, turn: &Turn, call: Call) -> Result<hooks::Asked, Error> {
        match turn.plugins.sees(Hook::Request) {
            true => hooks::request(turn, call, self.scene(turn), self.settings.body_limit).await,
            false => Ok(hooks::Asked::Proceed(call)),
        }
    }

    /// Carries out whatever stays HTTP.
    async fn act(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Action,
    ) -> Result<Response<Body>, Error> {
        match action {
            Action::System(action) => self.system(turn, call, action).await,
            Action::Containers(action) => self.containers(turn, call, action).await,
            Action::Images(action) => self.images(turn, call, action).await,
            Action::Networks(action) => self.networks(turn, call, action).await,
            Action::Volumes(action) => self.volumes(turn, call, action).await,
            Action::Builds(action) => self.builds(turn, call, action).await,
            Action::Prune(pruned) => self.prune(turn, call, pruned).await,
            Action::AnyBackend => self.forward_anywhere(turn, call).await,
            Action::Forward(object) | Action::Hijack(object) => {
                self.forward(turn, call, object).await
            }
            Action::Refuse(refusal) => Err(local::refused(refusal)),
        }
    }

    async fn system(
        &self,
        turn: &Turn,
        call: Call,
        action: System,
    ) -> Result<Response<Body>, Error> {
        match action {
            System::Ping => local::ping(turn, &call),
            System::Version => local::version(turn),
            System::Info => self.info(turn, call).await,
            System::Events => self.events(turn, call).await,
            System::DiskUsage => self.disk_usage(turn, call).await,
            System::Plugins => self.plugin_list(turn, call).await,
        }
    }

    async fn containers(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Containers,
    ) -> Result<Response<Body>, Error> {
        match action {
            Containers::List => self.container_list(turn, call).await,
            Containers::Create => self.create(turn, call).await,
            Containers::Inspect => self.container_inspect(turn, call).await,
            Containers::Rename => self.rename(turn, call).await,
            Containers::Start => self.start(turn, call).await,
            Containers::Restart => self.restart(turn, call).await,
            Containers::Wait => self.wait(turn, call).await,
            Containers::Remove => self.remove(turn, call).await,
            Containers::ExecCreate => self.exec_create(turn, call).await,
            Containers::Commit => self.commit(turn, call).await,
        }
    }
}

/// Gives an answer the headers that every answer of a daemon has; clients decide by them what they may ask for.
fn dress(turn: &Turn, mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in &turn.flock.common().identity {
        if headers.get(name) != Some(value) {
            headers.insert(name, value.clone());
        }
    }
    forward::strip(headers);
    headers
        .entry(header::SERVER)
        .or_insert(HeaderValue::from_static("flockerd"));
    response
}

/// One line for a call that failed, as loud as its blame.
fn log(endpoint: &Label, client: &str, error: &Error) {
    match error.blame() {
        Blame::Client => tracing::debug!(%endpoint, client.addr = client, %error, "call refused"),
        Blame::Backend | Blame::Plugin => {
            tracing::warn!(%endpoint, client.addr = client, %error, "call failed")
        }
        Blame::Flockerd => tracing::error!(%endpoint, client.addr = client, %error, "call failed"),
    }
}
