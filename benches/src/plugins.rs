//! What plugins cost: a call of `route` in each language, hosts that nobody looks at, and a thousand plugins that idle.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    contestants::{Flock, Kind, Setup, flockerd_command},
    cpu::memory,
    daemon::{Daemon, Script},
    runtime,
    sample::{Figure, Mark, Row, Unit, median},
};

const P50: Unit = Unit::less("us p50");
const P99: Unit = Unit::less("us p99");
/// The languages of `plugins/route-*`, with what is asked of Rust's fresh and warm instances.
const LANGUAGES: [(&str, Option<Mark>, Option<Mark>); 5] = [
    ("rust", Some(Mark::Is(30.0)), Some(Mark::Is(10.0))),
    ("c", None, None),
    ("javascript", None, None),
    ("python", None, None),
    ("go", None, None),
];
const UNSEEN: Figure = Figure::new(Unit::less("times that with 3 hosts"), Some(Mark::Is(1.1)));
const WEIGHT: Figure = Figure::new(Unit::less("KB resident each"), None);
const LOADING: Figure = Figure::new(Unit::less("s until the first answer"), None);

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let folder = setup.plugin.parent().context("the plugin's folder")?;
    let mut rows = Vec::new();
    for (language, fresh, warm) in LANGUAGES {
        let file = folder.join(format!("route_{language}.wasm"));
        if file.exists() {
            rows.extend(called(setup, language, &file, (fresh, warm))?);
        } else {
            crate::say(&format!("{} is missing and left out", file.display()));
        }
    }
    rows.extend(unseen(setup, &folder.join("label_placement.wasm"))?);
    rows.iter().for_each(Row::report);
    rows.extend(idle(setup, &folder.join("spread.wasm"))?);
    Ok(rows)
}

/// A route call with a 2 KB create and three hosts.
fn called(
    setup: &Setup,
    language: &str,
    file: &Path,
    marks: (Option<Mark>, Option<Mark>),
) -> Result<Vec<Row>> {
    let mut rounds = Vec::new();
    // A run compiles its component, which takes a language with a runtime ten seconds.
    let small = fs::metadata(file)?.len() < 1 << 20;
    for _ in 0..if small { setup.rounds } else { 1 } {
        rounds.push(bench(setup, file, &create(3)?)?);
    }
    let row = |instance: &str, kind, part: usize, figure| {
        let values = rounds.iter().filter_map(|round| round.get(instance));
        Row {
            what: format!("route call in {language}, 2 KB create, 3 hosts, {instance}"),
            figure,
            samples: BTreeMap::from([(kind, values.map(|times| times[part]).collect())]),
        }
    };
    Ok(vec![
        row("fresh", Kind::FlockerdRoute, 0, Figure::new(P50, marks.0)),
        row("fresh", Kind::FlockerdRoute, 1, Figure::new(P99, None)),
        row("warm", Kind::FlockerdWarm, 0, Figure::new(P50, marks.1)),
        row("warm", Kind::FlockerdWarm, 1, Figure::new(P99, None)),
    ])
}

/// What a hundred hosts cost a plugin that looks at none: label-placement has no opinion on a pull.
fn unseen(setup: &Setup, file: &Path) -> Result<Vec<Row>> {
    let mut ratios: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
    for _ in 0..setup.rounds {
        let (few, many) = (
            bench(setup, file, &pull(3)?)?,
            bench(setup, file, &pull(100)?)?,
        );
        for (instance, kind) in [("fresh", Kind::FlockerdRoute), ("warm", Kind::FlockerdWarm)] {
            let pair = few.get(instance).zip(many.get(instance));
            let ratio = pair.map(|(few, many)| many[0] / few[0]);
            ratios.entry(kind).or_default().extend(ratio);
        }
    }
    let row = Row {
        what: "route call that looks at none of 100 hosts".to_owned(),
        figure: UNSEEN,
        samples: ratios,
    };
    Ok(vec![row])
}

/// Runs `flockerd plugin bench`; returns p50 and p99 in microseconds by kind of instance.
fn bench(setup: &Setup, file: &Path, cases: &str) -> Result<BTreeMap<String, [f64; 2]>> {
    let folder = TempDir::new_in(setup.folder.path())?;
    let file_of_cases = folder.path().join("cases.toml");
    fs::write(&file_of_cases, cases)?;
    let mut command = flockerd_command(setup, folder.path());
    command
        .args(["plugin", "bench"])
        .arg(file)
        .arg(&file_of_cases);
    command.args(["--calls", setup.size("1000", "300")]);
    let output = command.stderr(std::process::Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "plugin bench {}: {error}",
        file.display()
    );
    let times: BTreeMap<_, _> = said.lines().filter_map(times).collect();
    ensure!(times.len() == 2, "the times cannot be read in:\n{said}");
    Ok(times)
}

/// The kind of instance and its first two times, wherever they stand in a line.
fn times(line: &str) -> Option<(String, [f64; 2])> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| ["fresh", "warm"].contains(word))?;
    let mut times = words[at..]
        .windows(2)
        .filter_map(|pair| microseconds(pair[0], pair[1]));
    Some((words[at].to_owned(), [times.next()?, times.next()?]))
}

fn microseconds(number: &str, unit: &str) -> Option<f64> {
    let scale = match unit {
        "ns" => 1e-3,
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

/// A flock of so many hosts.
fn flock(hosts: usize) -> Result<String> {
    let mut text = String::new();
    for host in 0..hosts {
        write!(
            text,
            "[[backend]]\nname = \"node{host}\"\nrunning = {}\n",
            host % 7
        )?;
    }
    Ok(text)
}

/// A pull over so many hosts, as a case.
fn pull(hosts: usize) -> Result<String> {
    let case = "[[case]]\nname = \"pull\"\nroute = { subject = \"pull\", image = \"busybox\" }\n";
    Ok(flock(hosts)? + case)
}

/// A create of 2 KB over so many hosts, as a case.
fn create(hosts: usize) -> Result<String> {
    let environment: Vec<String> = (0..40)
        .map(|nth| format!("VARIABLE_{nth}=some value of the service"))
        .collect();
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "infinity"], "Env": environment,
        "Labels": {"com.example.team": "web", "com.example.service": "frontend"},
        "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no"}, "Memory": 0}
    });
    let mut text = flock(hosts)?;
    write!(
        text,
        "[[case]]\nname = \"create\"\n[case.route]\nname = \"bench\"\nbody = '{body}'\n"
    )?;
    Ok(text)
}

/// Many plugins that are loaded and do nothing.
fn idle(setup: &Setup, file: &Path) -> Result<Vec<Row>> {
    let count = setup.size(1000, 10);
    let component = fs::read(file).with_context(|| file.display().to_string())?;
    let bare = bare(setup)?;
    let mut rows = Vec::new();
    for (what, different) in [("names of one component", false), ("components", true)] {
        let files: Vec<Vec<u8>> = (0..count)
            .map(|number| match different {
                true => marked(&component, number),
                false => component.clone(),
            })
            .collect();
        let (with, loading) = loaded(setup, &files)?;
        let each = with.saturating_sub(bare) as f64 / count as f64 / 1024.0;
        let what = format!("{count} plugins loaded and idle, as many {what}");
        rows.push(Row::own(&what, WEIGHT, vec![each]));
        rows.push(Row::own(&what, LOADING, vec![loading]));
    }
    rows.iter().for_each(Row::report);
    Ok(rows)
}

/// The memory of a flockerd without plugins, in the middle of the rounds.
fn bare(setup: &Setup) -> Result<u64> {
    let mut all = Vec::new();
    for _ in 0..setup.rounds {
        all.push(loaded(setup, &[])?.0 as f64);
    }
    Ok(median(&all).unwrap_or_default() as u64)
}

/// The memory of a flockerd with these plugins, in bytes, and how many seconds passed until it answered.
fn loaded(setup: &Setup, files: &[Vec<u8>]) -> Result<(u64, f64)> {
    let runtime = runtime()?;
    let folder = TempDir::new_in(setup.folder.path())?;
    let mut toml = String::new();
    for (number, file) in files.iter().enumerate() {
        let path = folder.path().join(format!("plugin{number}.wasm"));
        fs::write(&path, file)?;
        write!(toml, "[[plugin]]\npath = \"{}\"\n", path.display())?;
    }
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let begun = Instant::now();
    let flock = Flock::of(&daemon.addresses).also(toml);
    let flockerd = runtime.block_on(flock.start(setup, Kind::Flockerd))?;
    let loading = begun.elapsed().as_secs_f64();
    let process = flockerd.process().context("flockerd is gone")?;
    Ok((memory(process)?.resident, loading))
}

/// The component with a custom section that no other has.
fn marked(component: &[u8], number: usize) -> Vec<u8> {
    let content = format!("{number:08}");
    let name = "number";
    let length = 1 + name.len() + content.len();
    let mut marked = component.to_vec();
    marked.extend([0, length as u8, name.len() as u8]);
    marked.extend(name.as_bytes());
    marked.extend(content.as_bytes());
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_any_unit() {
        for (line, expected) in [
            (
                "route  fresh  34 us  1200 us  create",
                Some(("fresh", [34.0, 1200.0])),
            ),
            ("warm route 900 ns 0.5 ms", Some(("warm", [0.9, 500.0]))),
            ("HOOK INSTANCE P50 P99 CASE", None),
        ] {
            let expected = expected.map(|(kind, times)| (kind.to_owned(), times));
            assert_eq!(times(line), expected, "{line}");
        }
    }
}
