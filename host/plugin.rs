//! The plugins: one method per hook, each asking the chain in order.
//!
//! Plugins are sandboxed WebAssembly components built against `wit/`. What a plugin may see of the flock is handed to
//! it as a [`Scene`]; plugins never call up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    config::{PluginConfig, PluginSource},
    state::StateStore,
};

mod answer;
mod aside;
pub mod bindings;
mod cache;
mod capabilities;
mod chain;
mod clock;
mod compiler;
mod engine;
mod events;
mod failure;
mod functions;
mod imports;
mod instance;
mod journal;
mod keyspace;
mod keyvalue;
mod limits;
mod load;
mod mapped;
mod nesting;
mod outgoing;
mod record;
mod registry;
mod shadow;
mod source;
mod store;
#[cfg(test)]
mod tests;

pub use bindings::{event, list, map, registry_auth, request, route, start, types};
pub use chain::{Decision, Resolve, Verdict};
pub use compiler::{Compiler, compile};
pub use events::{Ear, Notice, Told, What};
pub use keyspace::key_of;
pub use load::{LoadError, digest};
pub use record::{LastFailure, Tally};
pub use registry::{PullError, Registries};
pub use shadow::Placement;
pub use store::PluginState;

use instance::{Component, Plugin};
use load::Loader;

/// A function a plugin may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    Request,
    Route,
    Map,
    Start,
    List,
    RegistryAuth,
    Event,
    State,
}

impl Hook {
    pub const ALL: [Self; 8] = [
        Self::Request,
        Self::Route,
        Self::Map,
        Self::Start,
        Self::List,
        Self::RegistryAuth,
        Self::Event,
        Self::State,
    ];

    /// Returns the name of its interface in `wit/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Route => "route",
            Self::Map => "map",
            Self::Start => "start",
            Self::List => "list",
            Self::RegistryAuth => "registry-auth",
            Self::Event => "event",
            Self::State => "state",
        }
    }
}

/// The JSON body of the call in progress, read only when a plugin asks for it.
#[async_trait]
pub trait JsonBody: Send + Sync {
    /// Returns the body, none when there is none or it is not JSON; the error is the reason, in words.
    async fn read(&self) -> Result<Option<String>, String>;

    /// Returns the body for those who only watch: none also when reading it could end the call.
    async fn peek(&self) -> Option<String> {
        self.read().await.ok().flatten()
    }
}

/// What the imports show a plugin during one call.
#[derive(Clone)]
pub struct Scene {
    /// Makes the list of backends that `flock.backends` returns.
    pub backends: Arc<dyn Fn() -> Vec<types::Backend> + Send + Sync>,
    /// The body of the call, in the `request` hook only.
    pub body: Option<Arc<dyn JsonBody>>,
}

impl Scene {
    /// A scene without backends and without a body.
    pub fn empty() -> Self {
        Self {
            backends: Arc::new(Vec::new),
            body: None,
        }
    }
}

/// Compiled plugins that have no `keyspace` yet; a state store makes them [`Plugins`].
#[derive(Default, Clone)]
pub struct Loaded {
    components: Vec<Arc<Component>>,
    /// None when there is nothing to load.
    loader: Option<Arc<Loader>>,
}

/// What `flockerd check` and `flockerd plugin check` tell about a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    pub name: String,
    /// As it is configured.
    pub source: PluginSource,
    /// For a component from a registry, the source that means this one for ever.
    pub pinned: Option<PluginSource>,
    pub hooks: Vec<Hook>,
    /// The SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// How long the component is, in bytes.
    pub size: usize,
    /// The interfaces of the contract that its hooks are from, with their version: `flocker:plugin/route@0.1.0`.
    pub exports: Vec<String>,
    pub imports: Vec<Import>,
}

/// An interface that a plugin imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// With its version: `flocker:plugin/log@0.1.0`.
    pub interface: String,
    pub functions: Vec<String>,
}

impl Loaded {
    pub fn has(&self, hook: Hook) -> bool {
        self.position(hook).is_some()
    }

    /// Tells about every plugin, in the order of the chain.
    pub fn infos(&self) -> Vec<PluginInfo> {
        self.components
            .iter()
            .map(|component| component.info())
            .collect()
    }

    /// Where the first plugin is that exports a hook and is no shadow.
    fn position(&self, hook: Hook) -> Option<usize> {
        let decides = |component: &Arc<Component>| !component.settings.shadow;
        self.components
            .iter()
            .position(|component| component.exports(hook) && decides(component))
    }

    /// Keeps the plugins' keys in the given store.
    pub fn with_state(self, store: Arc<dyn StateStore>) -> Plugins {
        let joined = |component| Plugin::new(component, Some(Arc::clone(&store)));
        Plugins {
            chain: self.components.into_iter().map(joined).collect(),
            loader: self.loader,
        }
    }

    /// Keeps all state in the first plugin that exports `state`; returns none when no plugin does.
    ///
    /// That plugin's own `keyspace` fails, because it would call itself.
    pub fn with_plugin_state(self) -> Option<(Plugins, Arc<PluginState>)> {
        let position = self.position(Hook::State)?;
        let keeper = Plugin::new(Arc::clone(&self.components[position]), None);
        let store = Arc::new(PluginState::new(keeper.clone()));
        let mut plugins = self.with_state(store.clone());
        plugins.chain[position] = keeper;
        Some((plugins, store))
    }
}

/// The chain of plugins. Its methods, one per hook, are in `chain.rs`.
#[derive(Default, Clone)]
pub struct Plugins {
    chain: Vec<Plugin>,
    loader: Option<Arc<Loader>>,
}

/// What became of loading a plugin again.
#[derive(Clone)]
pub enum Reload {
    /// The component is the one that runs already.
    Same,
    /// The plugin keeps flockerd's state, perhaps in its own memory: only a restart replaces it.
    KeepsState,
    /// A chain with the new one in the old one's place.
    Fresh(Arc<Plugins>),
}

impl Plugins {
    /// A chain that has no opinion on anything.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads or pulls, compiles, checks and once instantiates every plugin, in the order given.
    ///
    /// Compiling takes milliseconds for Rust and C, seconds for Python and JavaScript; what was compiled before takes
    /// none.
    pub async fn load(
        configs: &[PluginConfig],
        compiler: Compiler,
        registries: Registries,
    ) -> Result<Loaded, LoadError> {
        if configs.is_empty() {
            return Ok(Loaded::default());
        }
        let loader = Loader::new(configs, compiler, registries)?;
        let mut components = Vec::with_capacity(configs.len());
        for config in configs {
            components.push(Arc::new(loader.load(config).await?));
        }
        Ok(Loaded {
            components,
            loader: Some(Arc::new(loader)),
        })
    }

    /// Reads or pulls one plugin again and, when it is another, compiles, checks and once instantiates it. The chain
    /// itself stays as it is; calls that are in the old plugin end there.
    ///
    /// # Errors
    /// As [`Plugins::load`].
    pub async fn reload(&self, name: &str) -> Result<Reload, LoadError> {
        let position = self.chain.iter().position(|plugin| plugin.name() == name);
        let (Some(position), Some(loader)) = (position, &self.loader) else {
            return Ok(Reload::Same);
        };
        let old = &self.chain[position];
        let settings = &old.component.settings;
        let read = loader.read(settings).await?;
        if old.component.is(&read.origin) {
            return Ok(Reload::Same);
        }
        if !old.is_replaceable() {
            return Ok(Reload::KeepsState);
        }
        let component = loader.make(settings, read).await?;
        let mut plugins = self.clone();
        plugins.chain[position] = old.replaced(component);
        Ok(Reload::Fresh(Arc::new(plugins)))
    }

    /// What every plugin did so far, in the order of the chain.
    pub fn tallies(&self) -> Vec<Tally> {
        let tallies = self.chain.iter().map(Plugin::tally);
        tallies.collect()
    }

    /// Tells about every plugin, in the order of the chain.
    pub fn infos(&self) -> Vec<PluginInfo> {
        let infos = self.chain.iter().map(|plugin| plugin.component.info());
        infos.collect()
    }

    /// Returns the linear memory, in bytes, of the instances that are kept warm now, all together.
    pub async fn memory(&self) -> usize {
        let mut bytes = 0;
        for plugin in &self.chain {
            bytes += plugin.component.memory().await;
        }
        bytes
    }

    /// Tells whether any plugin decides with this hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.exporting(hook).next().is_some()
    }

    /// Tells whether any plugin, a shadow perhaps, is to see what this hook is asked, so that callers need not prepare
    /// it for nobody.
    pub fn sees(&self, hook: Hook) -> bool {
        self.has(hook) || self.has_shadow(hook)
    }
}
