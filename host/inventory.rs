//! The live set of backends, and the index of what lives where.
//!
//! Sources feed it: the configuration once, `list` hooks on an interval. Every backend has one watcher, which probes
//! it and keeps the index true by its event stream.

pub mod flock;
mod herald;
pub mod index;
mod listing;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    address::Address,
    backend::Backend,
    error::Error,
    plugin::{Plugins, What},
    shutdown::Shutdown,
};

pub use flock::Flock;
use herald::Herald;
use index::BackendName;
pub use index::Index;
use index::Stale;

/// One backend as a source lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub address: Address,
    pub labels: Vec<(String, String)>,
}

/// How backends are watched.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a list, a probe or a new connection may take.
    pub timeout: Duration,
    /// The time between two probes.
    pub probe_interval: Duration,
}

/// What has changed, for whoever follows it. The index knows already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A backend is up, and everything it has was listed.
    Listed(BackendName),
    /// A backend left the flock.
    Left(BackendName),
    /// A container was started, ended or removed, or its networks are others.
    Container { backend: BackendName, id: String },
}

/// The backends and what lives on them.
pub struct Inventory {
    pub index: Arc<Index>,
    pub timing: Timing,
    flock: ArcSwap<Flock>,
    /// Counts the changes of the backends' engines.
    engines: Arc<AtomicU64>,
    sources: Mutex<Sources>,
    shutdown: Shutdown,
    settled: AtomicBool,
    herald: Herald,
}

/// What each source listed last, and the watchers that follow from it.
#[derive(Default)]
struct Sources {
    entries: BTreeMap<String, Vec<Entry>>,
    watched: BTreeMap<String, (Entry, CancellationToken)>,
}

impl Inventory {
    /// The plugins hear what happens.
    pub fn new(timing: Timing, plugins: Arc<ArcSwap<Plugins>>, shutdown: Shutdown) -> Self {
        Self {
            index: Arc::default(),
            timing,
            flock: ArcSwap::default(),
            engines: Arc::default(),
            sources: Mutex::default(),
            shutdown,
            settled: AtomicBool::new(false),
            herald: Herald::new(plugins),
        }
    }

    /// Follows what changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.herald.changes()
    }

    /// The backends as they are now. A call takes this once and keeps it to its end.
    pub fn flock(&self) -> Arc<Flock> {
        self.flock.load_full()
    }

    /// Takes what a source lists now: new backends are watched, those that no source lists any more leave the flock.
    /// Of two entries with one name the first source's stands.
    pub fn feed(&self, source: &str, entries: Vec<Entry>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.entries.insert(source.to_owned(), entries);
        let wanted = sources.wanted();
        sources.watched.retain(|name, (entry, watcher)| {
            let stays = wanted.get(name) == Some(entry);
            if !stays {
                watcher.cancel();
            }
            if !wanted.contains_key(name) {
                self.herald.tell(Change::Left(name.as_str().into()));
                self.herald.backend(&name.as_str().into(), What::Left);
            }
            stays
        });
        self.index.keep_only(|name| wanted.contains_key(name));
        let known = self.flock();
        let backends =
            wanted
                .into_values()
                .map(|entry| match sources.watched.contains_key(&entry.name) {
                    true => known
                        .get(&entry.name)
                        .cloned()
                        .unwrap_or_else(|| self.watch(entry, &mut sources)),
                    false => self.watch(entry, &mut sources),
                });
        let flock = Flock::new(backends.collect(), self.engines.clone());
        self.flock.store(Arc::new(flock));
    }

    /// Begins to watch a backend.
    fn watch(&self, entry: Entry, sources: &mut Sources) -> Arc<Backend> {
        tracing::info!(backend = entry.name, address = %entry.address, "backend joins the flock");
        let Entry {
            name,
            address,
            labels,
        } = entry.clone();
        let backend = Backend::new(&name, address, labels, self.timing.timeout);
        let backend = Arc::new(backend.counting(self.engines.clone()));
        self.herald.backend(&backend.name, What::Joined);
        let stop = CancellationToken::new();
        let watcher = watch::run(
            backend.clone(),
            self.index.clone(),
            self.herald.clone(),
            self.timing,
        );
        let (ended, stopped) = (self.shutdown.clone(), stop.clone());
        self.shutdown.spawn("watch", async move {
            tokio::select! {
                () = watcher => {}
                () = stopped.cancelled() => {}
                () = ended.cancelled() => {}
            }
        });
        sources.watched.insert(name, (entry, stop));
        backend
    }

    /// Reads one list of a backend again, now: what was just done there counts for the next call.
    ///
    /// # Errors
    /// When the backend does not answer.
    pub async fn refresh(&self, backend: &Backend, stale: Stale) -> Result<(), Error> {
        watch::refresh(backend, &self.index, stale, self.timing.timeout).await
    }

    /// Waits until every backend has been found up or down, or `timeout` is over.
    pub async fn settled(&self) {
        let flock = self.flock();
        let all = futures_util::future::join_all(
            flock.backends().iter().map(|backend| backend.settled()),
        );
        let _ = tokio::time::timeout(self.timing.timeout, all).await;
        self.settled.store(true, Ordering::Relaxed);
    }

    /// True when nobody has to wait for [`Inventory::settled`] any more.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }
}

impl Sources {
    /// All entries by name.
    fn wanted(&self) -> BTreeMap<String, Entry> {
        let mut wanted = BTreeMap::new();
        for entry in self.entries.values().flatten() {
            wanted
                .entry(entry.name.clone())
                .or_insert_with(|| entry.clone());
        }
        wanted
    }
}
