//! How loaded the backends are: what the index knows, and the creates under way that it does not know yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Proxy, Turn, runs::Fingerprint};
use crate::{
    backend::{Backend, Health},
    docker::{client::Client, create::Tie, group::Group},
    inventory::{
        Index,
        index::{BackendName, Counts, Network},
    },
    plugin::{Scene, types},
};

/// How long a create that waits for its image counts on its backend.
const WAIT: Duration = Duration::from_secs(5 * 60);

/// What is under way to each backend.
#[derive(Default)]
pub(super) struct Places {
    under_way: Arc<Mutex<Register>>,
    /// Creates that wait for their image.
    waiting: Mutex<Waiting>,
    /// Held by whoever decides, so that each sees what the last one decided.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// By create and client connection, with the time since when.
type Waiting = HashMap<(String, Arc<str>), (UnderWay, Instant)>;

/// The creates under way.
#[derive(Default)]
struct Register {
    next: u64,
    creates: BTreeMap<u64, Create>,
}

struct Create {
    backend: BackendName,
    /// A container's name; none for what is no load.
    container: Option<String>,
    group: Option<Group>,
    /// What it refers to.
    ties: Vec<Tie>,
}

/// One create under way to a backend, until this is dropped.
pub(super) struct UnderWay {
    number: u64,
    register: Arc<Mutex<Register>>,
}

impl Places {
    pub(super) fn begin(
        &self,
        backend: &Backend,
        container: Option<&str>,
        group: Option<Group>,
        ties: &[Tie],
    ) -> UnderWay {
        let mut register = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let number = register.next;
        register.next += 1;
        let create = Create {
            backend: backend.name.clone(),
            container: container.map(str::to_owned),
            group,
            ties: ties.to_vec(),
        };
        register.creates.insert(number, create);
        UnderWay {
            number,
            register: self.under_way.clone(),
        }
    }

    /// The backend to which a part of a group is under way.
    pub(super) fn home(&self, group: &str) -> Option<BackendName> {
        let register = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut creates = register.creates.values();
        let first = creates.find(|create| create.group.as_deref() == Some(group));
        first.map(|create| create.backend.clone())
    }

    /// Whether anything under way refers to a network, by its name or by its id.
    pub(super) fn names(&self, network: &Network) -> bool {
        let register = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ties = register.creates.values().flat_map(|create| &create.ties);
        let mut networks = ties.filter_map(|tie| match tie {
            Tie::Network(name) => Some(name),
            Tie::Container(_) | Tie::Volume(_) => None,
        });
        networks.any(|name| *name == network.name || network.id.starts_with(name.as_str()))
    }

    /// Lets a create that was answered 404 count on: its client pulls and comes again.
    pub(super) fn wait(&self, create: &str, client: &Client, under_way: UnderWay) {
        let key = (create.to_owned(), client.connection.clone());
        self.waiting().insert(key, (under_way, Instant::now()));
    }

    /// Ends the waiting of a create that has come again.
    pub(super) fn returned(&self, create: &Fingerprint, client: &Client) {
        let mut waiting = self.waiting();
        if !waiting.is_empty() {
            waiting.remove(&(create.get().to_owned(), client.connection.clone()));
        }
    }

    /// Ends the waiting of a client that has gone.
    pub(super) fn hung_up(&self, client: &Client) {
        self.waiting()
            .retain(|(_, connection), _| *connection != client.connection);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, since)| since.elapsed() < WAIT);
        waiting
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut register = self.register.lock().unwrap_or_else(PoisonError::into_inner);
        register.creates.remove(&self.number);
    }
}

impl Proxy {
    /// How loaded the backends are.
    pub(super) fn loads(&self) -> Loads {
        drop(self.places.waiting());
        Loads {
            index: self.inventory.index.clone(),
            under_way: self.places.under_way.clone(),
        }
    }

    /// The scene of hooks that see all backends.
    pub(super) fn scene(&self, turn: &Turn) -> Scene {
        self.loads().scene(turn.flock.backends().to_vec())
    }

    /// The scene of hooks that no call leads to: all backends as they are now.
    pub fn whole_scene(&self) -> Scene {
        self.loads()
            .scene(self.inventory.flock().backends().to_vec())
    }

    /// A backend as plugins see it.
    pub(super) fn shown(&self, backend: &Backend) -> types::Backend {
        show(backend, &self.loads().now())
    }
}

/// How loaded each backend is: what the index knows, and what is under way.
#[derive(Clone)]
pub(super) struct Loads {
    index: Arc<Index>,
    under_way: Arc<Mutex<Register>>,
}

impl Loads {
    pub(super) fn now(&self) -> HashMap<BackendName, Counts> {
        let mut counts = self.index.counts();
        let register = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for create in register.creates.values() {
            // The daemon's event may come before its answer: what the index knows already counts there.
            let counts = counts.entry(create.backend.clone()).or_default();
            match &create.container {
                Some(name) => counts.fresh += usize::from(self.index.name_owner(name).is_none()),
                None => counts.others += 1,
            }
        }
        counts
    }

    /// What the imports show: these backends, made only when a plugin looks.
    pub(super) fn scene(self, backends: Vec<Arc<Backend>>) -> Scene {
        let shown = move || {
            let counts = self.now();
            backends
                .iter()
                .map(|backend| show(backend, &counts))
                .collect()
        };
        Scene {
            backends: Arc::new(shown),
            body: None,
        }
    }
}

fn show(backend: &Backend, counts: &HashMap<BackendName, Counts>) -> types::Backend {
    let status = backend.status();
    let counts = counts.get(&backend.name).copied().unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    types::Backend {
        name: backend.name.to_string(),
        address: backend.address.to_string(),
        labels: backend.labels.clone(),
        health: match status.health {
            Health::Unknown => types::Health::Unknown,
            Health::Up => types::Health::Up,
            Health::Down => types::Health::Down,
        },
        running: number(counts.running),
        containers: number(counts.total),
        placing: number(counts.fresh),
        cpus: status.engine.as_ref().map_or(0, |engine| engine.cpus),
        memory: status.engine.as_ref().map_or(0, |engine| engine.memory),
    }
}
