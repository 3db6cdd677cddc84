//! The regression guard: how many instructions flockerd takes for one piece of each kind of work, against a record.
//!
//! The release binary runs under valgrind, which counts what it executes in user space, and so hears nothing of what else
//! the machine does. What a piece takes is the difference between doing many and doing few, by how many more those are.

mod count;
mod lookup;
mod piece;
mod record;

use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    contestants::{Flock, Kind, Setup},
    daemon::{Daemon, Script},
    lookup::WAYS,
    runtime, say,
};
use count::Counted;
pub(crate) use lookup::{Lookups, run as run_lookups};
use piece::{Piece, Target};
use record::{Counts, Record};

const HOSTS: usize = 3;
const CONTAINERS: usize = 100;
/// What works without a call is not to be counted: nobody is probed and nobody gives up early.
const QUIET: &str = "probe_interval = \"1h\"\nbackend_timeout = \"60s\"";

/// Counts the instructions of hot paths and compares them with a record
#[derive(Args)]
pub(crate) struct Guard {
    /// Writes what is counted as the new record
    #[arg(long)]
    record: bool,
    /// Where the record is
    #[arg(long, default_value = "benches/instructions.toml")]
    file: PathBuf,
}

/// # Errors
/// When something takes more than its bound, too.
pub(crate) fn run(guard: &Guard, setup: &Setup) -> Result<()> {
    let tools = tools(&compiler(&fs::read(&setup.flockerd)?))?;
    let now = Record {
        tools,
        instructions: count(setup)?,
    };
    if guard.record {
        return now.write(&guard.file);
    }
    let recorded = Record::read(&guard.file)?;
    let comparison = recorded.compare(&now);
    stdout().write_all(comparison.table().as_bytes())?;
    for hint in comparison.hints() {
        say(&hint);
    }
    ensure!(
        !comparison.fails(),
        "some work is not within the bounds of {}; `make guard-record` records what is meant to be",
        guard.file.display()
    );
    Ok(())
}

/// The instructions of every piece of work.
fn count(setup: &Setup) -> Result<Counts> {
    let mut counts = served(setup)?;
    for (by, _) in WAYS {
        counts.insert(format!("lookup by {by}"), lookup::each(by)?);
    }
    Ok(counts)
}

/// What a flockerd does for its clients, with the plugin and without.
fn served(setup: &Setup) -> Result<Counts> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(HOSTS, CONTAINERS))?;
    let home = setup.folder.path().join("home");
    count::compile(setup, &home)?;
    let mut counts = Counts::new();
    for (kind, pieces) in [
        (Kind::Flockerd, &Piece::PLAIN[..]),
        (Kind::FlockerdRoute, &[Piece::CreateFresh]),
        (Kind::FlockerdWarm, &[Piece::CreateWarm]),
    ] {
        let flock = Flock::of(&daemon.addresses).toml(QUIET).home(&home);
        let counted = runtime.block_on(Counted::start(setup, flock, kind))?;
        let target = Target::new(&counted.flockerd.address, &daemon);
        for piece in pieces {
            let name = piece.name();
            let count = runtime.block_on(counted.each(*piece, &target));
            let count = count.context(name)?;
            say(&format!("{name}: {count}"));
            counts.insert(name.to_owned(), count);
        }
    }
    Ok(counts)
}

/// What the counts depend on beside the code.
fn tools(rustc: &str) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let of = |key: &str| {
        let line = cpus.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(':'))
            .map_or("", |(_, value)| value.trim())
            .to_owned()
    };
    let last = |program: &str| {
        let said = Command::new(program).arg("--version").output()?.stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let first = said.lines().next().unwrap_or_default();
        anyhow::Ok(first.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    let (libc, valgrind) = (last("ldd")?, last("valgrind")?);
    let (vendor, family, model) = (of("vendor_id"), of("cpu family"), of("model\t"));
    Ok(format!(
        "rustc {rustc}, glibc {libc}, {valgrind}, {vendor} {family}/{model}"
    ))
}

/// The compiler that a binary names: what it takes depends on it.
fn compiler(binary: &[u8]) -> String {
    let mark = b"rustc version ";
    let after = crate::http::find(binary, mark).map(|at| &binary[at + mark.len()..]);
    let word = after.and_then(|after| after.split(|byte| !byte.is_ascii_graphic()).next());
    word.map_or("unknown".into(), String::from_utf8_lossy)
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_names_its_compiler() {
        let binary = b"\x7fELF\0GCC: (Debian 12)\0rustc version 1.95.0 (59807616e 2026-04-14)\0";
        assert_eq!(compiler(binary), "1.95.0");
        assert_eq!(compiler(b"\x7fELF"), "unknown");
    }
}
