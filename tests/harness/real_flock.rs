//! Three real Docker daemons with addresses of their own and a registry, started on first use, shared by every test.

use std::{
    io::{BufRead, BufReader},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use base64::Engine as _;
use serde_json::json;
use tempfile::TempDir;

use super::{
    Output, Scope, Target,
    process::{COMMAND_DEADLINE, run},
};

/// The number of hosts.
pub(crate) const NODES: usize = 3;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flock.sh");

/// The hosts, started when first asked for.
pub(crate) fn flock() -> &'static RealFlock {
    static FLOCK: OnceLock<RealFlock> = OnceLock::new();
    FLOCK.get_or_init(RealFlock::start)
}

pub(crate) struct RealFlock {
    pub(crate) nodes: Vec<Node>,
    pub(crate) registry: Registry,
    gate: RwLock<()>,
    /// Ends when this process does, however it does, and takes the hosts down: it reads from a pipe that we hold.
    _keeper: Child,
}

impl RealFlock {
    fn start() -> Self {
        script(&["install"]);
        let mut keeper = Command::new("setsid")
            .args([SCRIPT, "hold", &NODES.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("flock.sh can be started");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "the hosts did not start");
        let nodes: Vec<Node> = script(&["addrs"]).lines().map(Node::parse).collect();
        let registry = Registry::find(&nodes[0]);
        Self {
            nodes,
            registry,
            gate: RwLock::new(()),
            _keeper: keeper,
        }
    }

    /// For a test that needs every host as it is; others run at the same time.
    pub(crate) fn shared(&'static self) -> Shared {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        Shared {
            scope: Scope::new(),
            _gate: gate,
        }
    }

    /// For a test that breaks hosts or counts what runs on them; no other test with real hosts runs meanwhile.
    pub(crate) fn exclusive(&'static self) -> Exclusive {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        Exclusive {
            broken: Vec::new(),
            scope: Scope::new(),
            _gate: gate,
        }
    }

    /// The node with this name, `node2`.
    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .expect("a node of this name")
    }

    /// The only node that has a container of this name or id.
    #[track_caller]
    pub(crate) fn holder(&self, container: &str) -> &Node {
        let path = format!("/containers/{container}/json");
        let holders: Vec<_> = self
            .nodes
            .iter()
            .filter(|node| node.api().get(&path).status == 200)
            .collect();
        assert_eq!(holders.len(), 1, "{container} is on {holders:?}");
        holders[0]
    }
}

/// The flock for one test among others.
pub(crate) struct Shared {
    scope: Scope,
    _gate: RwLockReadGuard<'static, ()>,
}

impl Deref for Shared {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

/// The flock for one test alone; what it broke is mended at its end, before what it made is removed.
pub(crate) struct Exclusive {
    broken: Vec<(&'static str, String)>,
    scope: Scope,
    _gate: RwLockWriteGuard<'static, ()>,
}

impl Deref for Exclusive {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

impl Exclusive {
    /// The host loses power: connections are refused.
    pub(crate) fn stop(&mut self, node: &Node) {
        self.broken.push(("start", node.number()));
        script(&["stop", &node.number()]);
    }

    pub(crate) fn start(&mut self, node: &Node) {
        self.mend("start", &node.number());
    }

    /// The daemon hangs: connections are accepted and never answered.
    pub(crate) fn pause(&mut self, node: &Node) {
        self.broken.push(("resume", node.number()));
        script(&["pause", &node.number()]);
    }

    pub(crate) fn resume(&mut self, node: &Node) {
        self.mend("resume", &node.number());
    }

    fn mend(&mut self, how: &'static str, number: &str) {
        script(&[how, number]);
        self.broken
            .retain(|(cure, n)| !(*cure == how && n == number));
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        for (cure, number) in std::mem::take(&mut self.broken) {
            // A panic here would end the whole run when the test has failed already; the next test would fail anyway.
            let _ = Command::new(SCRIPT).args([cure, &number]).status();
        }
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Node {
    /// `node1`
    pub(crate) name: String,
    /// `10.213.7.11:2375`
    pub(crate) address: String,
    pub(crate) socket: PathBuf,
}

impl Node {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("three words a line");
        Self {
            name: next(),
            address: next(),
            socket: next().into(),
        }
    }

    /// The value for `--backend`.
    pub(crate) fn backend(&self) -> String {
        format!("{}=tcp://{}", self.name, self.address)
    }

    /// The daemon itself, with nothing between.
    pub(crate) fn api(&self) -> Target {
        Target::Unix(self.socket.clone())
    }

    /// The docker CLI on the daemon itself.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        let home = TempDir::new().unwrap();
        run(
            docker(&format!("unix://{}", self.socket.display()), home.path()).args(args),
            b"",
        )
    }

    /// Starts a container that sleeps, on this host, behind the flock's back; returns its id.
    #[track_caller]
    pub(crate) fn sleeper(&self, scope: &Scope, name: &str) -> String {
        self.docker(&[
            "run",
            "-d",
            "--name",
            name,
            "--label",
            &scope.label(),
            "busybox",
            "sleep",
            "600",
        ])
        .ok()
    }

    fn number(&self) -> String {
        self.name.trim_start_matches("node").to_owned()
    }
}

/// A registry that asks for a password.
pub(crate) struct Registry {
    /// `10.213.7.1:5000`
    pub(crate) address: String,
}

impl Registry {
    pub(crate) const USER: &str = "flock";
    pub(crate) const PASSWORD: &str = "shepherd";

    fn find(node: &Node) -> Self {
        let file = node
            .socket
            .ancestors()
            .nth(2)
            .unwrap()
            .join("registry/address");
        let address = std::fs::read_to_string(file).expect("the registry's address");
        Self {
            address: address.trim().to_owned(),
        }
    }

    /// The value of `X-Registry-Auth`.
    pub(crate) fn auth(&self) -> String {
        let login = json!({
            "username": Self::USER, "password": Self::PASSWORD, "serveraddress": self.address,
        });
        base64::engine::general_purpose::URL_SAFE.encode(login.to_string())
    }

    /// Writes what `docker login` leaves in the folder of a Docker configuration.
    pub(crate) fn login(&self, folder: &Path) {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!(
            "{}:{}",
            Self::USER,
            Self::PASSWORD
        ));
        let config = json!({"auths": {&self.address: {"auth": auth}}});
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }

    /// Pushes an image under a name of the test's own that no host has locally; returns the reference.
    #[track_caller]
    pub(crate) fn seed(&self, scope: &Scope) -> String {
        let image = format!("{}/{}:1", self.address, scope.name("image"));
        let home = TempDir::new().unwrap();
        let on_first = |args: &[&str]| {
            let host = format!("unix://{}", flock().nodes[0].socket.display());
            run(docker(&host, home.path()).args(args), b"").ok()
        };
        self.login(&home.path().join("docker"));
        on_first(&["tag", "busybox:latest", &image]);
        on_first(&["push", &image]);
        on_first(&["rmi", &image]);
        image
    }
}

/// The docker CLI for a host, with a configuration of its own and nothing from the environment.
pub(crate) fn docker(host: &str, home: &Path) -> Command {
    let mut command = Command::new("docker");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("HOME", home)
        .env("DOCKER_CONFIG", home.join("docker"))
        .env("DOCKER_HOST", host);
    command
}

/// Runs flock.sh with what it says on standard error shown when it fails.
#[track_caller]
fn script(args: &[&str]) -> String {
    let mut command = Command::new("timeout");
    let limit = if args[0] == "install" {
        600
    } else {
        COMMAND_DEADLINE.as_secs() - 5
    };
    command.arg(limit.to_string()).arg(SCRIPT).args(args);
    run(&mut command, b"").ok()
}
