//! Finding a container in flockerd's index, and what the index weighs; in a process of its own, for its memory's sake.

use std::{
    hint::black_box,
    io::{Write, stdout},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use flockerd::inventory::index::{BackendName, Index, Lookup, Stage};
use serde_json::{Value, json};

use crate::{
    contestants::Setup,
    cpu::{memory, pin},
    sample::{Figure, Mark, Row, Unit},
};

/// How many lookups are timed.
const LOOKUPS: usize = 200_000;
const TIME: Unit = Unit::less("ns");
const FIGURES: [(&str, Figure); 4] = [
    ("id", Figure::new(TIME, Some(Mark::Is(1000.0)))),
    ("name", Figure::new(TIME, Some(Mark::Is(1000.0)))),
    ("prefix", Figure::new(TIME, Some(Mark::Is(1000.0)))),
    (
        "bytes",
        Figure::new(Unit::less("bytes each"), Some(Mark::Is(200.0))),
    ),
];

/// What the nth container is referred to as.
type Reference = fn(usize) -> String;

/// What a container can be looked up by.
pub(crate) const WAYS: [(&str, Reference); 3] = [
    ("id", id),
    ("name", name),
    ("prefix", |nth| id(nth)[..12].to_owned()),
];

/// What the child is to do.
#[derive(Args)]
pub(crate) struct Size {
    containers: usize,
    #[arg(long)]
    cpu: usize,
}

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let sizes = setup.size(&[1, 10_000, 1_000_000][..], &[1, 10_000, 100_000][..]);
    let mut rows = Vec::new();
    for containers in sizes {
        let mut measured = Vec::new();
        for _ in 0..setup.rounds {
            measured.push(child(setup, *containers)?);
        }
        for (name, figure) in FIGURES {
            let values = measured.iter().filter_map(|values| values[name].as_f64());
            let what = match name {
                "bytes" => format!("index of {containers} containers"),
                name => format!("lookup by {name} among {containers} containers"),
            };
            // One is too few to be weighed.
            if name != "bytes" || *containers > 1 {
                rows.push(Row::own(what, figure, values.collect()));
            }
        }
    }
    rows.iter().for_each(Row::report);
    Ok(rows)
}

fn child(setup: &Setup, containers: usize) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["fill-index", &containers.to_string()]);
    command.args(["--cpu", &setup.cpus.proxy.to_string()]);
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "lookup: {error}");
    serde_json::from_slice(&output.stdout).context("the child's answer")
}

/// Fills an index, looks things up, and prints the figures.
pub(crate) fn run(size: &Size) -> Result<()> {
    pin(size.cpu)?;
    let process = std::process::id();
    let index = Index::default();
    let before = memory(process)?.resident;
    fill(&index, size.containers);
    let weight = memory(process)?.resident.saturating_sub(before);
    let mut figures = json!({ "bytes": weight as f64 / size.containers as f64 });
    for (by, reference) in WAYS {
        figures[by] = lookups(&index, size.containers, reference)?.into();
    }
    Ok(stdout().write_all(figures.to_string().as_bytes())?)
}

/// Spreads so many containers over a hundred hosts.
pub(crate) fn fill(index: &Index, containers: usize) {
    let nodes: Vec<BackendName> = (0..100).map(|node| format!("node{node}").into()).collect();
    for nth in 0..containers {
        let node = &nodes[nth % nodes.len()];
        index.found(node, &id(nth), Some(&name(nth)), Stage::Running, None);
    }
}

/// Nanoseconds of a lookup, over references that are spread.
fn lookups(index: &Index, containers: usize, reference: Reference) -> Result<f64> {
    let spread = |nth: usize| nth.wrapping_mul(7919) % containers;
    let references: Vec<_> = (0..LOOKUPS)
        .map(spread)
        .map(|nth| (reference(nth), id(nth)))
        .collect();
    let mut wrong = 0;
    let begun = Instant::now();
    for (reference, expected) in &references {
        let found = index.container(black_box(reference), None);
        wrong += usize::from(!matches!(found, Lookup::Found(found) if found.id == *expected));
    }
    let time = begun.elapsed();
    ensure!(wrong == 0, "{wrong} lookups found something else");
    Ok(time.as_nanos() as f64 / LOOKUPS as f64)
}

/// Spread as the ids of real containers are.
fn id(nth: usize) -> String {
    let word = (nth as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{word:016x}{:048x}", nth)
}

fn name(nth: usize) -> String {
    format!("project-service-{nth}")
}
