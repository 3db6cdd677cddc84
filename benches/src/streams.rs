//! Hijacked streams: sessions that carry bytes down, up and both ways, over TCP and unix sockets.

use std::sync::Arc;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::metered,
    daemon::{Daemon, Script},
    pattern::Pattern,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, cpu_each, interleave},
    session::{Way, attach, flow},
    socket::{
        Transport,
        Transport::{Tcp, Unix},
    },
};

pub(crate) const FIGURES: [Figure; 2] = [
    Figure::new(
        Unit::more("GB/s"),
        Some(Mark::Of(Kind::HaproxySplice, 0.95)),
    ),
    Figure::new(
        Unit::less("s CPU per GB"),
        Some(Mark::Of(Kind::HaproxySplice, 1.0)),
    ),
];

/// The load of one row.
#[derive(Clone, Copy)]
struct Load {
    way: Way,
    sessions: u64,
    /// Over all sessions, each way.
    bytes: u64,
}

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows = wired(setup, "tcp to tcp", &Kind::SIDE_BY_SIDE, (Tcp, Tcp))?;
    rows.extend(wired(setup, "unix to tcp", &Kind::PLAIN, (Unix, Tcp))?);
    rows.extend(wired(setup, "tcp to unix", &Kind::PLAIN, (Tcp, Unix))?);
    Ok(rows)
}

/// All rows with the same sockets, those of the client first.
fn wired(
    setup: &Setup,
    name: &str,
    kinds: &[Kind],
    wiring: (Transport, Transport),
) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let contestants = runtime.block_on(Contestant::start_all(setup, kinds, wiring, &daemon))?;
    let pattern = Arc::new(Pattern::new());
    let mut rows = Vec::new();
    for load in loads(setup) {
        let what = format!(
            "stream {}, {name}, {} at once",
            load.way.name(),
            load.sessions
        );
        rows.extend(interleave(
            setup,
            &what,
            &FIGURES,
            &contestants,
            |contestant| runtime.block_on(sample(contestant, load, &pattern)),
        )?);
    }
    Ok(rows)
}

fn loads(setup: &Setup) -> Vec<Load> {
    let bytes = setup.size(256 << 20, 64 << 20);
    let counts = setup.size(&[1, 8, 64][..], &[1, 8][..]);
    let ways = [Way::Down, Way::Up, Way::Both];
    let load = |way, sessions| Load {
        way,
        sessions,
        bytes: if way == Way::Both { bytes / 2 } else { bytes },
    };
    let of = |sessions: &u64| ways.map(|way| load(way, *sessions));
    counts.iter().flat_map(of).collect()
}

async fn sample(contestant: &Contestant, load: Load, pattern: &Arc<Pattern>) -> Result<Sample> {
    let each = load.bytes / load.sessions;
    let mut streams = Vec::new();
    for _ in 0..load.sessions {
        streams.push(attach(&contestant.address, load.way, each).await?);
    }
    let mut tasks = JoinSet::new();
    let work = async {
        for stream in streams {
            let pattern = pattern.clone();
            tasks.spawn(async move { flow(stream, load.way, each, &pattern).await });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    };
    let ((), cost) = metered(contestant.process(), work).await?;
    let ways = if load.way == Way::Both { 2 } else { 1 };
    let gigabytes = (each * load.sessions * ways) as f64 / 1e9;
    Ok(vec![
        Some(gigabytes / cost.elapsed.as_secs_f64()),
        cpu_each(contestant, &cost, gigabytes, 1.0),
    ])
}
