//! Who has which port of the flock.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{bindings::Binding, opening::Opening};
use crate::inventory::index::BackendName;

/// One published port and its number on the flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forward {
    pub(super) container_port: u16,
    /// Its number on the container's host.
    pub(super) host_port: u16,
    pub(super) port: u16,
}

/// What is remembered of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) backend: String,
    pub(super) forwards: Vec<Forward>,
}

/// The container that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) id: String,
    pub(super) backend: BackendName,
    /// A start is under way: it may not run yet.
    pub(super) starting: bool,
}

/// The forwarded ports by container.
#[derive(Default)]
pub(super) struct Table(Mutex<HashMap<String, Container>>);

struct Container {
    backend: BackendName,
    starting: bool,
    ports: Vec<(Forward, Option<Opening>)>,
    /// What the state store has.
    saved: Vec<Forward>,
}

impl Table {
    /// Takes up what is remembered; nothing of it is open yet.
    pub(super) fn remembered(records: impl Iterator<Item = (String, Record)>) -> Self {
        let containers = records.map(|(id, record)| {
            let mut container = Container::new(&record.backend.as_str().into());
            container.ports = record.forwards.iter().map(|port| (*port, None)).collect();
            container.saved = record.forwards;
            (id, container)
        });
        Self(Mutex::new(containers.collect()))
    }

    pub(super) fn owner(&self, port: u16) -> Option<Owner> {
        let containers = self.lock();
        let (id, container) = containers.iter().find(|(_, container)| {
            let mut ports = container.ports.iter();
            ports.any(|(forward, _)| forward.port == port)
        })?;
        Some(Owner {
            id: id.clone(),
            backend: container.backend.clone(),
            starting: container.starting,
        })
    }

    /// The forwards of a container.
    pub(super) fn forwards(&self, id: &str) -> Vec<Forward> {
        let containers = self.lock();
        let ports = containers.get(id).map(|container| &container.ports);
        ports
            .into_iter()
            .flatten()
            .map(|(forward, _)| *forward)
            .collect()
    }

    /// The containers of a backend.
    pub(super) fn on(&self, backend: &str) -> Vec<String> {
        let containers = self.lock();
        let there = containers
            .iter()
            .filter(|(_, container)| *container.backend == *backend);
        there.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn backends(&self) -> Vec<BackendName> {
        let containers = self.lock();
        let mut names: Vec<BackendName> =
            containers.values().map(|one| one.backend.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Notes whether a start is under way.
    pub(super) fn starting(&self, backend: &BackendName, id: &str, starting: bool) {
        let mut containers = self.lock();
        let container = containers
            .entry(id.to_owned())
            .or_insert_with(|| Container::new(backend));
        container.starting = starting;
        if !starting && container.ports.is_empty() && container.saved.is_empty() {
            containers.remove(id);
        }
    }

    /// Whether a port of a container is open.
    pub(super) fn is_open(&self, id: &str, binding: &Binding) -> bool {
        let containers = self.lock();
        let ports = containers.get(id).map(|container| &container.ports);
        ports
            .into_iter()
            .flatten()
            .any(|(forward, opening)| forward.is(binding) && opening.is_some())
    }

    pub(super) fn put(&self, backend: &BackendName, id: &str, forward: Forward, opening: Opening) {
        let mut containers = self.lock();
        let container = containers
            .entry(id.to_owned())
            .or_insert_with(|| Container::new(backend));
        container.ports.retain(|(known, _)| {
            (known.container_port, known.host_port) != (forward.container_port, forward.host_port)
        });
        container.ports.push((forward, Some(opening)));
    }

    /// Keeps only these ports of a container. Returns what must be closed, with those that lead elsewhere by now;
    /// they keep their number.
    pub(super) fn keep(&self, id: &str, wanted: &[Binding]) -> Vec<Opening> {
        let mut containers = self.lock();
        let Some(container) = containers.get_mut(id) else {
            return Vec::new();
        };
        let mut closing = Vec::new();
        container.ports.retain_mut(|(forward, opening)| {
            let binding = wanted.iter().find(|binding| forward.is(binding));
            let right = |opening: &mut Opening| {
                binding.is_some_and(|binding| opening.leads_to(&binding.host, binding.host_port))
            };
            if !opening.as_mut().is_some_and(right) {
                closing.extend(opening.take());
            }
            binding.is_some()
        });
        closing
    }

    /// What of a container is not remembered as it is; none when it is. The caller remembers it.
    pub(super) fn unsaved(&self, id: &str) -> Option<Record> {
        let mut containers = self.lock();
        let container = containers.get_mut(id)?;
        let forwards: Vec<Forward> = container.ports.iter().map(|(port, _)| *port).collect();
        let known = std::mem::replace(&mut container.saved, forwards.clone());
        let record = Record {
            backend: container.backend.to_string(),
            forwards,
        };
        if record.forwards.is_empty() && !container.starting {
            containers.remove(id);
        }
        (record.forwards != known).then_some(record)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Container>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container {
    fn new(backend: &BackendName) -> Self {
        Self {
            backend: backend.clone(),
            starting: false,
            ports: Vec::new(),
            saved: Vec::new(),
        }
    }
}

impl Forward {
    pub(super) fn is(&self, binding: &Binding) -> bool {
        (self.container_port, self.host_port) == (binding.container_port, binding.host_port)
    }
}
