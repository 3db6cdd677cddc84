//! What a plugin can import: its log, its configuration, its keys, the flock, and the body of the call.

use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::state::StateStore;

use super::{
    Scene,
    bindings::flocker::plugin::{body, config, flock, keyspace, log},
    capabilities::Capabilities,
    clock::Clock,
    failure::Failure,
    journal::Journal,
    keyspace::{Keyspace, Ledger},
    limits::{self, Limits},
    outgoing::Requests,
    types,
};

/// What the imports know of a plugin: the same for all its instances.
pub(super) struct Identity {
    pub(super) name: Arc<str>,
    pub(super) config: Map<String, Value>,
    /// Linear memory per instance, in bytes.
    pub(super) memory: usize,
    pub(super) capabilities: Capabilities,
    pub(super) ledger: Arc<Ledger>,
}

/// What the imports show during one call.
#[derive(Clone)]
pub(super) struct View {
    pub(super) hook: &'static str,
    pub(super) scene: Scene,
    /// None for the plugin that is the state store itself.
    pub(super) keyspace: Option<Arc<dyn StateStore>>,
}

/// Everything that belongs to one instance outside its own memory.
pub(super) struct Context {
    identity: Arc<Identity>,
    view: View,
    journal: Journal,
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) clock: Clock,
    http: WasiHttpCtx,
    requests: Requests,
    pub(super) limits: Limits,
}

impl Context {
    /// # Errors
    /// When something that was granted is not there.
    pub(super) fn new(identity: Arc<Identity>, view: View) -> Result<Self, Failure> {
        let journal = Journal::new(Arc::clone(&identity.name), view.hook);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES);
        let clock = identity.capabilities.clock();
        Ok(Self {
            limits: Limits::new(identity.memory),
            wasi: identity.capabilities.wasi(&journal, &clock)?,
            http: WasiHttpCtx::new(),
            requests: identity.capabilities.requests(&journal),
            identity,
            view,
            journal,
            table,
            clock,
        })
    }

    /// Prepares a kept instance for its next call.
    pub(super) fn begin(&mut self, view: View) {
        self.journal.begin(view.hook);
        self.view = view;
    }

    /// Lets go of what belonged to the call.
    pub(super) fn end(&mut self) {
        self.journal.flush();
        self.view.scene = Scene::empty();
    }

    pub(super) fn keyspace(&self) -> Result<Keyspace, String> {
        let store = self.view.keyspace.clone();
        let store = store.ok_or("this plugin is the state store, it has no keys besides")?;
        Ok(Keyspace::own(store, Arc::clone(&self.identity.ledger)))
    }
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Context {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.requests,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl types::Host for Context {}

impl log::Host for Context {
    fn write(&mut self, level: log::Level, message: String) {
        self.journal.write(level, &message);
    }
}

impl config::Host for Context {
    fn get(&mut self, key: String) -> Option<String> {
        match self.identity.config.get(&key)? {
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        }
    }

    fn table(&mut self) -> String {
        serde_json::to_string(&self.identity.config)
            .expect("a table of strings and JSON values is JSON")
    }
}

impl flock::Host for Context {
    fn backends(&mut self) -> Vec<types::Backend> {
        (self.view.scene.backends)()
    }
}

impl body::Host for Context {
    async fn read(&mut self) -> Result<Option<String>, String> {
        match self.view.scene.body.clone() {
            Some(body) => body.read().await,
            None => Ok(None),
        }
    }
}

impl keyspace::Host for Context {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, String> {
        self.keyspace()?.get(&key).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u64>) -> Result<(), String> {
        self.keyspace()?.set(&key, &value, ttl).await
    }

    async fn delete(&mut self, key: String) -> Result<(), String> {
        self.keyspace()?.delete(&key).await
    }

    async fn swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        replacement: Option<Vec<u8>>,
        ttl: Option<u64>,
    ) -> Result<bool, String> {
        let (expected, replacement) = (expected.as_deref(), replacement.as_deref());
        let keyspace = self.keyspace()?;
        keyspace.swap(&key, expected, replacement, ttl).await
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, String> {
        self.keyspace()?.keys(&prefix).await
    }
}
