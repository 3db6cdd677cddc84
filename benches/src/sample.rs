//! What is measured, round by round, and what comes of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::Cost,
};

/// A unit, and which end of it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) more_is_better: bool,
}

impl Unit {
    pub(crate) const fn more(name: &'static str) -> Self {
        Self {
            name,
            more_is_better: true,
        }
    }

    pub(crate) const fn less(name: &'static str) -> Self {
        Self {
            name,
            more_is_better: false,
        }
    }
}

/// What flockerd is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// At least, or at most, so many times what another has.
    Of(Kind, f64),
    /// At least, or at most, so much.
    Is(f64),
}

/// A kind of figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) unit: Unit,
    pub(crate) mark: Option<Mark>,
}

impl Figure {
    pub(crate) const fn new(unit: Unit, mark: Option<Mark>) -> Self {
        Self { unit, mark }
    }
}

/// What one round of one contestant gave: a value for each figure, none where it has none.
pub(crate) type Sample = Vec<Option<f64>>;

/// A line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: Figure,
    /// By contestant, a value for each round.
    pub(crate) samples: BTreeMap<Kind, Vec<f64>>,
}

impl Row {
    /// A line of flockerd's alone.
    pub(crate) fn own(what: impl Into<String>, figure: Figure, values: Vec<f64>) -> Self {
        Self {
            what: what.into(),
            figure,
            samples: BTreeMap::from([(Kind::Flockerd, values)]),
        }
    }
}

/// What has turns: a contestant that runs, or the kind of one that is started in its turn.
pub(crate) trait Compared {
    fn kind(&self) -> Kind;
}

impl Compared for Contestant {
    fn kind(&self) -> Kind {
        self.kind
    }
}

impl Compared for Kind {
    fn kind(&self) -> Kind {
        *self
    }
}

/// Measures all contestants in turn, round after round, each round beginning with another one.
///
/// # Errors
/// The first error of any: there are no figures of work that was not done.
pub(crate) fn interleave<C: Compared>(
    setup: &Setup,
    what: &str,
    figures: &[Figure],
    contestants: &[C],
    measure: impl Fn(&C) -> Result<Sample>,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = figures
        .iter()
        .map(|figure| Row {
            what: what.to_owned(),
            figure: figure.clone(),
            samples: BTreeMap::new(),
        })
        .collect();
    for round in 0..setup.rounds {
        for turn in 0..contestants.len() {
            let contestant = &contestants[(round + turn) % contestants.len()];
            let sample = measure(contestant)
                .with_context(|| format!("{what}: {}, round {round}", contestant.kind()))?;
            for (row, value) in rows.iter_mut().zip(sample) {
                row.samples
                    .entry(contestant.kind())
                    .or_default()
                    .extend(value);
            }
        }
    }
    rows.iter().for_each(Row::report);
    Ok(rows)
}

/// CPU time for each of so many, none where nobody is in between.
pub(crate) fn cpu_each(
    contestant: &Contestant,
    cost: &Cost,
    count: f64,
    scale: f64,
) -> Option<f64> {
    contestant
        .process()
        .map(|_| cost.cpu.as_secs_f64() * scale / count)
}

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied()?;
    match sorted.len() % 2 {
        1 => Some(upper),
        _ => Some((sorted[middle - 1] + upper) / 2.0),
    }
}

/// The value that so many of a thousand do not exceed.
pub(crate) fn percentile(sorted: &[f64], thousandth: usize) -> Option<f64> {
    let rank = (sorted.len() * thousandth).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found_in_any_order() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 2.0, 3.0], Some(2.5)),
        ] {
            assert_eq!(median(values), expected, "{values:?}");
        }
        let thousand: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&thousand, 999), Some(999.0));
        assert_eq!(percentile(&thousand[..1], 500), Some(1.0));
    }
}
