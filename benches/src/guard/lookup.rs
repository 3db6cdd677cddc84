//! Lookups in flockerd's index, counted in a process that does little else.

use std::{hint::black_box, process::Command};

use anyhow::{Context, Result, ensure};
use clap::Args;
use flockerd::inventory::index::{Index, Lookup};

use crate::lookup::{WAYS, fill};

const CONTAINERS: usize = 10_000;
/// How many of them are looked up, one after the other.
const REFERENCES: usize = 1_000;
/// How often that is done, in the short run and in the long one.
const TIMES: (u64, u64) = (1, 11);

/// What the child is to do.
#[derive(Args)]
pub(crate) struct Lookups {
    by: String,
    times: u64,
}

/// Fills an index and looks containers up in it.
pub(crate) fn run(lookups: &Lookups) -> Result<()> {
    let way = WAYS.iter().find(|(by, _)| *by == lookups.by);
    let (_, reference) = way.context("an unknown way")?;
    let index = Index::default();
    fill(&index, CONTAINERS);
    let spread = |nth: usize| nth.wrapping_mul(7919) % CONTAINERS;
    let references: Vec<_> = (0..REFERENCES).map(spread).map(reference).collect();
    for _ in 0..lookups.times {
        for reference in &references {
            let found = index.container(black_box(reference), None);
            ensure!(matches!(found, Lookup::Found(_)), "{reference} is gone");
        }
    }
    Ok(())
}

/// What one lookup takes.
pub(super) fn each(by: &str) -> Result<u64> {
    let (few, many) = TIMES;
    let more = total(by, many)?.saturating_sub(total(by, few)?);
    Ok(more / ((many - few) * REFERENCES as u64))
}

/// What the whole child takes.
fn total(by: &str, times: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(std::env::current_exe()?);
    command.args(["count-lookups", by, &times.to_string()]);
    let output = command.output().context("valgrind cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the child fails: {said}");
    collected(&said).with_context(|| format!("valgrind does not say how much it counted:\n{said}"))
}

/// The count in callgrind's last words.
fn collected(said: &str) -> Option<u64> {
    let (_, count) = said.split_once("Collected : ")?;
    count.lines().next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_stands_in_the_last_words() {
        let said = "==7== Events    : Ir\n==7== Collected : 66278402\n==7==\n";
        assert_eq!(collected(said), Some(66_278_402));
        assert_eq!(collected("valgrind: no such file\n"), None);
    }
}
