//! Events of a hundred hosts to ten clients.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    contestants::{Contestant, Flock, Kind, Setup},
    cpu::metered,
    daemon::{Daemon, Script},
    http::{Connection, request},
    runtime,
    sample::{Figure, Row, Sample, Unit, interleave, percentile},
    socket::Address,
};

const CLIENTS: usize = 10;
const RATE: u64 = 10_000;
const FIGURES: [Figure; 4] = [
    Figure::new(Unit::more("events/s that arrive, over all clients"), None),
    Figure::new(Unit::less("us CPU for each that arrives"), None),
    Figure::new(Unit::less("ms late, p50"), None),
    Figure::new(Unit::less("ms late, p99"), None),
];

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let hosts = setup.size(100, 20);
    let count = setup.size(10_000, 2_000);
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(hosts, 1))?;
    let flock = Flock::of(&daemon.addresses).toml("backend_timeout = \"60s\"");
    let flockerd = [runtime.block_on(flock.start(setup, Kind::Flockerd))?];
    let mut rows = Vec::new();
    for rate in [RATE / 10, RATE] {
        let what = format!("events, {rate} a second from {hosts} hosts to {CLIENTS} clients");
        let count = count * rate / RATE;
        rows.extend(interleave(setup, &what, &FIGURES, &flockerd, |flockerd| {
            runtime.block_on(sample(flockerd, &daemon, count, rate))
        })?);
    }
    Ok(rows)
}

async fn sample(flockerd: &Contestant, daemon: &Daemon, count: u64, rate: u64) -> Result<Sample> {
    let mut clients = JoinSet::new();
    let mut listening = Vec::new();
    for _ in 0..CLIENTS {
        listening.push(listen(&flockerd.address).await?);
    }
    let work = async {
        for connection in listening {
            clients.spawn(follow(connection, count));
        }
        daemon
            .tell(&format!("/bench/events?count={count}&rate={rate}"))
            .await?;
        let mut late = Vec::new();
        while let Some(heard) = clients.join_next().await {
            late.extend(heard??);
        }
        Ok(late)
    };
    let (mut late, cost) = metered(flockerd.process(), work).await?;
    late.sort_by(f64::total_cmp);
    let arrived = late.len() as f64;
    Ok(vec![
        Some(arrived / cost.elapsed.as_secs_f64()),
        Some(cost.cpu.as_secs_f64() * 1e6 / arrived),
        percentile(&late, 500),
        percentile(&late, 990),
    ])
}

async fn listen(address: &Address) -> Result<Connection> {
    let mut connection = Connection::open(address).await?;
    let request = request("GET", "/v1.41/events");
    connection.ask(request.as_bytes()).await?.expect(200)?;
    Ok(connection)
}

/// Reads so many events; returns how late each came, in milliseconds, and fails when one came twice.
async fn follow(mut connection: Connection, count: u64) -> Result<Vec<f64>> {
    let (mut late, mut text) = (Vec::new(), Vec::new());
    let mut seen = vec![false; count as usize];
    while (late.len() as u64) < count {
        let size = connection.chunk().await?.context("the stream ended")?;
        let mut take = |part: &[u8]| {
            text.extend_from_slice(part);
            Ok(())
        };
        connection.exactly(size, &mut take).await?;
        connection.line_end().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let (number, happened) = read(line)?;
            let first = seen.get_mut(number).context("an event that is not there")?;
            ensure!(!std::mem::replace(first, true), "event {number} came twice");
            late.push((now - happened) / 1e6);
        }
        text.drain(..whole);
    }
    Ok(late)
}

/// An event's number, and when it happened in nanoseconds.
fn read(line: &[u8]) -> Result<(usize, f64)> {
    let event: Value = serde_json::from_slice(line)?;
    let attributes = &event["Actor"]["Attributes"];
    let number = attributes["execID"].as_str().context("no number")?;
    ensure!(attributes["flocker.backend"].is_string(), "no backend");
    let happened = event["timeNano"].as_f64().context("no time")?;
    Ok((usize::from_str_radix(number, 16)?, happened))
}
