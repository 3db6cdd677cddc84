//! One byte there and back over a hijacked stream, alone and beside one that carries as much as it can.
//!
//! The bulk stream keeps the load's and the daemon's CPU as busy as the proxy's. Both ends of the echo are threads of their
//! own that come before all others there: what is measured is how long the proxy takes, not how long the scheduler lets a
//! byte that has arrived lie. Otherwise a proxy would look the better the slower its bulk is.

use std::{
    fs::File,
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncWriteExt, sync::oneshot};

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::come_first,
    daemon::{Daemon, Script},
    pattern::Pattern,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, interleave, percentile},
    say,
    session::{Way, attach},
    socket::{Stream, Transport},
};

const FIGURES: [Figure; 3] = [
    Figure::new(Unit::less("us p50"), None),
    Figure::new(Unit::less("us p99"), Some(Mark::Of(Kind::Haproxy, 1.1))),
    Figure::new(Unit::less("us p99.9"), None),
];

/// More than can flow in the time.
const BULK: u64 = 1 << 40;

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    if let Ok(Err(error)) = thread::spawn(come_first).join() {
        say(&format!(
            "the echo is measured without real-time priority, which says little beside bulk: {error:#}"
        ));
    }
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let wiring = (Transport::Tcp, Transport::Tcp);
    let contestants = Contestant::start_all(setup, &Kind::PLAIN, wiring, &daemon);
    let contestants = runtime.block_on(contestants)?;
    let time = setup.size(Duration::from_secs(1), Duration::from_millis(400));
    let mut rows = Vec::new();
    for (what, bulk) in [("echo, quiet", false), ("echo beside a bulk stream", true)] {
        rows.extend(interleave(
            setup,
            what,
            &FIGURES,
            &contestants,
            |contestant| runtime.block_on(sample(contestant, bulk, time)),
        )?);
    }
    Ok(rows)
}

async fn sample(contestant: &Contestant, bulk: bool, time: Duration) -> Result<Sample> {
    let echo = attach(&contestant.address, Way::Echo, 0).await?;
    if !bulk {
        return alone(echo, time).await;
    }
    let stream = attach(&contestant.address, Way::Down, BULK).await?;
    let neighbour = tokio::spawn(swallow(stream));
    let sample = alone(echo, time).await;
    ensure!(!neighbour.is_finished(), "the bulk stream ended");
    neighbour.abort();
    sample
}

/// Pings from a thread of its own.
async fn alone(stream: Box<dyn Stream>, time: Duration) -> Result<Sample> {
    let stream = stream.into_blocking()?;
    let (done, sample) = oneshot::channel();
    thread::spawn(move || {
        // Whether it may is said already.
        let _ = come_first();
        // Fails only when nobody waits any more.
        let _ = done.send(ping(stream, time));
    });
    sample.await.context("the echo's thread ended")?
}

/// Sends a byte and waits for it, again and again.
fn ping(mut stream: File, time: Duration) -> Result<Sample> {
    let mut times = Vec::new();
    let begun = Instant::now();
    for byte in (0..=u8::MAX).cycle() {
        if begun.elapsed() >= time {
            break;
        }
        let (sent, mut heard) = (Instant::now(), [0]);
        stream.write_all(&[byte])?;
        stream.read_exact(&mut heard)?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
        ensure!(heard == [byte], "another byte came back");
    }
    times.sort_by(f64::total_cmp);
    Ok([500, 990, 999]
        .map(|part| percentile(&times, part))
        .to_vec())
}

/// Reads what comes, for ever.
async fn swallow(mut stream: Box<dyn Stream>) -> Result<()> {
    let pattern = Pattern::new();
    stream.write_all(b"g").await?;
    crate::raw::receive(&mut stream, BULK, &pattern).await
}
