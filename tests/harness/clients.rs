//! The real programs of `tests/clients`: where `make clients` put what they need, and one run of each.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use super::{Output, Registry, Scope, flock, real_flock::docker};

/// A project of Compose goes through some thirty commands, on a machine that does other things too.
const DEADLINE_SECONDS: &str = "240";

/// One of the programs, each of which says `fine` at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    Bollard,
    /// The project, with Debian's docker-compose.
    Compose,
    /// The project, with version 2 of Compose.
    Compose2,
    DockerPy,
    Dockerode,
    TestcontainersNode,
    TestcontainersPython,
}

impl Client {
    /// Runs it to its end against a Docker address behind which are this many hosts.
    #[track_caller]
    pub(crate) fn run(self, scope: &Scope, host: &str, hosts: usize) -> Output {
        let home = TempDir::new().unwrap();
        let program = self.program();
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", DEADLINE_SECONDS])
            .args(&program)
            .env_clear();
        let docker = docker(host, home.path());
        let set = |(name, value): (_, Option<_>)| Some((name, value?));
        command.envs(docker.get_envs().filter_map(set));
        command.envs(self.environment());
        command
            .env("HOSTS", hosts.to_string())
            .env("SCOPE", scope.prefix())
            .env("REGISTRY", &flock().registry.address)
            .env("REGISTRY_USER", Registry::USER)
            .env("REGISTRY_PASSWORD", Registry::PASSWORD);
        let done = command.output().unwrap();
        Output {
            command: format!("{program:?}"),
            code: done.status.code().expect("timeout has an exit code"),
            bytes: done.stdout,
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    fn program(self) -> Vec<PathBuf> {
        let python = || installed().join("python/bin/python");
        match self {
            Self::Bollard => vec![bollard()],
            Self::Compose | Self::Compose2 => vec![source("compose/run")],
            Self::DockerPy => vec![python(), source("docker_py.py")],
            Self::Dockerode => vec!["node".into(), source("dockerode.js")],
            Self::TestcontainersNode => vec!["node".into(), source("testcontainers.js")],
            Self::TestcontainersPython => vec![python(), source("testcontainers_py.py")],
        }
    }

    fn environment(self) -> Vec<(&'static str, PathBuf)> {
        let modules = || ("NODE_PATH", installed().join("javascript/node_modules"));
        let containers = || {
            [
                ("CLIENT_PORTS", "1".into()),
                ("TESTCONTAINERS_RYUK_DISABLED", "true".into()),
                // Also when the tests run in a container themselves.
                ("TESTCONTAINERS_CONNECTION_MODE", "docker_host".into()),
            ]
        };
        match self {
            Self::Compose => vec![("COMPOSE", "docker-compose".into())],
            // Version 1 builds with the classic builder.
            Self::Compose2 => vec![
                ("COMPOSE", installed().join("compose/docker-compose")),
                ("DOCKER_BUILDKIT", "1".into()),
            ],
            Self::Dockerode => vec![modules()],
            Self::TestcontainersNode => [&containers()[..], &[modules()]].concat(),
            Self::TestcontainersPython => containers().into(),
            Self::Bollard | Self::DockerPy => vec![],
        }
    }
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(file)
}

/// The cache that `tests/clients/install` fills.
#[track_caller]
fn installed() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let cache = cache.map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
        PathBuf::from,
    );
    let clients = cache.join("flockerd/clients");
    let same = |list: &str, copy: &str| {
        fs::read(source(list)).unwrap() == fs::read(clients.join(copy)).unwrap_or_default()
    };
    assert!(
        same("requirements.txt", "requirements.txt")
            && same("package.json", "javascript/installed.json")
            && clients.join("compose/docker-compose").exists(),
        "what the clients need is not in {} or out of date: run `make clients`",
        clients.display()
    );
    clients
}

/// Builds the Rust program into the same target folder as the binary under test, once per run.
fn bollard() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let binary = Path::new(env!("CARGO_BIN_EXE_flockerd"));
        let target = binary.ancestors().nth(2).expect("target/debug/flockerd");
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "bollard-client",
                "--target-dir",
            ])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(
            status.expect("cargo can be started").success(),
            "the client does not build"
        );
        target.join("debug/bollard-client")
    };
    BUILT.get_or_init(build).clone()
}
