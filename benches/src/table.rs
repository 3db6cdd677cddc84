//! The table: a line for each figure, the contestants side by side.

use std::fmt::Write;

use crate::{
    contestants::Kind,
    sample::{Mark, Row, Unit, median},
};

/// What the others are compared with.
const REFERENCE: Kind = Kind::HaproxySplice;

impl Row {
    /// The middle of a contestant's values.
    fn value(&self, kind: Kind) -> Option<f64> {
        median(self.samples.get(&kind)?)
    }

    /// How many times another contestant's value it is: the middle over the rounds, in which both met the same neighbours.
    fn ratio(&self, kind: Kind, to: Kind) -> Option<f64> {
        let pairs = self.samples.get(&kind)?.iter().zip(self.samples.get(&to)?);
        let ratios: Vec<f64> = pairs.map(|(value, other)| value / other).collect();
        median(&ratios).filter(|ratio| ratio.is_finite())
    }

    /// What a mark is set to: of what concerns the plugin the warm instance's value.
    fn own_value(&self) -> Option<f64> {
        let kinds = [Kind::FlockerdWarm, Kind::Flockerd, Kind::FlockerdRoute];
        kinds.into_iter().find_map(|kind| self.value(kind))
    }

    fn cell(&self, kind: Kind) -> String {
        let Some(value) = self.value(kind) else {
            return "-".to_owned();
        };
        match self.ratio(kind, REFERENCE) {
            Some(ratio) if kind != REFERENCE => format!("{} ({ratio:.2})", short(value)),
            _ => short(value),
        }
    }

    /// The mark, and whether flockerd reaches it.
    fn verdict(&self) -> String {
        let Unit { more_is_better, .. } = self.figure.unit;
        let sign = if more_is_better { "≥" } else { "≤" };
        let met = |got: f64, bound: f64| {
            if more_is_better {
                got >= bound
            } else {
                got <= bound
            }
        };
        let said = |text: String, got: Option<f64>, bound: f64| match got {
            Some(got) if met(got, bound) => format!("{text}: met"),
            Some(got) => format!("{text}: **missed**, {}", short(got)),
            None => text,
        };
        match self.figure.mark {
            None => String::new(),
            Some(Mark::Is(bound)) => {
                said(format!("{sign} {}", short(bound)), self.own_value(), bound)
            }
            Some(Mark::Of(kind, bound)) => {
                let text = format!("{sign} {bound:.2} of {kind}");
                said(text, self.ratio(Kind::Flockerd, kind), bound)
            }
        }
    }

    /// Shows the line to whoever waits for the run.
    pub(crate) fn report(&self) {
        let cells = Kind::ALL
            .iter()
            .filter(|kind| self.samples.contains_key(kind));
        let cells: Vec<String> = cells
            .map(|kind| format!("{kind} {}", self.cell(*kind)))
            .collect();
        crate::say(&format!(
            "{} | {}: {} {}",
            self.what,
            self.figure.unit.name,
            cells.join(" | "),
            self.verdict()
        ));
    }
}

/// All rows as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| work | unit |");
    for kind in Kind::ALL {
        // Writing to a string cannot fail.
        let _ = write!(text, " {kind} |");
    }
    text += " mark |\n| --- | --- |";
    text += &" ---: |".repeat(Kind::ALL.len());
    text += " --- |\n";
    for row in rows {
        let _ = write!(text, "| {} | {} |", row.what, row.figure.unit.name);
        for kind in Kind::ALL {
            let _ = write!(text, " {} |", row.cell(kind));
        }
        let _ = writeln!(text, " {} |", row.verdict());
    }
    text
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        value if value >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sample::Figure;

    fn row(mark: Mark) -> Row {
        let samples = [
            (Kind::HaproxySplice, vec![10.0, 20.0, 40.0]),
            (Kind::Flockerd, vec![20.0, 30.0, 80.0]),
        ];
        Row {
            what: "work".to_owned(),
            figure: Figure::new(Unit::less("us"), Some(mark)),
            samples: BTreeMap::from(samples),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let table = markdown(&[row(Mark::Of(Kind::HaproxySplice, 1.5))]);
        let line = table.lines().nth(2).expect("a line");
        assert_eq!(
            line,
            "| work | us | - | 20.0 | - | - | 30.0 (2.00) | - | - | ≤ 1.50 of HAProxy, splice: **missed**, 2.00 |"
        );
    }

    #[test]
    fn a_mark_without_a_rival_is_a_number() {
        assert_eq!(row(Mark::Is(30.0)).verdict(), "≤ 30.0: met");
        assert_eq!(row(Mark::Is(10.0)).verdict(), "≤ 10.0: **missed**, 30.0");
    }
}
