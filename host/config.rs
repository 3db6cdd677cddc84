//! The configuration as plain data: the TOML file, the flags and the environment merged, with defaults and validation.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

mod address;
mod document;
mod file;
mod flags;
mod grants;
mod keys;
mod merge;
mod plugins;
mod reader;
mod source;
#[cfg(test)]
mod tests;
mod units;

pub use document::{Size, document};
pub use flags::Flags;
pub use grants::{EnvGrant, Grants, HostGrant, Reality, Scheme};
pub use keys::{KEYS, Key};
pub use plugins::{json, object};
pub use source::PluginSource;

use crate::{address::Address, telemetry};

/// Everything an operator can set. Durations are written `5s`, sizes `4MiB`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the Docker API is served: `tcp://host:port` or `unix:///path`.
    pub listen: Vec<Address>,
    /// The fixed backends, in the order given.
    pub backends: Vec<BackendConfig>,
    /// The chain of plugins, in the order they are asked.
    pub plugins: Vec<PluginConfig>,
    /// How many threads do the work; none: one for each CPU.
    pub threads: Option<NonZeroUsize>,
    /// Where compiled components, and components from registries, are kept; none: the user's folder for caches.
    pub plugin_cache: Option<PathBuf>,
    /// The registries, as references name them, that may lack TLS or a certificate to be trusted.
    pub insecure_registries: Vec<String>,
    /// Where state is kept; none: a plugin that exports `state`, else the default file.
    pub state: Option<StateConfig>,
    /// Who pulls an image that a create finds missing.
    pub pull: Pull,
    /// Where a pull goes that no create waits for.
    pub pull_to: PullTo,
    /// The backend that builds for everybody; none: one for each client.
    pub builder: Option<String>,
    /// Drivers whose networks and volumes are the same on every backend.
    pub shared: Shared,
    /// The built-in placement for what no plugin places.
    pub strategy: Strategy,
    /// Whether the ports that containers publish are forwarded.
    pub publish: Publish,
    /// Where forwarded ports are opened.
    pub publish_address: IpAddr,
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

impl Config {
    /// Merges the defaults, the file and the flags, the later ones winning.
    ///
    /// Reads the file but neither plugins nor backends. The problem names every value that is wrong, unless the file
    /// is not TOML of the right shape: then the first place where it is not.
    pub fn load(flags: &Flags) -> Result<Self, Problem> {
        merge::load(flags)
    }

    /// Where components are kept: by default in `$XDG_CACHE_HOME/flockerd`, else in `~/.cache/flockerd`.
    /// None when nothing says where.
    pub fn plugin_cache(&self) -> Option<PathBuf> {
        let default = || folder("XDG_CACHE_HOME", ".cache");
        self.plugin_cache.clone().or_else(default)
    }
}

/// A folder of flockerd's in the user's folder for such things, for which there is a variable and a custom.
fn folder(variable: &str, custom: &str) -> Option<PathBuf> {
    own_folder(env::var_os(variable), env::var_os("HOME"), custom)
}

fn own_folder(given: Option<OsString>, home: Option<OsString>, custom: &str) -> Option<PathBuf> {
    let absolute = |dir: Option<OsString>| dir.map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute(given)
        .or_else(|| absolute(home).map(|home| home.join(custom)))
        .map(|dir| dir.join("flockerd"))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Address::Tcp("127.0.0.1:2375".to_owned())],
            backends: Vec::new(),
            plugins: Vec::new(),
            threads: None,
            plugin_cache: None,
            insecure_registries: Vec::new(),
            state: None,
            pull: Pull::Client,
            pull_to: PullTo::Placed,
            builder: None,
            shared: Shared::default(),
            strategy: Strategy::Spread,
            publish: Publish::Off,
            publish_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            backend_timeout: Duration::from_secs(5),
            probe_interval: Duration::from_secs(2),
            list_interval: Duration::from_secs(10),
            run_expiry: Duration::from_secs(15 * 60),
            body_limit: 4 << 20,
            grace: Duration::from_secs(10),
            log: "info".to_owned(),
        }
    }
}

/// One `[[backend]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    pub name: String,
    pub address: Address,
    pub labels: BTreeMap<String, String>,
}

/// One `[[plugin]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    pub source: PluginSource,
    pub name: String,
    /// None: warm for a plugin that exports `state`, else fresh.
    pub instance: Option<InstancePolicy>,
    pub on_failure: OnFailure,
    /// Asked after the fact, decides nothing.
    pub shadow: bool,
    /// Per call, host calls included.
    pub timeout: Duration,
    /// Linear memory per instance, in bytes.
    pub memory: usize,
    /// Instances at once; further calls wait.
    pub instances: usize,
    /// The headers that the `request` hook sees, in lower case.
    pub headers: Vec<String>,
    /// What it may do beyond computing.
    pub grants: Grants,
    /// The plugin's own table.
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl PluginConfig {
    /// A plugin with the default settings.
    pub fn new(source: impl Into<PluginSource>, name: String) -> Self {
        Self {
            source: source.into(),
            name,
            instance: None,
            on_failure: OnFailure::Refuse,
            shadow: false,
            timeout: Duration::from_secs(1),
            memory: 64 << 20,
            instances: 64,
            headers: ["authorization", "content-type", "user-agent"]
                .map(str::to_owned)
                .into(),
            grants: Grants::default(),
            config: serde_json::Map::new(),
        }
    }
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

impl StateConfig {
    /// The file for when nothing is configured: `$XDG_STATE_HOME/flockerd/state.redb`, by default in `~/.local/state`.
    pub fn default_file() -> Result<Self, Problem> {
        let folder = folder("XDG_STATE_HOME", ".local/state").ok_or_else(|| {
            Problem::new(
                "there is no place for the state file, for neither XDG_STATE_HOME nor HOME is set",
                "give --state memory or --state PATH",
            )
        })?;
        Ok(Self::File(folder.join("state.redb")))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// The daemon's 404 goes to the client, which pulls.
    Client,
    /// flockerd pulls during the create.
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullTo {
    /// Where a `route` hook says, else to every backend that has the tag, else where the strategy says.
    Placed,
    /// To every backend.
    All,
}

/// Drivers whose objects are the same on every backend, and therefore bind nothing to one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    pub network_drivers: BTreeSet<String>,
    pub volume_drivers: BTreeSet<String>,
}

impl Shared {
    pub fn has_network(&self, driver: &str) -> bool {
        self.network_drivers.contains(driver)
    }

    pub fn has_volume(&self, driver: &str) -> bool {
        self.volume_drivers.contains(driver)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Fewest running containers, ties by name.
    Spread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// A published port is at its host's address alone.
    Off,
    /// flockerd listens on the same port and forwards.
    Forward,
}

/// What is wrong with the configuration or the command line, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub message: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Puts where it stands before the message.
    fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl From<telemetry::BadFilter> for Problem {
    fn from(bad: telemetry::BadFilter) -> Self {
        Self::new(
            bad.to_string(),
            "write a level such as debug, or info,flockerd=trace",
        )
    }
}
