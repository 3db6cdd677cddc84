//! What thousands of idle attach sessions, and of idle keep-alive clients, take.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncReadExt, task::JoinSet, time::sleep};

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::{memory, metered},
    daemon::{Daemon, Script, id},
    http::Connection,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, interleave},
    session::{Way, attach},
    socket::{Address, Stream, Transport},
};

/// What flockerd may keep of each.
const KEPT: f64 = 8.0;
const FIGURES: [Figure; 3] = [
    Figure::new(Unit::less("KB each"), Some(Mark::Is(KEPT))),
    Figure::new(Unit::less("ms CPU per s, all idle"), None),
    Figure::new(Unit::less("us CPU each to come"), None),
];
/// How many come at once.
const CROWD: usize = 64;
/// How long buffers may take to be given back.
const SETTLE: Duration = Duration::from_millis(300);

/// One that has come, and is held.
enum Guest {
    Session(Box<dyn Stream>),
    Client(Connection),
}

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let wanted = setup.size(10_000, 1_000);
    // Each has a connection to the daemon, too: a client until it is answered.
    let count = wanted.min(setup.connections());
    let limit = match count < wanted {
        true => format!(" (as many as {} descriptors allow)", setup.descriptors),
        false => String::new(),
    };
    let mut rows = Vec::new();
    for (what, attached) in [("attach sessions", true), ("keep-alive clients", false)] {
        let what = format!("{count} idle {what}{limit}");
        rows.extend(kind(setup, count as usize, &what, attached)?);
    }
    Ok(rows)
}

fn kind(setup: &Setup, count: usize, what: &str, attached: bool) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let kinds = &Kind::PLAIN[1..];
    interleave(setup, what, &FIGURES, kinds, |kind| {
        runtime.block_on(async {
            // Memory that was used once is not missed the next time, and ports rest when they were: each round has
            // processes of its own.
            let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
            let address = daemon.addresses.first().context("no host")?;
            let contestant = Contestant::start(setup, *kind, Transport::Tcp, address).await?;
            sample(&contestant, count, attached).await
        })
    })
}

async fn sample(contestant: &Contestant, count: usize, attached: bool) -> Result<Sample> {
    let process = contestant.process().context("nobody is in between")?;
    // Whatever is made once is there before.
    drop(crowd(&contestant.address, CROWD, attached).await?);
    sleep(SETTLE).await;
    let before = memory(process)?.resident;
    let coming = crowd(&contestant.address, count, attached);
    let (mut guests, came) = metered(Some(process), coming).await?;
    sleep(SETTLE).await;
    let after = memory(process)?.resident;
    let idle = async {
        sleep(Duration::from_secs(1)).await;
        Ok(())
    };
    let ((), idle) = metered(Some(process), idle).await?;
    for guest in guests.iter_mut().step_by(97) {
        guest.is_there().await?;
    }
    let each = after.saturating_sub(before) as f64 / count as f64 / 1024.0;
    let busy = idle.cpu.as_secs_f64() * 1e3 / idle.elapsed.as_secs_f64();
    let coming = came.cpu.as_secs_f64() * 1e6 / count as f64;
    Ok(vec![Some(each), Some(busy), Some(coming)])
}

/// Lets so many come.
async fn crowd(address: &Address, count: usize, attached: bool) -> Result<Vec<Guest>> {
    let mut tasks = JoinSet::new();
    let mut guests = Vec::with_capacity(count);
    for _ in 0..count {
        if tasks.len() >= CROWD {
            guests.push(tasks.join_next().await.context("nobody came")???);
        }
        let address = address.clone();
        tasks.spawn(async move { Guest::come(&address, attached).await });
    }
    while let Some(guest) = tasks.join_next().await {
        guests.push(guest??);
    }
    Ok(guests)
}

impl Guest {
    async fn come(address: &Address, attached: bool) -> Result<Self> {
        if attached {
            return Ok(Self::Session(attach(address, Way::Idle, 0).await?));
        }
        let mut connection = Connection::open(address).await?;
        inspect(&mut connection).await?;
        Ok(Self::Client(connection))
    }

    /// # Errors
    /// When the connection has not lasted.
    async fn is_there(&mut self) -> Result<()> {
        match self {
            Self::Client(connection) => inspect(connection).await,
            Self::Session(stream) => {
                let read = tokio::time::timeout(Duration::ZERO, stream.read_u8()).await;
                ensure!(read.is_err(), "a session has ended: {read:?}");
                Ok(())
            }
        }
    }
}

async fn inspect(connection: &mut Connection) -> Result<()> {
    let path = format!("/v1.41/containers/{}/json", id(0, 0));
    connection.get(&path).await.map(drop)
}
