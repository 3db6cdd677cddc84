//! A snapshot of the backends, ordered by name.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue, header};

use crate::{
    backend::{Backend, Engine, Health},
    docker::version::Range,
};

/// The backends of one moment.
pub struct Flock {
    backends: Vec<Arc<Backend>>,
    /// Counts the changes of the backends' engines.
    engines: Arc<AtomicU64>,
    common: ArcSwap<Common>,
}

/// What every call wants to know of all engines together, worked out when one of them has changed.
#[derive(Clone)]
pub struct Common {
    at: u64,
    /// None before any daemon has answered.
    versions: Option<Range>,
    oldest: Option<Arc<Engine>>,
    /// The headers by which a daemon makes itself known.
    pub identity: [(HeaderName, HeaderValue); 4],
}

impl Flock {
    /// A snapshot of backends that all count in `engines` when theirs change.
    pub(super) fn new(mut backends: Vec<Arc<Backend>>, engines: Arc<AtomicU64>) -> Self {
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        let at = engines.load(Ordering::Acquire);
        Self {
            common: ArcSwap::from_pointee(Common::of(&backends, at)),
            backends,
            engines,
        }
    }

    /// What the engines have in common now.
    pub fn common(&self) -> Arc<Common> {
        let common = self.common.load();
        let now = self.engines.load(Ordering::Acquire);
        if common.at == now {
            return Arc::clone(&common);
        }
        let common = Arc::new(Common::of(&self.backends, now));
        self.common.store(common.clone());
        common
    }

    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Backend>> {
        let found = self
            .backends
            .binary_search_by(|backend| (*backend.name).cmp(name));
        found.ok().map(|at| &self.backends[at])
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
        self.common().versions
    }

    /// The oldest engine that ever answered: what it can do, all can.
    pub fn oldest_engine(&self) -> Option<Arc<Engine>> {
        self.common().oldest.clone()
    }

    /// The version of the oldest engine.
    pub fn engine_version(&self) -> String {
        self.common().engine_version().to_owned()
    }
}

impl Default for Flock {
    fn default() -> Self {
        Self::new(Vec::new(), Arc::default())
    }
}

impl Common {
    fn of(backends: &[Arc<Backend>], at: u64) -> Self {
        let engines = backends.iter();
        let engines: Vec<_> = engines
            .filter_map(|backend| backend.status().engine.clone())
            .collect();
        let mut common = Self {
            at,
            versions: in_common(&engines),
            oldest: engines.into_iter().min_by_key(|engine| engine.versions.max),
            identity: IDENTITY,
        };
        let text =
            |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let newest = common.versions.unwrap_or(Range::UNKNOWN).max;
        common.identity[0].1 = text(newest.to_string());
        common.identity[1].1 = text(format!("Docker/{} (linux)", common.engine_version()));
        common
    }

    fn engine_version(&self) -> &str {
        let oldest = self.oldest.as_ref();
        oldest.map_or(env!("CARGO_PKG_VERSION"), |engine| &engine.version)
    }
}

/// The headers of every answer of a daemon; the first two depend on the engines.
const IDENTITY: [(HeaderName, HeaderValue); 4] = [
    (
        HeaderName::from_static("api-version"),
        HeaderValue::from_static(""),
    ),
    (header::SERVER, HeaderValue::from_static("")),
    (
        HeaderName::from_static("docker-experimental"),
        HeaderValue::from_static("false"),
    ),
    (
        HeaderName::from_static("ostype"),
        HeaderValue::from_static("linux"),
    ),
];

fn in_common(engines: &[Arc<Engine>]) -> Option<Range> {
    let versions = engines.iter().map(|engine| engine.versions);
    versions.reduce(|flock, engine| {
        let both = flock.and(engine);
        if both.min <= both.max { both } else { flock }
    })
}
