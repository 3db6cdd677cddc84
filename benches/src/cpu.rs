//! What processes cost, read from /proc: CPU time and memory, over all threads and children.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

/// No piece of work takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The CPUs that the parties get. The proxy has one of its own, whatever it does with threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpus {
    pub(crate) proxy: usize,
    pub(crate) daemon: usize,
    pub(crate) load: usize,
}

impl Cpus {
    /// Load and daemon share a CPU where there are only two.
    pub(crate) fn of(count: usize) -> Self {
        Self {
            proxy: usize::from(count > 1),
            daemon: 0,
            load: if count > 2 { 2 } else { 0 },
        }
    }
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The most that was resident since [`forget_peak`].
    pub(crate) peak: u64,
}

/// What something took.
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
}

/// Does something and tells what it took, in CPU time of a process and its children.
pub(crate) async fn metered<T>(
    process: Option<u32>,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Cost)> {
    let before = process.map(time).transpose()?.unwrap_or_default();
    let begun = Instant::now();
    let done = timeout(PATIENCE, work).await.context("it hangs")??;
    let elapsed = begun.elapsed();
    let after = process.map(time).transpose()?.unwrap_or_default();
    let cpu = after.saturating_sub(before);
    Ok((done, Cost { elapsed, cpu }))
}

/// User and system time that a process and its children have used.
pub(crate) fn time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for process in family(process) {
        for thread in threads(process)? {
            // A thread may have ended meanwhile.
            let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let first = text.split(' ').next().and_then(|time| time.parse().ok());
            nanoseconds += first.unwrap_or(0u64);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The memory of a process and its children.
pub(crate) fn memory(process: u32) -> Result<Memory> {
    let (mut resident, mut peak) = (0, 0);
    for process in family(process) {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        resident += kilobytes(&status, "VmRSS:")? << 10;
        peak += kilobytes(&status, "VmHWM:")? << 10;
    }
    Ok(Memory { resident, peak })
}

/// Lets the peak of a process begin anew at what it has now.
pub(crate) fn forget_peak(process: u32) -> Result<()> {
    for process in family(process) {
        fs::write(format!("/proc/{process}/clear_refs"), "5")?;
    }
    Ok(())
}

/// Binds this process to a CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(["-a", "-p", "-c", &cpu.to_string()]);
    let output = command.arg(std::process::id().to_string()).output();
    let output = output.context("taskset cannot be run; `benches/install` installs it")?;
    ensure!(output.status.success(), "taskset: {output:?}");
    Ok(())
}

/// Lets this thread run before all others of its CPU, as soon as there is something for it to do.
///
/// # Errors
/// When this process may not have real-time priority.
pub(crate) fn come_first() -> Result<()> {
    let thread = fs::read_link("/proc/thread-self")?;
    let mut command = Command::new("chrt");
    command.args(["--fifo", "--pid", "1"]);
    command.arg(thread.file_name().context("the number of this thread")?);
    let output = command.output().context("chrt cannot be run")?;
    ensure!(output.status.success(), "chrt: {output:?}");
    Ok(())
}

fn kilobytes(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .with_context(|| name.to_owned())?
        .parse()
        .context(name.to_owned())
}

/// A process and all that descend from it.
fn family(process: u32) -> Vec<u32> {
    let mut members = vec![process];
    let mut next = 0;
    while let Some(member) = members.get(next).copied() {
        for thread in threads(member).unwrap_or_default() {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            members.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    members
}

fn threads(process: u32) -> Result<Vec<std::path::PathBuf>> {
    let folder = format!("/proc/{process}/task");
    let entries = fs::read_dir(Path::new(&folder)).context("the process has ended")?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect())
}
