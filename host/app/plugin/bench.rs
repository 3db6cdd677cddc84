//! `flockerd plugin bench`: what calls of a plugin cost, in fresh and in warm instances.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Desk,
    answer::told,
    cases::{Case, Cases},
};
use crate::{
    config::{InstancePolicy, Problem},
    plugin::{Compiler, Plugins},
};

/// Measures every case and returns the table.
pub(super) async fn bench(mut desk: Desk, file: &Path, calls: u32) -> Result<String, Problem> {
    let cases = Cases::read(file)?;
    cases.configure(desk.plugin());
    let mut rows = String::new();
    pin(&mut desk).await?;
    let compiled = compiled(&desk).await?;
    let (mut started, mut memory) = (Duration::ZERO, 0);
    for policy in [InstancePolicy::Fresh, InstancePolicy::Warm] {
        desk.plugin().instance = Some(policy);
        let plugin = &desk.chain[0];
        let begun = Instant::now();
        let loaded = desk.load(plugin).await?;
        started = begun.elapsed();
        for case in &cases.cases {
            let (plugins, _) = case.prepare(&loaded, &plugin.name).await?;
            let times = measure(case, &plugins, calls).await?;
            memory = memory.max(plugins.memory().await);
            rows.push_str(&row(case, policy, &times));
        }
    }
    Ok(format!(
        "compile  {:>10}  without the cache\nload     {:>10}  with it, linking and one start included\nmemory   {memory:>6} KiB  of one instance after its calls\n\n{:<14} {:<8} {:>10} {:>10}  CASE\n{rows}",
        short(compiled),
        short(started),
        "HOOK",
        "INSTANCE",
        "P50",
        "P99",
        memory = memory >> 10,
    ))
}

/// Takes the component out of its registry once, so that pulling it is not measured.
async fn pin(desk: &mut Desk) -> Result<(), Problem> {
    let loaded = desk.load(&desk.chain[0]).await?;
    if let Some(pinned) = loaded.infos().pop().and_then(|info| info.pinned) {
        desk.plugin().source = pinned;
    }
    Ok(())
}

/// How long it takes to load the plugin when nothing was compiled before.
async fn compiled(desk: &Desk) -> Result<Duration, Problem> {
    let desk = Desk {
        compiler: Compiler::default(),
        registries: desk.registries.clone(),
        chain: desk.chain.clone(),
    };
    let begun = Instant::now();
    desk.load(&desk.chain[0]).await?;
    Ok(begun.elapsed())
}

/// How long the calls took, shortest first. The first one is not counted.
///
/// # Errors
/// When the plugin fails: then its time means nothing.
async fn measure(case: &Case, plugins: &Plugins, calls: u32) -> Result<Vec<Duration>, Problem> {
    let mut times = Vec::new();
    for call in 0..=calls {
        let begun = Instant::now();
        let answer = case.asked.ask(plugins, &case.flock).await;
        let time = begun.elapsed();
        if let Some(reason) = told(answer).get("failed") {
            let message = format!("case \"{}\" failed in call {call}: {reason}", case.name);
            return Err(Problem::new(message, "run `flockerd plugin test` first"));
        }
        if call > 0 {
            times.push(time);
        }
    }
    times.sort();
    Ok(times)
}

fn row(case: &Case, policy: InstancePolicy, times: &[Duration]) -> String {
    let instance = match policy {
        InstancePolicy::Fresh => "fresh",
        InstancePolicy::Warm => "warm",
    };
    let mut row = String::new();
    let _ = writeln!(
        row,
        "{:<14} {instance:<8} {:>10} {:>10}  {}",
        case.asked.hook().name(),
        short(percentile(times, 50)),
        short(percentile(times, 99)),
        case.name,
    );
    row
}

/// The time that so many of a hundred calls do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    let time = sorted.get(rank.saturating_sub(1));
    time.copied().unwrap_or_default()
}

fn short(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{micros} us"),
        micros => format!("{} ms", micros / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        for (percent, micros) in [(50, 100), (99, 198), (100, 200)] {
            assert_eq!(
                percentile(&times, percent),
                Duration::from_micros(micros),
                "{percent}"
            );
        }
        assert_eq!(percentile(&times[..1], 50), Duration::from_micros(1));
    }
}
