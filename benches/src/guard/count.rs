//! flockerd under valgrind, and the reading of its counter.

use std::{
    fs::{DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::piece::{Piece, Target};
use crate::contestants::{Contestant, Flock, Kind, Setup};

/// How often a count is taken; the smallest is free of timers and of what else came between.
const ROUNDS: usize = 3;
/// How long flockerd may take until it has put away what is done, being slow here.
const SETTLE: Duration = Duration::from_millis(100);

/// A flockerd whose instructions are counted.
pub(super) struct Counted {
    pub(super) flockerd: Contestant,
    /// Where valgrind listens for commands.
    line: PathBuf,
}

impl Counted {
    pub(super) async fn start(setup: &Setup, flock: Flock<'_>, kind: Kind) -> Result<Self> {
        let line = setup.folder.path().join("valgrind");
        let valgrind = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            "--callgrind-out-file=/dev/null".to_owned(),
            format!("--vgdb-prefix={}", line.display()),
        ];
        let flockerd = flock.under(&valgrind).start(setup, kind).await?;
        Ok(Self { flockerd, line })
    }

    /// What one piece of work takes.
    pub(super) async fn each(&self, piece: Piece, target: &Target<'_>) -> Result<u64> {
        let (few, many) = piece.times();
        // Whatever is made once is there before.
        piece.work(target, few).await?;
        let mut before = self.settled().await?;
        let (mut least_few, mut least_many) = (u64::MAX, u64::MAX);
        for _ in 0..ROUNDS {
            for (times, least) in [(few, &mut least_few), (many, &mut least_many)] {
                piece.work(target, times).await?;
                let after = self.settled().await?;
                *least = (*least).min(after - before);
                before = after;
            }
        }
        let more = least_many.saturating_sub(least_few);
        Ok(more / ((many - few) * piece.parts()))
    }

    async fn settled(&self) -> Result<u64> {
        sleep(SETTLE).await;
        self.instructions()
    }

    /// What all threads have executed since the start.
    fn instructions(&self) -> Result<u64> {
        let process = self.flockerd.process().context("flockerd is gone")?;
        let mut command = Command::new("vgdb");
        command.arg(format!("--vgdb-prefix={}", self.line.display()));
        command.arg(format!("--pid={process}"));
        command.args(["status", "internal"]).stdin(Stdio::null());
        let output = command.output().context("vgdb cannot be run")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vgdb: {error}");
        summed(&said).with_context(|| format!("valgrind does not say how much it counted:\n{said}"))
    }
}

/// Compiles the plugin into the cache below a home: for the processor that valgrind shows, and without a child, which
/// flockerd cannot start there.
pub(super) fn compile(setup: &Setup, home: &Path) -> Result<()> {
    let cache = home.join("cache/flockerd/compiled");
    let mut folder = DirBuilder::new();
    folder.recursive(true).mode(0o700).create(&cache)?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=none", "--quiet"])
        .arg(&setup.flockerd);
    command.arg("compile").arg(&cache);
    let output = command.stdin(File::open(&setup.plugin)?).output();
    let output = output.context("valgrind cannot be run; `benches/install` installs it")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "compile: {error}");
    Ok(())
}

/// The counts of all threads in what callgrind says of itself; none without any.
fn summed(said: &str) -> Option<u64> {
    let counts = said.lines().filter_map(|line| {
        let (thread, count) = line.strip_prefix("events-")?.split_once(": ")?;
        // With a second number it is of a function.
        thread.parse::<u32>().ok()?;
        count.trim().parse::<u64>().ok()
    });
    counts.reduce(|sum, count| sum + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_threads_are_added() {
        let said =
            "events: Ir\nthreads: 1 2\nevents-1: 100\nframes-1: 1\nevents-1-0: 90\nevents-2: 11\n";
        assert_eq!(summed(said), Some(111));
        assert_eq!(summed("instrumentation: off\n"), None);
    }
}
