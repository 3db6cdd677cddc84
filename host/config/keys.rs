//! The reference of the TOML file: every key, its default and its meaning.

/// One key of the file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key, with `backend.` or `plugin.` before those of `[[backend]]` and `[[plugin]]`.
    pub name: &'static str,
    /// The default as TOML; none: required, or derived as the meaning says.
    pub default: Option<&'static str>,
    /// One line.
    pub meaning: &'static str,
}

/// Every key, in the order the reference lists them.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        Some(r#"["tcp://127.0.0.1:2375"]"#),
        "where the Docker API is served: `tcp://host:port` or `unix:///path`",
    ),
    key(
        "threads",
        None,
        "how many threads do the work; otherwise one for each CPU that flockerd may use",
    ),
    key(
        "plugin_cache",
        None,
        "the folder where compiled plugins, and plugins from registries, are kept, in folders with mode 0700, relative to this file; otherwise `$XDG_CACHE_HOME/flockerd`",
    ),
    key(
        "insecure_registries",
        Some("[]"),
        "the registries of plugins, each `host` or `host:port`, that may lack TLS or a valid certificate; those on the loopback always may",
    ),
    key(
        "state",
        None,
        "where state is kept: `memory`, `plugin` or a path; otherwise a plugin that exports `state`, else `$XDG_STATE_HOME/flockerd/state.redb`",
    ),
    key(
        "pull",
        Some(r#""client""#),
        "who pulls an image that a create finds missing: `client` or `proxy`",
    ),
    key(
        "pull_to",
        Some(r#""placed""#),
        "where a pull goes that no create waits for: `placed` (where a `route` hook says, else to every host that has the tag, else where the strategy says) or `all`",
    ),
    key(
        "builder",
        None,
        "the name of the host that builds for everybody; otherwise each client has one, which it keeps",
    ),
    key(
        "strategy",
        Some(r#""spread""#),
        "the built-in placement for what no plugin places",
    ),
    key(
        "publish",
        Some(r#""off""#),
        "whether published ports are at flockerd's address too: `off` or `forward`",
    ),
    key(
        "publish_address",
        Some(r#""0.0.0.0""#),
        "the IP address where forwarded ports are opened, and which clients are shown",
    ),
    key(
        "backend_timeout",
        Some(r#""5s""#),
        "how long a list or a probe waits for one backend",
    ),
    key(
        "probe_interval",
        Some(r#""2s""#),
        "the time between two probes of a backend",
    ),
    key(
        "list_interval",
        Some(r#""10s""#),
        "how often `list` hooks are asked",
    ),
    key(
        "run_expiry",
        Some(r#""15m""#),
        "how long a create that waits for its image is remembered",
    ),
    key(
        "body_limit",
        Some(r#""4MiB""#),
        "the longest JSON body that flockerd reads",
    ),
    key(
        "grace",
        Some(r#""10s""#),
        "how long calls may go on after SIGTERM",
    ),
    key(
        "log",
        Some(r#""info""#),
        "what is logged, such as `debug` or `info,flockerd=trace`",
    ),
    key(
        "backend",
        Some("[]"),
        "the fixed backends, one `[[backend]]` each",
    ),
    key(
        "backend.name",
        None,
        "a name of its own; otherwise the host of the address, or `local` for a unix socket",
    ),
    key(
        "backend.address",
        None,
        "required: `tcp://host:port`, `host:port`, `unix:///path` or `/path`",
    ),
    key(
        "backend.labels",
        Some("{}"),
        "what plugins may choose by, such as `{ zone = \"eu\" }`",
    ),
    key(
        "plugin",
        Some("[]"),
        "the chain of plugins, one `[[plugin]]` each, in the order they are asked",
    ),
    key(
        "plugin.path",
        None,
        "required: the component, relative to the configuration file, or `oci://host/repository:tag`",
    ),
    key(
        "plugin.name",
        None,
        "a name of its own; otherwise the path's file name without its extension, or the last part of the repository",
    ),
    key(
        "plugin.instance",
        None,
        "`fresh` for every call or `warm`; otherwise warm for a plugin that exports `state`, else fresh",
    ),
    key(
        "plugin.on_failure",
        Some(r#""refuse""#),
        "what a failing plugin does to the call: `refuse` or `skip`",
    ),
    key(
        "plugin.shadow",
        Some("false"),
        "let its hooks be asked after the fact and decide nothing; where it disagrees is logged and counted",
    ),
    key(
        "plugin.timeout",
        Some(r#""1s""#),
        "how long one call of a hook may take, host calls included",
    ),
    key(
        "plugin.memory",
        Some(r#""64MiB""#),
        "the memory of one instance",
    ),
    key(
        "plugin.instances",
        Some("64"),
        "how many instances run at once; further calls wait",
    ),
    key(
        "plugin.headers",
        Some(r#"["authorization", "content-type", "user-agent"]"#),
        "the headers that the `request` hook sees",
    ),
    key(
        "plugin.http",
        Some("[]"),
        "the hosts that it may call by HTTP: `host`, `host:port`, `https://host` or `*.example.org`",
    ),
    key(
        "plugin.env",
        Some("[]"),
        "the environment that it sees: `KEY` as flockerd has it, or `KEY=value`",
    ),
    key(
        "plugin.dir",
        None,
        "a directory that it may read, as its `/`; relative to the configuration file",
    ),
    key(
        "plugin.clocks",
        Some(r#""fixed""#),
        "the time that it sees: `fixed`, always 2000-01-01, or `real`",
    ),
    key(
        "plugin.random",
        Some(r#""fixed""#),
        "the random numbers that it gets: `fixed`, always the same, or `real`",
    ),
    key("plugin.config", Some("{}"), "the plugin's own table"),
    key(
        "network_driver",
        Some("{}"),
        "what is known of network drivers, a table `[network_driver.NAME]` each",
    ),
    key(
        "network_driver.flocker",
        Some("{ shared = false }"),
        "`flocker.shared = true`: its networks are the same on every host and bind no container to one",
    ),
    key(
        "volume_driver",
        Some("{}"),
        "what is known of volume drivers, a table `[volume_driver.NAME]` each",
    ),
    key(
        "volume_driver.flocker",
        Some("{ shared = false }"),
        "`flocker.shared = true`: its volumes are the same on every host and bind no container to one",
    ),
];

const fn key(name: &'static str, default: Option<&'static str>, meaning: &'static str) -> Key {
    Key {
        name,
        default,
        meaning,
    }
}
