//! The containers of all backends in one table, with sets of small numbers that lead into it.
//!
//! A flock may have a million of them: an entry is 64 bytes and a name, and what few have (a group) is kept elsewhere.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
};

use hashbrown::HashTable;
use slab::Slab;

use super::{
    BackendName, Counts, Located, Lookup, Stage,
    id::{self, Id},
};

/// The number of a container in the table, or of a backend.
pub(super) type Number = u32;

#[derive(Default)]
pub(super) struct Containers {
    table: Slab<Container>,
    /// By the hash of the id and by that of the name, which stands beside the number, so that growing reads nothing else.
    called: HashTable<(u32, Number)>,
    /// By the beginning of the id, so that a prefix is a range: eight digits, then the number.
    short: BTreeSet<u64>,
    /// By backend.
    owned: BTreeSet<(Number, Number)>,
    owners: Slab<Owner>,
    numbers: HashMap<BackendName, Number>,
    hasher: RandomState,
}

struct Container {
    id: Id,
    name: Option<Box<str>>,
    owner: Number,
    phase: Phase,
}

/// A container of the table.
pub(super) struct Known<'a> {
    pub(super) number: Number,
    pub(super) backend: &'a BackendName,
    pub(super) name: Option<&'a str>,
    pub(super) phase: Phase,
}

struct Owner {
    name: BackendName,
    counts: Counts,
}

/// How far a container has come, without the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Counts as one that is about to run.
    Fresh,
    Created,
    Running,
    Stopped,
}

impl From<Stage> for Phase {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Created(_) => Self::Created,
            Stage::Running => Self::Running,
            Stage::Stopped => Self::Stopped,
        }
    }
}

impl Containers {
    /// Finds containers by full id, exact name or id prefix, in this order, as a daemon does.
    pub(super) fn find(&self, reference: &str, backend: Option<&str>) -> Lookup {
        let here = |number: &Number| backend.is_none_or(|name| *self.owner(*number).name == *name);
        if let Some(number) = self.number(reference).filter(here) {
            return Lookup::Found(self.located(number));
        }
        let named = self.named(reference).filter(here);
        let mut named: Vec<Located> = named.map(|number| self.located(number)).collect();
        match named.len() {
            0 => self.prefixed(reference, here),
            1 => Lookup::Found(named.remove(0)),
            _ => {
                named.sort_by(|a, b| a.backend.cmp(&b.backend));
                Lookup::SameName(named)
            }
        }
    }

    fn prefixed(&self, prefix: &str, here: impl Fn(&Number) -> bool) -> Lookup {
        if prefix.is_empty() {
            return Lookup::Missing;
        }
        let first = pack(id::short(prefix, 0), Number::MIN);
        let last = pack(id::short(prefix, 15), Number::MAX);
        let range = self.short.range(first..).take_while(|key| **key <= last);
        let numbers = range.map(|key| *key as Number);
        let located = numbers.filter(here).map(|number| self.located(number));
        let mut matching = located.filter(|located| located.id.starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some(located), None) => Lookup::Found(located),
            (Some(_), Some(_)) => Lookup::SamePrefix(2),
            (None, _) => Lookup::Missing,
        }
    }

    /// The first container of a name.
    pub(super) fn first_named(&self, name: &str) -> Option<Located> {
        self.named(name).min().map(|number| self.located(number))
    }

    pub(super) fn known(&self, id: &str) -> Option<Known<'_>> {
        let number = self.number(id)?;
        let container = &self.table[number as usize];
        Some(Known {
            number,
            backend: &self.owner(number).name,
            name: container.name.as_deref(),
            phase: container.phase,
        })
    }

    /// Puts in a container whose id is new; returns its number.
    pub(super) fn insert(
        &mut self,
        backend: &BackendName,
        id: &str,
        name: Option<&str>,
        phase: Phase,
    ) -> Number {
        let owner = self.number_of(backend);
        let number = self.table.insert(Container {
            id: id.into(),
            name: name.map(Into::into),
            owner,
            phase,
        }) as Number;
        for called in name.into_iter().chain([id]) {
            self.call(called, number);
        }
        self.short.insert(pack(id::short(id, 0), number));
        self.owned.insert((owner, number));
        self.owners[owner as usize].counts.enter(phase);
        number
    }

    /// Takes out a container; returns the number that it had, its backend and its phase.
    pub(super) fn remove(&mut self, id: &str) -> Option<(Number, BackendName, Phase)> {
        let number = self.number(id)?;
        let container = self.table.remove(number as usize);
        for called in container.name.as_deref().into_iter().chain([id]) {
            self.uncall(called, number);
        }
        self.short.remove(&pack(id::short(id, 0), number));
        self.owned.remove(&(container.owner, number));
        let owner = &mut self.owners[container.owner as usize];
        owner.counts.leave(container.phase);
        Some((number, owner.name.clone(), container.phase))
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) {
        let Some(number) = self.number(id) else {
            return;
        };
        let known = self.table[number as usize].name.replace(name.into());
        if let Some(known) = known {
            self.uncall(&known, number);
        }
        self.call(name, number);
    }

    pub(super) fn enter(&mut self, id: &str, phase: Phase) {
        if let Some(number) = self.number(id) {
            let container = &mut self.table[number as usize];
            let counts = &mut self.owners[container.owner as usize].counts;
            counts.leave(container.phase);
            counts.enter(phase);
            container.phase = phase;
        }
    }

    /// How many each backend has.
    pub(super) fn counts(&self) -> HashMap<BackendName, Counts> {
        let owners = self.owners.iter();
        owners
            .map(|(_, owner)| (owner.name.clone(), owner.counts))
            .collect()
    }

    pub(super) fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.numbers.keys()
    }

    /// The numbers of a backend's containers.
    pub(super) fn of(&self, backend: &BackendName) -> Vec<Number> {
        let Some(&owner) = self.numbers.get(backend) else {
            return Vec::new();
        };
        let range = self
            .owned
            .range((owner, Number::MIN)..=(owner, Number::MAX));
        range.map(|(_, number)| *number).collect()
    }

    /// The id of a container, if the backend has one of this number.
    pub(super) fn id(&self, number: Number, backend: &BackendName) -> Option<&Id> {
        let container = self.table.get(number as usize)?;
        (self.owners[container.owner as usize].name == *backend).then_some(&container.id)
    }

    /// Forgets a backend that has no containers.
    pub(super) fn forget(&mut self, backend: &BackendName) {
        if self.of(backend).is_empty()
            && let Some(owner) = self.numbers.remove(backend)
        {
            self.owners.remove(owner as usize);
        }
    }

    /// All whose id or name has this hash.
    fn called(&self, text: &str) -> impl Iterator<Item = Number> {
        let hash = self.hash(text);
        let alike = self.called.iter_hash(spread(hash));
        alike.filter_map(move |(own, number)| (*own == hash).then_some(*number))
    }

    fn call(&mut self, text: &str, number: Number) {
        let hash = self.hash(text);
        self.called
            .insert_unique(spread(hash), (hash, number), |(hash, _)| spread(*hash));
    }

    fn uncall(&mut self, text: &str, number: Number) {
        let hash = self.hash(text);
        let called = |entry: &(u32, Number)| *entry == (hash, number);
        if let Ok(entry) = self.called.find_entry(spread(hash), called) {
            entry.remove();
        }
    }

    fn number(&self, id: &str) -> Option<Number> {
        self.called(id)
            .find(|number| self.table[*number as usize].id.is(id))
    }

    fn named(&self, name: &str) -> impl Iterator<Item = Number> {
        self.called(name)
            .filter(move |number| self.table[*number as usize].name.as_deref() == Some(name))
    }

    fn located(&self, number: Number) -> Located {
        Located {
            backend: self.owner(number).name.clone(),
            id: self.table[number as usize].id.text(),
        }
    }

    fn owner(&self, number: Number) -> &Owner {
        &self.owners[self.table[number as usize].owner as usize]
    }

    fn number_of(&mut self, backend: &BackendName) -> Number {
        if let Some(number) = self.numbers.get(backend) {
            return *number;
        }
        let number = self.owners.insert(Owner {
            name: backend.clone(),
            counts: Counts::default(),
        }) as Number;
        self.numbers.insert(backend.clone(), number);
        number
    }

    fn hash(&self, text: &str) -> u32 {
        self.hasher.hash_one(text) as u32
    }
}

fn pack(short: u32, number: Number) -> u64 {
    u64::from(short) << 32 | u64::from(number)
}

/// A hash with all its bits used, as the table wants it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Counts {
    fn enter(&mut self, phase: Phase) {
        self.total += 1;
        self.running += usize::from(phase == Phase::Running);
        self.fresh += usize::from(phase == Phase::Fresh);
    }

    fn leave(&mut self, phase: Phase) {
        self.total -= 1;
        self.running -= usize::from(phase == Phase::Running);
        self.fresh -= usize::from(phase == Phase::Fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_of_the_cache() {
        assert_eq!(size_of::<Container>(), 64);
    }
}
