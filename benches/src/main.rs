//! Measures flockerd beside HAProxy, nginx and nothing at all, in one run on one machine, and writes one table.
//!
//! Three parties, each a process of its own: the load (this one), the contestant, alone on its CPU, and a scripted
//! [`daemon`]. [`contestants`] starts them; a file for each kind of work measures one round of one contestant and verifies
//! what came back; [`sample`] lets them take turns; [`table`] compares.

mod bodies;
mod contestants;
mod cpu;
mod creates;
mod daemon;
mod echo;
mod events;
mod http;
mod idle;
mod lists;
mod lookup;
mod machine;
mod pattern;
mod plugins;
mod raw;
mod requests;
mod sample;
mod session;
mod socket;
mod startup;
mod streams;
mod table;

use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use contestants::Setup;
use cpu::Cpus;
use sample::Row;

/// A kind of work.
struct Work {
    name: &'static str,
    measure: fn(&Setup) -> Result<Vec<Row>>,
}

/// All work, numbered from one.
const WORK: [Work; 11] = [
    Work {
        name: "requests",
        measure: requests::measure,
    },
    Work {
        name: "streams",
        measure: streams::measure,
    },
    Work {
        name: "echo",
        measure: echo::measure,
    },
    Work {
        name: "bodies",
        measure: bodies::measure,
    },
    Work {
        name: "idle",
        measure: idle::measure,
    },
    Work {
        name: "lists",
        measure: lists::measure,
    },
    Work {
        name: "creates",
        measure: creates::measure,
    },
    Work {
        name: "lookup",
        measure: lookup::measure,
    },
    Work {
        name: "events",
        measure: events::measure,
    },
    Work {
        name: "startup",
        measure: startup::measure,
    },
    Work {
        name: "plugins",
        measure: plugins::measure,
    },
];

/// Descriptors of a run with ten thousand idle sessions: two for each, and what the rivals keep for pipes.
const DESCRIPTORS: u64 = 131_072;

/// Measures flockerd beside HAProxy and nginx
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// Kinds of work, by number or name; all without one
    work: Vec<String>,
    /// How often each contestant has its turn
    #[arg(long)]
    rounds: Option<usize>,
    /// Fewer rounds, and less of everything
    #[arg(long)]
    quick: bool,
    /// The binary to measure; otherwise the one that is built beside this
    #[arg(long)]
    flockerd: Option<PathBuf>,
    /// The component of plugins/route-rust, with the others beside it; otherwise what `benches/build` makes
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Where the table goes; otherwise to standard output
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What this program is to its own children.
#[derive(Subcommand)]
enum Part {
    #[command(hide = true, name = "play-daemon")]
    Daemon(daemon::Script),
    #[command(hide = true, name = "fill-index")]
    Lookup(lookup::Size),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match &cli.part {
        Some(Part::Daemon(script)) => return daemon::run(script),
        Some(Part::Lookup(size)) => return lookup::run(size),
        None => {}
    }
    let chosen = chosen(&cli.work)?;
    let setup = setup(&cli)?;
    let begun = std::time::Instant::now();
    let mut rows = Vec::new();
    for (number, work) in chosen {
        say(&format!("{number} {}", work.name));
        for mut row in (work.measure)(&setup)? {
            row.what = format!("{number} {}", row.what);
            rows.push(row);
        }
    }
    let text = machine::described(&setup)? + &table::markdown(&rows);
    say(&format!("{} s", begun.elapsed().as_secs()));
    match &cli.output {
        Some(path) => fs::write(path, text).with_context(|| path.display().to_string()),
        None => Ok(stdout().write_all(text.as_bytes())?),
    }
}

/// The work that was asked for, with its number.
fn chosen(asked: &[String]) -> Result<Vec<(usize, &'static Work)>> {
    let all: Vec<_> = (1..).zip(&WORK).collect();
    for text in asked {
        let known = all.iter().any(|(number, work)| is(text, *number, work));
        let names: Vec<_> = WORK.iter().map(|work| work.name).collect();
        ensure!(
            known,
            "there is no work `{text}`; there is {}",
            names.join(", ")
        );
    }
    let wanted = |(number, work): &(usize, &Work)| {
        asked.is_empty() || asked.iter().any(|text| is(text, *number, work))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

fn is(text: &str, number: usize, work: &Work) -> bool {
    text == work.name || text == number.to_string()
}

fn setup(cli: &Cli) -> Result<Setup> {
    let program = std::env::current_exe()?;
    let release = program.parent().context("the folder of this program")?;
    let target = release.parent().context("the target folder")?;
    let beside = |given: &Option<PathBuf>, other: PathBuf| given.clone().unwrap_or(other);
    let flockerd = beside(&cli.flockerd, release.join("flockerd"));
    let plugin = beside(&cli.plugin, target.join("bench/route_rust.wasm"));
    for path in [&flockerd, &plugin] {
        ensure!(
            path.exists(),
            "{} is missing; `make bench` builds it",
            path.display()
        );
    }
    let cpus = Cpus::of(std::thread::available_parallelism()?.get());
    cpu::pin(cpus.load)?;
    Ok(Setup {
        cpus,
        flockerd: fs::canonicalize(flockerd)?,
        plugin: fs::canonicalize(plugin)?,
        folder: tempfile::TempDir::new()?,
        rounds: cli.rounds.unwrap_or(if cli.quick { 2 } else { 5 }),
        quick: cli.quick,
        descriptors: more_descriptors(),
    })
}

/// Raises the limit for this process and its children, as far as it may; returns what it is.
fn more_descriptors() -> u64 {
    let whole = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(DESCRIPTORS),
    };
    if setrlimit(Resource::Nofile, whole).is_err() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let rest = Rlimit {
            current: hard,
            maximum: hard,
        };
        // Then it stays as it is, and the sizes follow.
        let _ = setrlimit(Resource::Nofile, rest);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS)
}

/// One thread, as the rivals have.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Tells whoever waits how far it is.
fn say(line: &str) {
    // Nobody may read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
