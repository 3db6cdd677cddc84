//! The configuration as plain data: the TOML file, the flags and the environment merged, with defaults and validation.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Everything an operator can set. Durations are written `5s`, sizes `4MiB`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the Docker API is served: `tcp://host:port` or `unix:///path`.
    pub listen: Vec<String>,
    /// The fixed backends, in the order given.
    pub backends: Vec<BackendConfig>,
    /// The chain of plugins, in the order they are asked.
    pub plugins: Vec<PluginConfig>,
    /// Where state is kept; none: a plugin that exports `state`, else the default file.
    pub state: Option<StateConfig>,
    /// Who pulls an image that a create finds missing.
    pub pull: Pull,
    /// The built-in placement for what no plugin places.
    pub strategy: Strategy,
    /// How long a list or a probe waits for one backend.
    pub backend_timeout: Duration,
    /// The time between two probes of a backend.
    pub probe_interval: Duration,
    /// How often `list` hooks are asked.
    pub list_interval: Duration,
    /// How long a create that waits for its image is remembered.
    pub run_expiry: Duration,
    /// The longest JSON body that flockerd reads, in bytes.
    pub body_limit: usize,
    /// How long calls may go on after SIGTERM.
    pub grace: Duration,
    /// The filter of the log, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
}

/// One `[[backend]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    pub name: String,
    pub address: String,
    pub labels: BTreeMap<String, String>,
}

/// One `[[plugin]]`.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    pub path: PathBuf,
    pub name: String,
    /// None: warm for a plugin that exports `state`, else fresh.
    pub instance: Option<InstancePolicy>,
    pub on_failure: OnFailure,
    /// Per call, host calls included.
    pub timeout: Duration,
    /// Linear memory per instance, in bytes.
    pub memory: usize,
    /// Instances at once; further calls wait.
    pub instances: usize,
    /// The headers that the `request` hook sees, in lower case.
    pub headers: Vec<String>,
    /// The plugin's own table.
    pub config: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancePolicy {
    Fresh,
    Warm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    Refuse,
    Skip,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateConfig {
    Memory,
    /// The first plugin that exports `state`.
    Plugin,
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// The daemon's 404 goes to the client, which pulls.
    Client,
    /// flockerd pulls during the create.
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Fewest running containers, ties by name.
    Spread,
}
