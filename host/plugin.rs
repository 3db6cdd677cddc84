//! The plugins: one method per hook, each asking the chain in order.
//!
//! Plugins are sandboxed WebAssembly components built against `wit/`. What a plugin may see of the flock is handed to
//! it as a [`Scene`]; plugins never call up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{config, error::Error, state::StateStore};

pub mod bindings;
mod chain;
mod engine;
mod imports;
mod instance;
mod limits;
mod store;

pub use bindings::types;
pub use chain::{Chain, Decision};
pub use engine::LoadError;
pub use store::PluginState;

/// A function a plugin may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    Request,
    Route,
    Map,
    Start,
    List,
    RegistryAuth,
    State,
}

/// The JSON body of the call in progress, read only when a plugin asks for it.
#[async_trait]
pub trait JsonBody: Send + Sync {
    /// Returns the body, none when there is none or it is not JSON; the error is the reason, in words.
    async fn read(&self) -> Result<Option<String>, String>;
}

/// What the imports show a plugin during one call.
#[derive(Clone)]
pub struct Scene {
    /// Makes the list of backends that `flock.backends` returns.
    pub backends: Arc<dyn Fn() -> Vec<types::Backend> + Send + Sync>,
    /// The body of the call, in the `request` hook only.
    pub body: Option<Arc<dyn JsonBody>>,
}
