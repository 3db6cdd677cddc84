//! The record of instructions, a file that people read, and what has changed since.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How much more than recorded is not noticed, in percent. On a busy machine counts differ by 0.7 %.
const TOLERANCE: f64 = 2.0;
/// The same where the record was made with other tools: they alone change the counts.
const ELSEWHERE: f64 = 10.0;

const HEAD: &str = "# Instructions in user space that flockerd's release build takes for one piece of each kind of work, as `make guard`
# counts them with valgrind. Another compiler, C library or kind of processor gives other counts: with others, more is
# tolerated. `make guard-record` writes this file.

";

/// By the name of the work.
pub(super) type Counts = BTreeMap<String, u64>;

/// What was counted once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// What the counts depend on beside the code: compiler, C library, valgrind and processor.
    pub(super) tools: String,
    pub(super) instructions: Counts,
}

impl Record {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = HEAD.to_owned() + &toml::to_string(self)?;
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Compares this with what is counted now.
    pub(super) fn compare(&self, now: &Self) -> Comparison {
        let names = self.instructions.keys().chain(now.instructions.keys());
        let mut lines: Vec<Line> = names
            .map(|name| Line {
                name: name.clone(),
                recorded: self.instructions.get(name).copied(),
                now: now.instructions.get(name).copied(),
            })
            .collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        lines.dedup_by(|a, b| a.name == b.name);
        Comparison {
            lines,
            tools: (self.tools.clone(), now.tools.clone()),
        }
    }
}

/// What was recorded beside what is counted now.
pub(super) struct Comparison {
    lines: Vec<Line>,
    tools: (String, String),
}

/// One kind of work; it may be new, or gone.
struct Line {
    name: String,
    recorded: Option<u64>,
    now: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    Worse,
    /// Only one of the two has it.
    Unrecorded,
}

impl Comparison {
    pub(super) fn fails(&self) -> bool {
        let mut verdicts = self.lines.iter().map(|line| self.verdict(line));
        verdicts.any(|verdict| matches!(verdict, Verdict::Worse | Verdict::Unrecorded))
    }

    fn tolerance(&self) -> f64 {
        match self.tools.0 == self.tools.1 {
            true => TOLERANCE,
            false => ELSEWHERE,
        }
    }

    fn verdict(&self, line: &Line) -> Verdict {
        let tolerance = self.tolerance();
        match line.change() {
            None => Verdict::Unrecorded,
            Some(change) if change > tolerance => Verdict::Worse,
            Some(change) if change < -tolerance => Verdict::Better,
            Some(_) => Verdict::Same,
        }
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{:24} {:>10} {:>10} {:>8}\n",
            "work", "recorded", "now", "change"
        );
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |count| count.to_string());
        for line in &self.lines {
            let (recorded, now) = (number(line.recorded), number(line.now));
            let change = line.change();
            let change = change.map_or("-".to_owned(), |percent| format!("{percent:+.1} %"));
            let remark = match self.verdict(line) {
                Verdict::Same => "",
                Verdict::Better => "  less",
                Verdict::Worse => "  TOO MANY",
                Verdict::Unrecorded => "  NOT IN BOTH",
            };
            let name = &line.name;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name:24} {recorded:>10} {now:>10} {change:>8}{remark}"
            );
        }
        text
    }

    /// What whoever reads the table should know besides.
    pub(super) fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        let (recorded, now) = &self.tools;
        if recorded != now {
            hints.push(format!(
                "the record was made with {recorded}, this is counted with {now}: so {ELSEWHERE} % more are tolerated, not {TOLERANCE} %"
            ));
        }
        let is_better = |line| self.verdict(line) == Verdict::Better;
        if self.lines.iter().any(is_better) {
            hints.push(format!(
                "some work takes over {} % less than recorded: `make guard-record` keeps it so",
                self.tolerance()
            ));
        }
        hints
    }
}

impl Line {
    /// In percent of what was recorded.
    fn change(&self) -> Option<f64> {
        let (recorded, now) = (self.recorded? as f64, self.now? as f64);
        Some((now - recorded) * 100.0 / recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(counts: &[(&str, u64)]) -> Record {
        let counts = counts
            .iter()
            .map(|(name, count)| (name.to_string(), *count));
        Record {
            tools: "rustc 1.95.0".to_owned(),
            instructions: counts.collect(),
        }
    }

    #[test]
    fn only_what_takes_more_or_is_not_in_both_fails() {
        for (now, fails, remark) in [
            (&[("top", 1020)][..], false, ""),
            (&[("top", 1021)], true, "TOO MANY"),
            (&[("top", 960)], false, "less"),
            (&[("top", 1000), ("new", 1)], true, "NOT IN BOTH"),
            (&[], true, "NOT IN BOTH"),
        ] {
            let comparison = record(&[("top", 1000)]).compare(&record(now));
            assert_eq!(comparison.fails(), fails, "{now:?}");
            assert!(comparison.table().contains(remark), "{now:?}");
        }
    }

    #[test]
    fn other_tools_and_a_better_count_are_named() {
        let (before, mut now) = (record(&[("top", 1000)]), record(&[("top", 1000)]));
        assert_eq!(before.compare(&now).hints(), Vec::<String>::new());
        now.tools = "rustc 1.96.0".to_owned();
        now.instructions.insert("top".to_owned(), 800);
        let hints = before.compare(&now).hints().join("\n");
        assert!(hints.contains("1.96.0") && hints.contains("guard-record"));
        for (count, fails) in [(1100, false), (1101, true)] {
            now.instructions.insert("top".to_owned(), count);
            assert_eq!(before.compare(&now).fails(), fails, "{count}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("record.toml");
        let written = record(&[("top", 1000), ("log, a KB", 2)]);
        written.write(&path).expect("a file");
        let read = Record::read(&path).expect("a record");
        assert!(!read.compare(&written).fails());
        assert_eq!(read.instructions.len(), 2);
    }
}
