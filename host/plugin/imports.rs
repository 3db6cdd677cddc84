//! What a plugin can import: its log, its configuration, its keys, the flock, and the body of the call.

use std::{sync::Arc, time::Duration};

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
    limits::{self, Limits},
    outgoing::Requests,
    types,
};

/// The longest key of a plugin, in bytes.
const KEY: usize = 256;

/// The longest value of a plugin, in bytes.
const VALUE: usize = 1 << 20;

/// What the imports know of a plugin: the same for all its instances.
pub(super) struct Identity {
    pub(super) name: Arc<str>,
    pub(super) config: Map<String, Value>,
    /// Linear memory per instance, in bytes.
    pub(super) memory: usize,
    pub(super) capabilities: Capabilities,
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
            requests: identity.capabilities.requests(),
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

    fn keyspace(&self) -> Result<Keyspace, String> {
        let store = self.view.keyspace.clone();
        Ok(Keyspace {
            store: store.ok_or("this plugin is the state store, it has no keys besides")?,
            prefix: key_of(&self.identity.name, ""),
        })
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
        let keys = self.keyspace()?;
        in_words(keys.store.get(&keys.full(&key)?).await)
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u64>) -> Result<(), String> {
        let keys = self.keyspace()?;
        check_value(&value)?;
        in_words(
            keys.store
                .set(&keys.full(&key)?, &value, time_to_live(ttl))
                .await,
        )
    }

    async fn delete(&mut self, key: String) -> Result<(), String> {
        let keys = self.keyspace()?;
        in_words(keys.store.delete(&keys.full(&key)?).await)
    }

    async fn swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        replacement: Option<Vec<u8>>,
        ttl: Option<u64>,
    ) -> Result<bool, String> {
        let keys = self.keyspace()?;
        let (key, ttl) = (keys.full(&key)?, time_to_live(ttl));
        check_value(replacement.as_deref().unwrap_or_default())?;
        in_words(
            keys.store
                .swap(&key, expected.as_deref(), replacement.as_deref(), ttl)
                .await,
        )
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, String> {
        let keys = self.keyspace()?;
        check_text(&prefix)?;
        let full = format!("{}{prefix}", keys.prefix);
        let found = in_words(keys.store.keys(&full).await)?;
        let own = |key: &String| key.strip_prefix(&keys.prefix).map(str::to_owned);
        Ok(found.iter().filter_map(own).collect())
    }
}

/// Returns where in the state store a plugin's key is.
pub fn key_of(plugin: &str, key: &str) -> String {
    format!("plugin/{plugin}/{key}")
}

/// The part of the state store that belongs to one plugin.
struct Keyspace {
    store: Arc<dyn StateStore>,
    prefix: String,
}

impl Keyspace {
    fn full(&self, key: &str) -> Result<String, String> {
        if key.is_empty() {
            return Err("the key is empty".to_owned());
        }
        check_text(key)?;
        Ok(format!("{}{key}", self.prefix))
    }
}

fn check_text(key: &str) -> Result<(), String> {
    if key.len() > KEY {
        return Err(format!(
            "the key has {} bytes, {KEY} are allowed",
            key.len()
        ));
    }
    if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("the key is not printable ASCII".to_owned());
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), String> {
    if value.len() > VALUE {
        return Err(format!(
            "the value has {} bytes, {VALUE} are allowed",
            value.len()
        ));
    }
    Ok(())
}

fn time_to_live(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds.map(Duration::from_millis)
}

fn in_words<T>(result: Result<T, crate::error::Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
