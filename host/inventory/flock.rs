//! A snapshot of the backends, ordered by name.

use std::sync::Arc;

use crate::{
    backend::{Backend, Engine, Health},
    docker::version::Range,
};

/// The backends of one moment.
#[derive(Default)]
pub struct Flock {
    backends: Vec<Arc<Backend>>,
}

impl Flock {
    pub(super) fn new(mut backends: Vec<Arc<Backend>>) -> Self {
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        Self { backends }
    }

    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|backend| &*backend.name == name)
    }

    /// Finds a backend by its name or its address in any spelling.
    pub fn find(&self, name_or_address: &str) -> Option<&Arc<Backend>> {
        self.get(name_or_address).or_else(|| {
            let address = name_or_address.parse().ok()?;
            self.backends
                .iter()
                .find(|backend| backend.address == address)
        })
    }

    /// Those that are not known to be down.
    pub fn usable(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends
            .iter()
            .filter(|backend| backend.status().health != Health::Down)
    }

    /// What all daemons that ever answered understand; [`Range::UNKNOWN`] before any has.
    pub fn versions(&self) -> Range {
        self.known_versions().unwrap_or(Range::UNKNOWN)
    }

    /// The same, none before any daemon has answered. One that has nothing in common with those before it by name does
    /// not count.
    pub fn known_versions(&self) -> Option<Range> {
        let engines = self
            .backends
            .iter()
            .filter_map(|backend| backend.status().engine.clone());
        engines
            .map(|engine| engine.versions)
            .reduce(|flock, engine| {
                let both = flock.and(engine);
                if both.min <= both.max { both } else { flock }
            })
    }

    /// The oldest engine that ever answered: what it can do, all can.
    pub fn oldest_engine(&self) -> Option<Arc<Engine>> {
        let engines = self
            .backends
            .iter()
            .filter_map(|backend| backend.status().engine.clone());
        engines.min_by_key(|engine| engine.versions.max)
    }

    /// The version of the oldest engine, for the `Server` header.
    pub fn engine_version(&self) -> String {
        self.oldest_engine().map_or_else(
            || env!("CARGO_PKG_VERSION").to_owned(),
            |engine| engine.version.clone(),
        )
    }
}
