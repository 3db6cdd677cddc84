//! The scripted Docker daemon, a process of its own that answers as cheaply as it can: one or many hosts, each with its
//! containers.

mod answer;
mod hijacked;
mod host;
mod stream;

use std::{
    io::{BufRead, BufReader, Read, Write, stdin, stdout},
    path::PathBuf,
    process::Child,
    sync::Arc,
    thread,
};

use anyhow::{Context, Result};
use clap::Args;
use tokio::net::{TcpListener, UnixListener};

use crate::{
    contestants::{Setup, confined},
    http::{Connection, request},
    pattern::Pattern,
    socket::Address,
};
use host::Host;
pub(crate) use host::id;

/// What the daemon is to be.
#[derive(Args, Clone)]
pub(crate) struct Script {
    /// How many hosts it plays, each on a port of its own
    #[arg(long, default_value_t = 1)]
    hosts: usize,
    /// How many containers each has
    #[arg(long, default_value_t = 1)]
    containers: usize,
    /// A unix socket where the first host listens too
    #[arg(long)]
    unix: Option<PathBuf>,
}

impl Script {
    pub(crate) fn hosts(hosts: usize, containers: usize) -> Self {
        Self {
            hosts,
            containers,
            unix: None,
        }
    }
}

/// The daemon as seen from outside; it ends with this.
pub(crate) struct Daemon {
    child: Child,
    /// One for each host.
    pub(crate) addresses: Vec<Address>,
    /// The first host's second address.
    pub(crate) unix: Address,
}

impl Daemon {
    /// Starts it and waits until it listens.
    pub(crate) fn start(setup: &Setup, script: Script) -> Result<Self> {
        let unix = setup.folder.path().join("daemon.sock");
        let program = std::env::current_exe()?;
        let mut command = confined(setup.cpus.daemon, &program);
        command.arg("play-daemon").arg("--unix").arg(&unix);
        command.args(["--hosts", &script.hosts.to_string()]);
        command.args(["--containers", &script.containers.to_string()]);
        let mut child = command.spawn().context("the daemon cannot be started")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut addresses = Vec::new();
        for line in output.lines().take(script.hosts) {
            addresses.push(Address::Tcp(line?));
        }
        anyhow::ensure!(addresses.len() == script.hosts, "the daemon did not start");
        Ok(Self {
            child,
            addresses,
            unix: Address::Unix(unix),
        })
    }

    /// Tells it something that is no part of Docker's API.
    pub(crate) async fn tell(&self, path: &str) -> Result<()> {
        let first = self.addresses.first().context("no host")?;
        let mut connection = Connection::open(first).await?;
        let head = connection.ask(request("POST", path).as_bytes()).await?;
        head.expect(204)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the daemon until its standard input ends.
pub(crate) fn run(script: &Script) -> Result<()> {
    thread::spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = crate::runtime()?;
    runtime.block_on(serve(script))
}

async fn serve(script: &Script) -> Result<()> {
    let flock: Vec<_> = (0..script.hosts)
        .map(|number| Arc::new(Host::new(number, script.containers)))
        .collect();
    let flock = Arc::new(flock);
    let pattern = Arc::new(Pattern::new());
    if let (Some(path), Some(host)) = (&script.unix, flock.first()) {
        // One that an earlier daemon left.
        let _ = std::fs::remove_file(path);
        tokio::spawn(answer::unix(
            UnixListener::bind(path)?,
            answer::Party::new(host, &flock, &pattern),
        ));
    }
    let mut lines = String::new();
    for host in flock.iter() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        lines += &format!("{}\n", listener.local_addr()?);
        tokio::spawn(answer::tcp(
            listener,
            answer::Party::new(host, &flock, &pattern),
        ));
    }
    stdout().write_all(lines.as_bytes())?;
    std::future::pending().await
}
