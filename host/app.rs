//! Wires every part: configuration in, a running flockerd out, drained at the end.

mod check;
mod endpoints;
mod events;
pub mod plugin;
mod reload;
mod sources;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    address::Address,
    config::{Config, Problem, Publish, StateConfig},
    front::{Listener, api::Api},
    inventory::{Inventory, Timing},
    plugin::{Compiler, Hook, Loaded, Plugins, Registries},
    proxy::{Pipes, Proxy, Published, Settings},
    shutdown::Shutdown,
    state::{StateStore, memory::Memory, redb::Redb},
};

pub use check::check;
pub use endpoints::{Format, endpoints};
use events::Events;

/// A flockerd that listens but does not serve yet.
pub struct App {
    config: Config,
    listeners: Vec<Listener>,
    inventory: Arc<Inventory>,
    plugins: Arc<ArcSwap<Plugins>>,
    proxy: Arc<Proxy>,
    published: Option<Arc<Published>>,
    shutdown: Shutdown,
    /// Heard from the start: a SIGHUP that nobody hears ends the process.
    hangup: Signal,
}

impl App {
    /// Loads the plugins, opens the state and binds the listeners.
    ///
    /// # Errors
    /// What the operator has to mend.
    pub async fn build(config: Config) -> Result<Self, Problem> {
        raise_descriptor_limit();
        let hangup = signal(SignalKind::hangup())
            .map_err(|error| Problem::new(error.to_string(), "try again"))?;
        let (compiler, registries) = makers(&config);
        let loaded = Plugins::load(&config.plugins, compiler, registries)
            .await
            .map_err(|e| Problem::new(e.to_string(), e.hint()))?;
        let (plugins, state) = open_state(config.state.clone(), loaded)?;
        let listeners = bind(&config.listen).await?;
        let shutdown = Shutdown::new();
        let timing = Timing {
            timeout: config.backend_timeout,
            probe_interval: config.probe_interval,
        };
        let plugins = Arc::new(ArcSwap::from_pointee(plugins));
        let inventory = Inventory::new(timing, plugins.clone(), shutdown.clone());
        let inventory = Arc::new(inventory);
        let pipes = Pipes::new();
        let published = publish(&config, &inventory, &state, &shutdown, &pipes).await?;
        let settings = settings(&config);
        let proxy = Proxy::new(inventory.clone(), plugins.clone(), state, pipes, settings);
        Ok(Self {
            config,
            listeners,
            inventory,
            plugins,
            proxy: Arc::new(proxy.publishing(published.clone())),
            published,
            shutdown,
            hangup,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<Address> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.address().ok())
            .collect()
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal ends it at once.
    ///
    /// # Errors
    /// When signals cannot be heard.
    pub async fn run(self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        if let Some(published) = self.published {
            let changes = self.inventory.changes();
            self.shutdown.spawn("publish", published.follow(changes));
        }
        sources::feed(&self.config, &self.inventory, &self.plugins, &self.shutdown).await?;
        let events = Events::new(&self.plugins, &self.proxy, &self.shutdown);
        events.feed();
        reload::watch(&self.plugins, events, self.hangup, &self.shutdown);
        let api = Arc::new(Api::new(self.proxy, self.shutdown.clone()));
        for listener in self.listeners {
            self.shutdown.spawn("listener", api.clone().serve(listener));
        }
        asked_to_end(&mut terminate, &mut interrupt).await;
        tracing::info!(grace = ?self.config.grace, "draining");
        tokio::select! {
            _ = self.shutdown.drained(self.config.grace) => {}
            () = asked_to_end(&mut terminate, &mut interrupt) => tracing::warn!("second signal, ending at once"),
        }
        Ok(())
    }
}

async fn asked_to_end(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Where plugins come from, and what turns them into code.
fn makers(config: &Config) -> (Compiler, Registries) {
    let registries = Registries::new(config.plugin_cache(), config.insecure_registries.clone());
    (Compiler::cached(config.plugin_cache()), registries)
}

fn settings(config: &Config) -> Settings {
    Settings {
        pull: config.pull,
        pull_to: config.pull_to,
        builder: config.builder.clone(),
        shared: config.shared.clone(),
        strategy: config.strategy,
        body_limit: config.body_limit,
        backend_timeout: config.backend_timeout,
        run_expiry: config.run_expiry,
    }
}

/// Takes up the forwarding of published ports, if it is wanted.
async fn publish(
    config: &Config,
    inventory: &Arc<Inventory>,
    state: &Arc<dyn StateStore>,
    shutdown: &Shutdown,
    pipes: &Arc<Pipes>,
) -> Result<Option<Arc<Published>>, Problem> {
    if config.publish == Publish::Off {
        return Ok(None);
    }
    let published = Published::open(
        config.publish_address,
        inventory.clone(),
        state.clone(),
        shutdown.clone(),
        pipes.clone(),
    );
    published
        .await
        .map(|published| Some(Arc::new(published)))
        .map_err(|error| Problem::new(error.to_string(), "give another --state PATH"))
}

/// Opens the state store and gives the plugins their keys in it.
fn open_state(
    wanted: Option<StateConfig>,
    loaded: Loaded,
) -> Result<(Plugins, Arc<dyn StateStore>), Problem> {
    let wanted = match wanted {
        Some(state) => state,
        None if loaded.has(Hook::State) => StateConfig::Plugin,
        None => StateConfig::default_file()?,
    };
    let store: Arc<dyn StateStore> = match wanted {
        StateConfig::Memory => Arc::new(Memory::new()),
        StateConfig::File(path) => Arc::new(Redb::open(&path).map_err(|error| {
            Problem::new(
                error.to_string(),
                "stop the other flockerd, or give another --state PATH or --state memory",
            )
        })?),
        StateConfig::Plugin => {
            let keeper = loaded.with_plugin_state().ok_or_else(|| {
                Problem::new(
                    "no plugin exports the state hook",
                    "add one with --plugin, or give --state memory or a path",
                )
            })?;
            return Ok((keeper.0, keeper.1));
        }
    };
    Ok((loaded.with_state(store.clone()), store))
}

async fn bind(addresses: &[Address]) -> Result<Vec<Listener>, Problem> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = Listener::bind(address).await.map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "something listens there already: stop it or give another --listen"
                }
                _ => "give another --listen",
            };
            Problem::new(format!("cannot listen on {address}: {error}"), hint)
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Every hijacked stream takes two sockets, and bulk takes pipes: take as many descriptors as we may have.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
}
