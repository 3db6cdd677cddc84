//! What a plugin did so far, and the rest it is given when it keeps failing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{Hook, failure::Failure};

/// How many failures in a row make a hook rest.
const PATIENCE: u32 = 5;

/// The first rest; each failure after it doubles it.
const REST: Duration = Duration::from_secs(1);

/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(60);

/// What one plugin did so far. It goes on when the plugin's file is replaced, its failures in a row do not.
#[derive(Default)]
pub(super) struct Record(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    calls: u64,
    failures: u64,
    hooks: HashMap<Hook, Streak>,
    last: Option<LastFailure>,
    shadowed: u64,
    disagreements: u64,
}

/// The failures of one hook: that another of the plugin's hooks works does not mend this one.
#[derive(Default)]
struct Streak {
    /// Failures since the last good answer.
    in_a_row: u32,
    rests_until: Option<Instant>,
}

/// A plugin's last failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    pub hook: Hook,
    pub reason: String,
    /// Where in its code, when that is known.
    pub trace: Option<String>,
    pub at: SystemTime,
}

/// What `flockerd plugin status` tells of a plugin's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: u64,
    pub failures: u64,
    /// How long it still rests.
    pub rests: Option<Duration>,
    pub last: Option<LastFailure>,
    /// How often it was asked as a shadow, and how often it would have decided otherwise.
    pub shadowed: u64,
    pub disagreements: u64,
    /// How many events it was given, and how many were dropped.
    pub events: u64,
    pub events_dropped: u64,
}

impl Record {
    /// Fails while a hook rests.
    pub(super) fn admit(&self, hook: Hook) -> Result<(), Failure> {
        let entries = self.entries();
        let streak = entries.hooks.get(&hook);
        let resting = streak.and_then(|streak| Some((streak.rests()?, streak.in_a_row)));
        match (resting, &entries.last) {
            (Some((left, failures)), Some(last)) => Err(Failure::Resting {
                reason: format!(
                    "it rests for {:.1} s after {failures} failures in a row, the last one: {}",
                    left.as_secs_f64(),
                    last.reason
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Notes how a call ended; one that a rest kept from being made is none.
    pub(super) fn note<T>(&self, hook: Hook, answer: &Result<T, Failure>) {
        if matches!(answer, Err(Failure::Resting { .. })) {
            return;
        }
        let mut entries = self.entries();
        entries.calls += 1;
        match answer {
            Err(Failure::Broken { reason, trace }) => entries.fail(hook, reason, trace.as_ref()),
            // Of what has happened nothing can be refused.
            Err(Failure::Refused { message, .. }) if hook == Hook::Event => {
                entries.fail(hook, message, None);
            }
            // A plugin that says no does its work.
            _ => drop(entries.hooks.remove(&hook)),
        }
    }

    /// How long a hook still rests.
    pub(super) fn rests(&self, hook: Hook) -> Option<Duration> {
        self.entries().hooks.get(&hook)?.rests()
    }

    /// Forgets the failures in a row: another component may do better.
    pub(super) fn forgive(&self) {
        self.entries().hooks.clear();
    }

    /// Notes what a shadow said.
    pub(super) fn shadowed(&self, agrees: bool) {
        let mut entries = self.entries();
        entries.shadowed += 1;
        entries.disagreements += u64::from(!agrees);
    }

    /// What it amounts to.
    pub(super) fn tally(&self) -> Tally {
        let entries = self.entries();
        Tally {
            calls: entries.calls,
            failures: entries.failures,
            rests: entries.rests(),
            last: entries.last.clone(),
            shadowed: entries.shadowed,
            disagreements: entries.disagreements,
            ..Tally::default()
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// How long the hook that rests longest still does.
    fn rests(&self) -> Option<Duration> {
        self.hooks.values().filter_map(Streak::rests).max()
    }

    fn fail(&mut self, hook: Hook, reason: &str, trace: Option<&String>) {
        self.failures += 1;
        self.hooks.entry(hook).or_default().fail();
        self.last = Some(LastFailure {
            hook,
            reason: reason.to_owned(),
            trace: trace.cloned(),
            at: SystemTime::now(),
        });
    }
}

impl Streak {
    fn rests(&self) -> Option<Duration> {
        let left = self.rests_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn fail(&mut self) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(beyond) = self.in_a_row.checked_sub(PATIENCE) {
            let rest = REST.saturating_mul(1 << beyond.min(6)).min(REST_MAX);
            self.rests_until = Some(Instant::now() + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(record: &Record) {
        record.note::<()>(Hook::Route, &Err(Failure::broken("it trapped")));
    }

    #[test]
    fn five_failures_in_a_row_make_a_plugin_rest_longer_and_longer() {
        let record = Record::default();
        for _ in 0..4 {
            fail(&record);
        }
        record.note(Hook::Route, &Ok(()));
        for _ in 0..4 {
            fail(&record);
            assert!(record.admit(Hook::Route).is_ok());
            record.note(Hook::Request, &Ok(()));
        }
        fail(&record);
        assert!(record.admit(Hook::Request).is_ok());
        let reason = record.admit(Hook::Route).unwrap_err().reason();
        assert!(
            reason.contains("after 5 failures in a row, the last one: it trapped"),
            "{reason}"
        );
        assert!(record.tally().rests.unwrap() <= REST);
        fail(&record);
        assert!(record.tally().rests.unwrap() > REST);
        for _ in 0..100 {
            fail(&record);
        }
        assert!(record.tally().rests.unwrap() <= REST_MAX);
        assert_eq!((record.tally().calls, record.tally().failures), (115, 110));
    }

    #[test]
    fn a_plugin_that_says_no_does_its_work() {
        let record = Record::default();
        let refusal = || Failure::Refused {
            status: http::StatusCode::FORBIDDEN,
            message: String::new(),
        };
        (0..20).for_each(|_| record.note::<()>(Hook::Route, &Err(refusal())));
        assert!(record.admit(Hook::Route).is_ok());
        assert_eq!(record.tally().failures, 0);
    }
}
