//! The flags that configure flockerd, and the environment variables behind them.

use std::{ffi::OsString, path::Path};

/// What the command line and the environment set, still as text; an empty text counts as not given.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Read a TOML configuration file; flags and environment win over it
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "FLOCKERD_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<OsString>,

    /// Serve the Docker API at tcp://host:port or unix:///path; repeatable [default: tcp://127.0.0.1:2375]
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "FLOCKERD_LISTEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub listen: Vec<String>,

    /// Add a Docker host at tcp://host:port or unix:///path; repeatable (in the environment: separated by blanks)
    #[arg(
        long,
        global = true,
        value_name = "[NAME=]ADDRESS[,LABEL=VALUE...]",
        env = "FLOCKERD_BACKEND",
        hide_env_values = true
    )]
    pub backend: Vec<String>,

    /// Append a WebAssembly component, a file or oci://host/repository:tag, to the chain of plugins; repeatable, asked in
    /// the order given
    #[arg(
        long,
        global = true,
        value_name = "PATH|oci://REFERENCE",
        env = "FLOCKERD_PLUGIN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub plugin: Vec<OsString>,

    /// Keep state in memory, in a plugin, or in the file PATH [default: a file below $XDG_STATE_HOME]
    #[arg(
        long,
        global = true,
        value_name = "memory|plugin|PATH",
        env = "FLOCKERD_STATE",
        hide_env_values = true
    )]
    pub state: Option<String>,

    /// Choose who pulls an image that a create finds missing [default: client]
    #[arg(
        long,
        global = true,
        value_name = "client|proxy",
        env = "FLOCKERD_PULL",
        hide_env_values = true
    )]
    pub pull: Option<String>,

    /// Choose whether published ports are at flockerd's address too [default: off]
    #[arg(
        long,
        global = true,
        value_name = "off|forward",
        env = "FLOCKERD_PUBLISH",
        hide_env_values = true
    )]
    pub publish: Option<String>,

    /// Wait this long for one backend in a list or a probe [default: 5s]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        env = "FLOCKERD_BACKEND_TIMEOUT",
        hide_env_values = true
    )]
    pub backend_timeout: Option<String>,

    /// Let this many threads do the work [default: one for each CPU]
    #[arg(
        long,
        global = true,
        value_name = "NUMBER",
        env = "FLOCKERD_THREADS",
        hide_env_values = true
    )]
    pub threads: Option<String>,

    /// Log to stderr what passes this filter, such as debug or info,flockerd=trace [default: info]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "FLOCKERD_LOG",
        hide_env_values = true
    )]
    pub log: Option<String>,
}

impl Flags {
    /// Returns the path of the configuration file.
    pub(super) fn file(&self) -> Option<&Path> {
        self.config
            .as_deref()
            .filter(|path| !path.is_empty())
            .map(Path::new)
    }
}
