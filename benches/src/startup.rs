//! From the start of the process to the first answer.

use std::time::Instant;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    contestants::{Contestant, Flock, Kind, Setup},
    daemon::{Daemon, Script, id},
    runtime,
    sample::{Figure, Mark, Row, Unit, interleave},
    socket::Transport,
};

const FIGURE: Figure = Figure::new(Unit::less("ms"), None);
const CACHED: Figure = Figure::new(Unit::less("ms"), Some(Mark::Is(50.0)));

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let first = daemon.addresses.first().context("no host")?;
    let path = format!("/v1.41/containers/{}/json", id(0, 0));
    let answered = |kind: Kind, home: &TempDir| {
        runtime.block_on(async {
            let begun = Instant::now();
            let flock = Flock::of(&daemon.addresses).home(home.path());
            let started = match kind {
                Kind::HaproxySplice | Kind::Nginx => {
                    Contestant::start(setup, kind, Transport::Tcp, first).await?
                }
                _ => flock.launch(setup, kind)?.ready(&path).await?,
            };
            let elapsed = begun.elapsed();
            drop(started);
            Ok(vec![Some(elapsed.as_secs_f64() * 1e3)])
        })
    };
    let all = [
        Kind::HaproxySplice,
        Kind::Nginx,
        Kind::Flockerd,
        Kind::FlockerdRoute,
    ];
    let mut rows = interleave(setup, "start to first answer", &[FIGURE], &all, |kind| {
        answered(*kind, &TempDir::new_in(setup.folder.path())?)
    })?;
    let kept = TempDir::new_in(setup.folder.path())?;
    // This compiles what the others find.
    answered(Kind::FlockerdWarm, &kept)?;
    let what = "start to first answer, after an earlier run";
    let own = [Kind::Flockerd, Kind::FlockerdWarm];
    rows.extend(interleave(setup, what, &[CACHED], &own, |kind| {
        answered(*kind, &kept)
    })?);
    Ok(rows)
}
