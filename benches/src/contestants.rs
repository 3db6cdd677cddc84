//! Who is measured: nothing in between, the rivals, and flockerd; each a process on a CPU of its own, bound to one thread
//! where it can be told so.

mod flockerd;
mod rivals;

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    cpu::Cpus,
    daemon::Daemon,
    http::Connection,
    socket::{Address, Transport},
};
pub(crate) use flockerd::{Flock, command as flockerd_command};

/// How long a contestant may take until it answers: a thousand plugins are compiled before.
const START: Duration = Duration::from_secs(300);

/// What every measurement needs to know.
pub(crate) struct Setup {
    pub(crate) cpus: Cpus,
    pub(crate) flockerd: PathBuf,
    /// `plugins/route-rust` as a component.
    pub(crate) plugin: PathBuf,
    /// Sockets, configurations, state.
    pub(crate) folder: TempDir,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// How many descriptors a process may have.
    pub(crate) descriptors: u64,
}

/// Pipes that HAProxy may have: for more streams than any work has at once, both ways.
const PIPES: u64 = 160;
/// Descriptors that a contestant has for other things than its clients.
const OTHERS: u64 = 2 * PIPES + 80;

impl Setup {
    /// How many clients a contestant can have, each with a connection to the daemon.
    pub(crate) fn connections(&self) -> u64 {
        self.descriptors.saturating_sub(OTHERS) / 2
    }

    /// One of two sizes: of the whole run and of the quick one.
    pub(crate) fn size<T>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The load speaks with the daemon.
    Direct,
    HaproxySplice,
    Haproxy,
    Nginx,
    Flockerd,
    /// With `plugins/route-rust`, as it is by default: in a fresh instance for each call.
    FlockerdRoute,
    /// The same with an instance that is kept.
    FlockerdWarm,
}

impl Kind {
    /// The columns of the table.
    pub(crate) const ALL: [Self; 7] = [
        Self::Direct,
        Self::HaproxySplice,
        Self::Haproxy,
        Self::Nginx,
        Self::Flockerd,
        Self::FlockerdRoute,
        Self::FlockerdWarm,
    ];
    pub(crate) const FLOCKERDS: [Self; 3] =
        [Self::Flockerd, Self::FlockerdRoute, Self::FlockerdWarm];
    /// Those that stand before one host.
    pub(crate) const SIDE_BY_SIDE: [Self; 6] = [
        Self::Direct,
        Self::HaproxySplice,
        Self::Haproxy,
        Self::Nginx,
        Self::Flockerd,
        Self::FlockerdRoute,
    ];
    /// Those that a plugin makes no difference to.
    pub(crate) const PLAIN: [Self; 5] = [
        Self::Direct,
        Self::HaproxySplice,
        Self::Haproxy,
        Self::Nginx,
        Self::Flockerd,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::HaproxySplice => "HAProxy, splice",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Flockerd => "flockerd",
            Self::FlockerdRoute => "flockerd, route",
            Self::FlockerdWarm => "flockerd, route warm",
        })
    }
}

/// One that is measured; its process ends with this.
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    /// Where its clients connect.
    pub(crate) address: Address,
    child: Option<Child>,
    /// What it writes.
    _folder: Option<TempDir>,
}

impl Contestant {
    /// Starts one in front of the first host of a daemon, and waits until it answers.
    pub(crate) async fn start(
        setup: &Setup,
        kind: Kind,
        front: Transport,
        daemon: &Address,
    ) -> Result<Self> {
        match kind {
            Kind::Direct => Ok(Self {
                kind,
                address: daemon.clone(),
                child: None,
                _folder: None,
            }),
            Kind::Flockerd | Kind::FlockerdRoute | Kind::FlockerdWarm => {
                let flock = Flock::of(std::slice::from_ref(daemon)).front(front);
                flock.start(setup, kind).await
            }
            Kind::HaproxySplice | Kind::Haproxy | Kind::Nginx => {
                rivals::start(setup, kind, front, daemon).await
            }
        }
    }

    /// Starts all of a kind before the first host of a daemon.
    pub(crate) async fn start_all(
        setup: &Setup,
        kinds: &[Kind],
        (front, back): (Transport, Transport),
        daemon: &Daemon,
    ) -> Result<Vec<Self>> {
        let address = match back {
            Transport::Tcp => daemon.addresses.first().context("no host")?,
            Transport::Unix => &daemon.unix,
        };
        let mut contestants = Vec::new();
        for kind in kinds {
            contestants.push(Self::start(setup, *kind, front, address).await?);
        }
        Ok(contestants)
    }

    /// Runs a command that serves an address.
    fn spawn(kind: Kind, mut command: Command, address: Address, folder: TempDir) -> Result<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        let child = command.stderr(log).spawn();
        let child = child.with_context(|| {
            format!("{kind} cannot be started; `benches/install` installs the rivals")
        })?;
        Ok(Self {
            kind,
            address,
            child: Some(child),
            _folder: Some(folder),
        })
    }

    /// Waits until a path is answered with 200, and lacks nothing.
    pub(crate) async fn ready(mut self, path: &str) -> Result<Self> {
        let deadline = Instant::now() + START;
        loop {
            let last = match self.answers(path).await {
                Ok(()) => return Ok(self),
                Err(error) => error,
            };
            let ended = self
                .child
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten();
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} does not answer: {last:#}\n{}", self.kind, self.log());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn answers(&self, path: &str) -> Result<()> {
        let mut connection = Connection::open(&self.address).await?;
        let (head, _) = connection.get(path).await?;
        match head.missing {
            Some(missing) => bail!("{missing} is missing"),
            None => Ok(()),
        }
    }

    fn log(&self) -> String {
        let folder = self._folder.as_ref().map(TempDir::path);
        let log = folder.map(|folder| fs::read_to_string(folder.join("log")));
        log.and_then(Result::ok).unwrap_or_default()
    }

    /// The process that does the work; none where there is nothing in between.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // HAProxy and nginx end their children on SIGTERM; flockerd would wait for the sessions.
            let signal = match self.kind {
                Kind::Nginx => rustix::process::Signal::TERM,
                _ => rustix::process::Signal::KILL,
            };
            let pid = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(pid, signal);
            let _ = child.wait();
        }
    }
}

/// A command on one CPU, which ends when this process does, with nothing from the environment.
pub(crate) fn confined(cpu: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", &cpu.to_string()]);
    command.arg(program).env_clear();
    command.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// An address that nobody listens at.
fn free_address(front: Transport, folder: &Path) -> Result<Address> {
    match front {
        Transport::Unix => Ok(Address::Unix(folder.join("front.sock"))),
        Transport::Tcp => {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            Ok(Address::Tcp(listener.local_addr()?.to_string()))
        }
    }
}
