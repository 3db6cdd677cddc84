//! `docker ps -a` over many hosts: time, CPU, memory, how they grow, and what one host that hangs adds.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    bodies::export,
    contestants::{Contestant, Flock, Kind, Setup},
    cpu::{forget_peak, memory, metered},
    daemon::{Daemon, Script},
    http::{Connection, request},
    pattern::Pattern,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, interleave, median},
};

const PATH: &str = "/v1.41/containers/json?all=1";
const CONTAINERS: usize = 100;
/// How long flockerd waits for the host that hangs.
const PATIENCE_MS: f64 = 1000.0;
const FIGURES: [Figure; 6] = [
    Figure::new(Unit::less("ms"), None),
    Figure::new(Unit::less("ms CPU"), None),
    Figure::new(
        Unit::less("times as long as copying as many bytes"),
        Some(Mark::Is(1.5)),
    ),
    Figure::new(
        Unit::less("times the CPU of copying as many bytes"),
        Some(Mark::Is(1.5)),
    ),
    Figure::new(Unit::less("MB more at the peak"), None),
    Figure::new(Unit::less("times the answer's length at the peak"), None),
];
const HUNG: [Figure; 1] = [Figure::new(Unit::less("ms more than the timeout"), None)];
const SLOPE: Figure = Figure::new(Unit::less("times as long over ten times as many"), None);

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let sizes = setup.size(&[1, 10, 100, 1000][..], &[1, 10, 100][..]);
    let mut rows = Vec::new();
    let mut times = Vec::new();
    for hosts in sizes {
        let listed = over(setup, *hosts)?;
        let time = listed
            .first()
            .and_then(|row| row.samples.get(&Kind::Flockerd));
        times.push((*hosts, time.and_then(|times| median(times))));
        rows.extend(listed);
    }
    for pair in times.windows(2) {
        let [(fewer, short), (more, long)] = [pair[0], pair[1]];
        let slope = long.zip(short).map(|(long, short)| long / short);
        let what = format!("ps -a, slope from {fewer} to {more} hosts");
        rows.push(Row::own(what, SLOPE, slope.into_iter().collect()));
    }
    rows.extend(hanging(setup, setup.size(100, 10))?);
    Ok(rows)
}

fn over(setup: &Setup, hosts: usize) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(hosts, CONTAINERS))?;
    let flock = Flock::of(&daemon.addresses).toml("backend_timeout = \"30s\"");
    let flockerd = [runtime.block_on(flock.start(setup, Kind::Flockerd))?];
    let pattern = Pattern::new();
    // What lists once took is not given back to the system, so the rounds share this.
    let process = flockerd[0].process().context("flockerd is gone")?;
    let before = memory(process)?.resident;
    let bytes = runtime.block_on(look(&flockerd[0], hosts))?;
    let what = format!("ps -a, {hosts} hosts of {CONTAINERS} containers");
    interleave(setup, &what, &FIGURES, &flockerd, |flockerd| {
        runtime.block_on(sample(flockerd, bytes, before, &pattern))
    })
}

async fn sample(
    flockerd: &Contestant,
    bytes: u64,
    before: u64,
    pattern: &Pattern,
) -> Result<Sample> {
    let process = flockerd.process().context("flockerd is gone")?;
    forget_peak(process)?;
    let ((), listing) = metered(Some(process), list(flockerd, bytes)).await?;
    let peak = memory(process)?.peak.saturating_sub(before) as f64;
    let copying = export(&flockerd.address, bytes, pattern);
    let ((), copying) = metered(Some(process), copying).await?;
    Ok(vec![
        Some(listing.elapsed.as_secs_f64() * 1e3),
        Some(listing.cpu.as_secs_f64() * 1e3),
        Some(listing.elapsed.as_secs_f64() / copying.elapsed.as_secs_f64()),
        Some(listing.cpu.as_secs_f64() / copying.cpu.as_secs_f64()),
        Some(peak / 1e6),
        Some(peak / bytes as f64),
    ])
}

/// Looks closely at one answer; returns its length.
async fn look(flockerd: &Contestant, hosts: usize) -> Result<u64> {
    let mut connection = Connection::open(&flockerd.address).await?;
    let (head, body) = connection.get(PATH).await?;
    ensure!(head.missing.is_none(), "{:?} are missing", head.missing);
    let listed: Vec<Value> = serde_json::from_slice(&body)?;
    let ids: BTreeSet<_> = listed.iter().filter_map(|one| one["Id"].as_str()).collect();
    ensure!(ids.len() == hosts * CONTAINERS, "{} containers", ids.len());
    Ok(body.len() as u64)
}

/// Lists all containers. The answer must be as long as the one that was looked at.
async fn list(flockerd: &Contestant, expected: u64) -> Result<()> {
    let mut connection = Connection::open(&flockerd.address).await?;
    let head = connection.ask(request("GET", PATH).as_bytes()).await?;
    head.expect(200)?;
    ensure!(head.missing.is_none(), "{:?} are missing", head.missing);
    let length = connection.body(&head, |_| Ok(())).await?;
    ensure!(length == expected, "{length} bytes, not {expected}");
    Ok(())
}

/// The same when one host does not answer.
fn hanging(setup: &Setup, hosts: usize) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(hosts, CONTAINERS))?;
    let flock = Flock::of(&daemon.addresses).toml("backend_timeout = \"1s\"");
    let flockerd = [runtime.block_on(flock.start(setup, Kind::Flockerd))?];
    runtime.block_on(daemon.tell(&format!("/bench/hang?host={}", hosts / 2)))?;
    let what = format!("ps -a, {hosts} hosts of {CONTAINERS} containers, one of which hangs");
    interleave(setup, &what, &HUNG, &flockerd, |flockerd| {
        runtime.block_on(async {
            let mut connection = Connection::open(&flockerd.address).await?;
            let work = connection.get(PATH);
            let ((head, _), cost) = metered(None, work).await?;
            let missing = Some(format!("node{}", hosts / 2));
            ensure!(head.missing == missing, "{:?} is missing", head.missing);
            Ok(vec![Some(cost.elapsed.as_secs_f64() * 1e3 - PATIENCE_MS)])
        })
    })
}
