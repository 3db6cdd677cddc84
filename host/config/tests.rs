mod problems;
mod reference;

use std::{fs, net::Ipv6Addr, num::NonZeroUsize};

use tempfile::TempDir;

use super::*;

/// A folder with a `flockerd.toml`.
struct Written(TempDir);

impl Written {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("flockerd.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, flags: Flags) -> Result<Config, Problem> {
        let config = Some(self.path("flockerd.toml").into());
        Config::load(&Flags { config, ..flags })
    }

    /// Returns the problem with the folder left out.
    fn problem(&self) -> (String, String) {
        let problem = self.load(Flags::default()).unwrap_err();
        let folder = format!("{}/", self.0.path().display());
        (
            problem.message.replace(&folder, ""),
            problem.hint.unwrap_or_default(),
        )
    }
}

fn loaded(text: &str) -> Config {
    Written::new(text).load(Flags::default()).unwrap()
}

const FULL: &str = r#"
listen = ["tcp://0.0.0.0:2376", "unix:///run/flockerd.sock"]
state = "state/f.redb"
pull = "proxy"
pull_to = "all"
builder = "big"
strategy = "spread"
plugin_cache = "cache"
threads = 3
insecure_registries = ["10.0.0.1:5000", "registry"]
publish = "forward"
publish_address = "::1"
backend_timeout = "250ms"
probe_interval = "1s"
list_interval = "1m"
run_expiry = "1h"
body_limit = 1048576
grace = "0s"
log = "warn,flockerd=debug"

[[backend]]
name = "node1"
address = "tcp://10.0.0.1:2375"
labels = { zone = "eu", rack = 7 }

[[backend]]
address = "/run/docker.sock"

[[plugin]]
path = "plugins/route.wasm"

[[plugin]]
path = "/opt/b.wasm"
name = "audit"
instance = "warm"
on_failure = "skip"
shadow = true
timeout = "2s"
memory = "512KiB"
instances = 3
headers = ["X-Team"]
http = ["consul:8500"]
env = ["TOKEN", "MODE=calm"]
dir = "rules"
clocks = "real"
random = "real"
[plugin.config]
teams = ["a", "b"]
since = 2026-01-02
limits = { share = 0.5, hard = true }

[network_driver.plain]
[volume_driver.nfs]
flocker.shared = true
"#;

#[test]
fn a_full_file_sets_everything() {
    let written = Written::new(FULL);
    let config = written.load(Flags::default()).unwrap();
    let labels = [("zone", "eu"), ("rack", "7")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let backend = |name: &str, address: &str, labels: BTreeMap<_, _>| BackendConfig {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        labels,
    };
    let audit = PluginConfig {
        source: PathBuf::from("/opt/b.wasm").into(),
        name: "audit".to_owned(),
        instance: Some(InstancePolicy::Warm),
        on_failure: OnFailure::Skip,
        shadow: true,
        timeout: Duration::from_secs(2),
        memory: 512 << 10,
        instances: 3,
        headers: vec!["x-team".to_owned()],
        grants: Grants {
            http: vec![HostGrant::parse("consul:8500").unwrap()],
            env: [("TOKEN", None), ("MODE", Some("calm"))]
                .map(|(name, value)| EnvGrant {
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                })
                .into(),
            dir: Some(written.path("rules")),
            clocks: Reality::Real,
            random: Reality::Real,
        },
        config: serde_json::from_str(
            r#"{"teams": ["a", "b"], "since": "2026-01-02", "limits": {"share": 0.5, "hard": true}}"#,
        )
        .unwrap(),
    };
    let expected = Config {
        listen: ["tcp://0.0.0.0:2376", "unix:///run/flockerd.sock"]
            .map(|text| text.parse().unwrap())
            .into(),
        backends: vec![
            backend("node1", "tcp://10.0.0.1:2375", labels.into()),
            backend("local", "/run/docker.sock", BTreeMap::new()),
        ],
        plugins: vec![
            PluginConfig::new(written.path("plugins/route.wasm"), "route".to_owned()),
            audit,
        ],
        threads: NonZeroUsize::new(3),
        plugin_cache: Some(written.path("cache")),
        insecure_registries: ["10.0.0.1:5000", "registry"].map(str::to_owned).into(),
        state: Some(StateConfig::File(written.path("state/f.redb"))),
        pull: Pull::Proxy,
        pull_to: PullTo::All,
        builder: Some("big".to_owned()),
        shared: Shared {
            network_drivers: BTreeSet::new(),
            volume_drivers: BTreeSet::from(["nfs".to_owned()]),
        },
        strategy: Strategy::Spread,
        publish: Publish::Forward,
        publish_address: Ipv6Addr::LOCALHOST.into(),
        backend_timeout: Duration::from_millis(250),
        probe_interval: Duration::from_secs(1),
        list_interval: Duration::from_secs(60),
        run_expiry: Duration::from_secs(3600),
        body_limit: 1 << 20,
        grace: Duration::ZERO,
        log: "warn,flockerd=debug".to_owned(),
    };
    assert_eq!(config, expected);
}

#[test]
fn nothing_written_means_the_defaults() {
    assert_eq!(loaded(""), Config::default());
    assert_eq!(Config::load(&Flags::default()).unwrap(), Config::default());
}

#[test]
fn flags_win_over_the_file() {
    let text = |text: &str| Some(text.to_owned());
    let config = Written::new(FULL)
        .load(Flags {
            listen: vec!["tcp://h:1".to_owned()],
            backend: vec!["n2=h2:2".to_owned(), "h3:3".to_owned()],
            state: text("here.redb"),
            pull: text("client"),
            publish: text("off"),
            backend_timeout: text("7s"),
            log: text("off"),
            ..Flags::default()
        })
        .unwrap();
    assert_eq!(config.listen, [Address::Tcp("h:1".into())]);
    let names: Vec<_> = config
        .backends
        .iter()
        .map(|backend| backend.name.as_str())
        .collect();
    assert_eq!(names, ["n2", "h3"]);
    assert_eq!(config.state, Some(StateConfig::File("here.redb".into())));
    assert_eq!(config.pull, Pull::Client);
    assert_eq!(config.publish, Publish::Off);
    assert_eq!(config.backend_timeout, Duration::from_secs(7));
    assert_eq!(config.log, "off");
    assert_eq!(
        config.probe_interval,
        Duration::from_secs(1),
        "the file still counts"
    );
}

#[test]
fn plugin_flags_choose_the_chain_and_the_file_their_settings() {
    let written = Written::new(FULL);
    let chain = |paths: &[PathBuf]| {
        let plugin = paths.iter().map(Into::into).collect();
        let flags = Flags {
            plugin,
            ..Flags::default()
        };
        let plugins = written.load(flags).unwrap().plugins;
        let describe = |p: PluginConfig| (p.source.to_string(), p.name, p.instances);
        plugins.into_iter().map(describe).collect::<Vec<_>>()
    };
    let plugin = |path: PathBuf, name: &str, instances| {
        (path.display().to_string(), name.to_owned(), instances)
    };

    let same_path = PathBuf::from("/opt/./b.wasm");
    assert_eq!(
        chain(&[same_path]),
        [plugin("/opt/b.wasm".into(), "audit", 3)]
    );
    let same_name = PathBuf::from("target/audit.wasm");
    assert_eq!(
        chain(std::slice::from_ref(&same_name)),
        [plugin(same_name, "audit", 3)]
    );
    let (new, old) = (
        PathBuf::from("new.wasm"),
        written.path("plugins/route.wasm"),
    );
    assert_eq!(
        chain(&[new.clone(), old.clone()]),
        [plugin(new, "new", 64), plugin(old, "route", 64)]
    );
}

#[test]
fn the_default_folders_lie_in_the_users() {
    let path = |state: &str, home: &str| {
        let given = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
        let folder = own_folder(given(state), given(home), ".local/state")?;
        Some(folder.display().to_string())
    };
    assert_eq!(path("/s", "/h").unwrap(), "/s/flockerd");
    for ignored in ["", "relative"] {
        assert_eq!(path(ignored, "/h").unwrap(), "/h/.local/state/flockerd");
    }
    assert_eq!(path("", ""), None);
}
