//! What lives where: containers, execs, networks and volumes by reference, without asking a backend.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use super::listing::Listing;
use crate::docker::event::Event;

/// How long a created container counts as one that is about to run.
const FRESH: Duration = Duration::from_secs(60);

/// How many execs are remembered before old ones are forgotten, and how long they are kept then.
const EXECS_MAX: usize = 10_000;
const EXEC_LIFE: Duration = Duration::from_secs(3600);

/// The name of a backend, shared.
pub type BackendName = Arc<str>;

/// What lives where. Entries of a backend that is down stay: its objects are unreachable, not gone.
#[derive(Default)]
pub struct Index(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    /// By full id; ordered, so that a prefix is a range.
    containers: BTreeMap<String, Container>,
    /// How many each backend has, running and in all.
    counts: HashMap<BackendName, Counts>,
    /// Ids of containers in the order in which they were seen created, the last minute's.
    fresh: VecDeque<(Instant, String)>,
    /// Ids by name; more than one when containers were created behind the flock's back.
    names: HashMap<String, Vec<String>>,
    /// Execs made through the flock; others are asked for when somebody names them.
    execs: HashMap<String, (BackendName, Instant)>,
    /// Backends by network name and id, and by volume name.
    networks: BTreeMap<String, Vec<BackendName>>,
    volumes: BTreeMap<String, Vec<BackendName>>,
}

struct Container {
    backend: BackendName,
    name: Option<String>,
    stage: Stage,
}

/// How far a container has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Never started; seen at this time.
    Created(Instant),
    Running,
    Stopped,
}

/// A container that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub backend: BackendName,
    pub id: String,
}

/// What a reference leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Located),
    /// Several containers have this name.
    SameName(Vec<Located>),
    /// Several ids begin so.
    SamePrefix,
    Missing,
}

/// How many containers a backend has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: usize,
    pub total: usize,
    /// Created within the last minute and not started yet.
    pub fresh: usize,
}

impl Index {
    /// Finds a container by full id, exact name or unambiguous id prefix, in this order; on one backend if it is named.
    pub fn container(&self, reference: &str, backend: Option<&str>) -> Lookup {
        self.read().container(reference, backend)
    }

    /// The owner of a container name.
    pub fn name_owner(&self, name: &str) -> Option<Located> {
        let entries = self.read();
        entries.named(name, None).into_iter().next()
    }

    /// The backend of an exec.
    pub fn exec(&self, id: &str) -> Option<BackendName> {
        self.read()
            .execs
            .get(id)
            .map(|(backend, _)| backend.clone())
    }

    /// The backends that have a network of this name or id.
    pub fn network(&self, reference: &str) -> Vec<BackendName> {
        self.read()
            .networks
            .get(reference)
            .cloned()
            .unwrap_or_default()
    }

    /// The backends that have a volume of this name.
    pub fn volume(&self, name: &str) -> Vec<BackendName> {
        self.read().volumes.get(name).cloned().unwrap_or_default()
    }

    /// How many containers each backend has.
    pub fn counts(&self) -> HashMap<BackendName, Counts> {
        let entries = self.read();
        let mut counts = entries.counts.clone();
        let fresh = entries
            .fresh
            .iter()
            .filter_map(|(_, id)| entries.containers.get(id));
        for container in fresh.filter(|container| container.stage.is_fresh()) {
            counts.entry(container.backend.clone()).or_default().fresh += 1;
        }
        counts
    }

    /// Takes everything a backend has from its lists.
    pub fn replace(&self, backend: &BackendName, listing: Listing) {
        let mut guard = self.write();
        let entries = &mut *guard;
        entries.forget_objects(backend);
        for (id, name, stage) in listing.containers {
            entries.insert(backend, &id, name.as_deref(), stage);
        }
        for reference in listing.networks {
            add(&mut entries.networks, &reference, backend);
        }
        for name in listing.volumes {
            add(&mut entries.volumes, &name, backend);
        }
    }

    /// Forgets the backends that left the flock.
    pub fn keep_only(&self, stays: impl Fn(&str) -> bool) {
        let mut entries = self.write();
        let gone: Vec<BackendName> = entries
            .backends()
            .into_iter()
            .filter(|name| !stays(name))
            .collect();
        for backend in gone {
            entries.forget_objects(&backend);
            entries.execs.retain(|_, (owner, _)| *owner != backend);
        }
    }

    /// Notes a container that was just created.
    pub fn created(&self, backend: &BackendName, id: &str, name: Option<&str>) {
        self.write()
            .insert(backend, id, name, Stage::Created(Instant::now()));
    }

    /// Notes a container that was found by asking.
    pub fn found(&self, backend: &BackendName, id: &str, name: Option<&str>, stage: Stage) {
        self.write().insert(backend, id, name, stage);
    }

    /// Notes that a container is gone.
    pub fn removed(&self, id: &str) {
        self.write().remove(id);
    }

    /// Notes a container's new name.
    pub fn renamed(&self, id: &str, name: &str) {
        self.write().rename(id, name);
    }

    /// Notes an exec. When there are many, those older than an hour are forgotten.
    pub fn exec_created(&self, backend: &BackendName, exec: &str) {
        let execs = &mut self.write().execs;
        if execs.len() >= EXECS_MAX {
            execs.retain(|_, (_, since)| since.elapsed() < EXEC_LIFE);
        }
        execs.insert(exec.to_owned(), (backend.clone(), Instant::now()));
    }

    /// Follows an event of a backend.
    pub fn follow(&self, backend: &BackendName, event: &Event) {
        let mut entries = self.write();
        let (id, name) = (&event.actor.id, event.actor.attributes.name.as_deref());
        match event.kind.as_str() {
            "container" => entries.follow_container(backend, event),
            "network" if event.verb() == "create" => {
                add(&mut entries.networks, id, backend);
                add(&mut entries.networks, name.unwrap_or(id), backend);
            }
            "network" if event.verb() == "destroy" => {
                take(&mut entries.networks, id, backend);
                take(&mut entries.networks, name.unwrap_or(id), backend);
            }
            "volume" if event.verb() == "create" => add(&mut entries.volumes, id, backend),
            "volume" if event.verb() == "destroy" => take(&mut entries.volumes, id, backend),
            _ => {}
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn container(&self, reference: &str, backend: Option<&str>) -> Lookup {
        let here = |owner: &BackendName| backend.is_none_or(|name| **owner == *name);
        if let Some(container) = self
            .containers
            .get(reference)
            .filter(|container| here(&container.backend))
        {
            return Lookup::Found(container.located(reference));
        }
        let mut named = self.named(reference, backend);
        match named.len() {
            0 => self.prefixed(reference, here),
            1 => Lookup::Found(named.remove(0)),
            _ => Lookup::SameName(named),
        }
    }

    fn named(&self, name: &str, backend: Option<&str>) -> Vec<Located> {
        let ids = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let located = ids
            .iter()
            .filter_map(|id| Some(self.containers.get(id)?.located(id)));
        located
            .filter(|located| backend.is_none_or(|name| *located.backend == *name))
            .collect()
    }

    fn prefixed(&self, prefix: &str, here: impl Fn(&BackendName) -> bool) -> Lookup {
        if prefix.is_empty() {
            return Lookup::Missing;
        }
        let range = self.containers.range(prefix.to_owned()..);
        let mut matching = range
            .take_while(|(id, _)| id.starts_with(prefix))
            .filter(|(_, container)| here(&container.backend));
        match (matching.next(), matching.next()) {
            (Some((id, container)), None) => Lookup::Found(container.located(id)),
            (Some(_), Some(_)) => Lookup::SamePrefix,
            (None, _) => Lookup::Missing,
        }
    }

    fn insert(&mut self, backend: &BackendName, id: &str, name: Option<&str>, stage: Stage) {
        let known = self.remove(id);
        // An event may come after the answer it tells of: what is known to run does not go back to "created".
        let stage = match (&known, stage) {
            (Some(known), Stage::Created(_)) => known.stage,
            _ => stage,
        };
        if let (None, Stage::Created(since)) = (&known, stage) {
            while self
                .fresh
                .front()
                .is_some_and(|(since, _)| since.elapsed() > FRESH)
            {
                self.fresh.pop_front();
            }
            self.fresh.push_back((since, id.to_owned()));
        }
        self.add(
            id,
            Container {
                backend: backend.clone(),
                name: name.map(str::to_owned),
                stage,
            },
        );
    }

    fn add(&mut self, id: &str, container: Container) {
        if let Some(name) = &container.name {
            self.names
                .entry(name.clone())
                .or_default()
                .push(id.to_owned());
        }
        let counts = self.counts.entry(container.backend.clone()).or_default();
        counts.total += 1;
        counts.running += usize::from(container.stage == Stage::Running);
        self.containers.insert(id.to_owned(), container);
    }

    fn remove(&mut self, id: &str) -> Option<Container> {
        let container = self.containers.remove(id)?;
        if let Some(name) = &container.name {
            self.release(name, id);
        }
        if let Some(counts) = self.counts.get_mut(&container.backend) {
            counts.total -= 1;
            counts.running -= usize::from(container.stage == Stage::Running);
        }
        Some(container)
    }

    fn rename(&mut self, id: &str, name: &str) {
        if let Some(mut container) = self.remove(id) {
            container.name = Some(name.to_owned());
            self.add(id, container);
        }
    }

    fn release(&mut self, name: &str, id: &str) {
        if let Some(ids) = self.names.get_mut(name) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.names.remove(name);
            }
        }
    }

    fn follow_container(&mut self, backend: &BackendName, event: &Event) {
        let (id, attributes) = (&event.actor.id, &event.actor.attributes);
        let name = attributes.name.as_deref();
        match event.verb() {
            "create" => self.insert(backend, id, name, Stage::Created(Instant::now())),
            "rename" => self.rename(id, name.unwrap_or_default()),
            "start" => self.enter(id, Stage::Running),
            "die" => self.enter(id, Stage::Stopped),
            "destroy" => drop(self.remove(id)),
            _ => {}
        }
    }

    fn enter(&mut self, id: &str, stage: Stage) {
        if let Some(mut container) = self.remove(id) {
            container.stage = stage;
            self.add(id, container);
        }
    }

    fn backends(&self) -> Vec<BackendName> {
        let lists = self
            .networks
            .values()
            .chain(self.volumes.values())
            .flatten();
        let mut names: Vec<BackendName> = lists
            .chain(self.containers.values().map(|c| &c.backend))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn forget_objects(&mut self, backend: &BackendName) {
        let owned = self
            .containers
            .iter()
            .filter(|(_, container)| container.backend == *backend);
        let ids: Vec<String> = owned.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.remove(&id);
        }
        for owners in [&mut self.networks, &mut self.volumes] {
            owners
                .values_mut()
                .for_each(|backends| backends.retain(|name| name != backend));
            owners.retain(|_, backends| !backends.is_empty());
        }
    }
}

impl Container {
    fn located(&self, id: &str) -> Located {
        Located {
            backend: self.backend.clone(),
            id: id.to_owned(),
        }
    }
}

impl Stage {
    fn is_fresh(self) -> bool {
        matches!(self, Self::Created(since) if since.elapsed() < FRESH)
    }
}

fn add(owners: &mut BTreeMap<String, Vec<BackendName>>, reference: &str, backend: &BackendName) {
    let backends = owners.entry(reference.to_owned()).or_default();
    if !backends.contains(backend) {
        backends.push(backend.clone());
        backends.sort();
    }
}

fn take(owners: &mut BTreeMap<String, Vec<BackendName>>, reference: &str, backend: &BackendName) {
    if let Some(backends) = owners.get_mut(reference) {
        backends.retain(|name| name != backend);
        if backends.is_empty() {
            owners.remove(reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let index = Index::default();
        let (one, two): (BackendName, BackendName) = ("node1".into(), "node2".into());
        index.found(&one, "aaa1", Some("web"), Stage::Running);
        index.found(&two, "aaa2", Some("db"), Stage::Stopped);
        index.found(&two, "bbb1", Some("aaa1x"), Stage::Running);
        index.found(&one, "ccc1", Some("twin"), Stage::Running);
        index.found(&two, "ccc2", Some("twin"), Stage::Running);
        index
    }

    fn found(index: &Index, reference: &str, backend: Option<&str>) -> Option<String> {
        match index.container(reference, backend) {
            Lookup::Found(located) => Some(located.id),
            _ => None,
        }
    }

    #[test]
    fn containers_are_found_as_a_daemon_finds_them() {
        let index = index();
        for (reference, backend, expected) in [
            ("aaa1", None, Some("aaa1")),
            ("db", None, Some("aaa2")),
            ("aaa1x", None, Some("bbb1")),
            ("bb", None, Some("bbb1")),
            ("aaa", None, None),
            ("aaa", Some("node2"), Some("aaa2")),
            ("twin", Some("node2"), Some("ccc2")),
            ("web", Some("node2"), None),
            ("", None, None),
            ("nothing", None, None),
        ] {
            assert_eq!(
                found(&index, reference, backend).as_deref(),
                expected,
                "{reference} {backend:?}"
            );
        }
        assert_eq!(index.container("aaa", None), Lookup::SamePrefix);
        assert!(matches!(index.container("twin", None), Lookup::SameName(both) if both.len() == 2));
    }

    #[test]
    fn events_keep_the_index_true() {
        let index = Index::default();
        let node: BackendName = "node1".into();
        let event = |action: &str, name: &str| Event {
            kind: "container".into(),
            action: action.into(),
            actor: serde_json::from_str(&format!(
                r#"{{"ID":"abc","Attributes":{{"name":"{name}"}}}}"#
            ))
            .unwrap(),
            time_nano: 0,
        };
        let counts = || index.counts().get(&node).copied().unwrap_or_default();
        index.follow(&node, &event("create", "x"));
        assert_eq!(
            (counts().total, counts().running, counts().fresh),
            (1, 0, 1)
        );
        index.follow(&node, &event("start", "x"));
        index.created(&node, "abc", Some("x"));
        assert_eq!(
            (counts().total, counts().running, counts().fresh),
            (1, 1, 0)
        );
        index.exec_created(&node, "e1");
        assert_eq!(index.exec("e1").as_deref(), Some("node1"));
        index.follow(&node, &event("rename", "y"));
        assert_eq!(found(&index, "x", None), None);
        assert_eq!(found(&index, "y", None).as_deref(), Some("abc"));
        index.follow(&node, &event("destroy", "y"));
        assert_eq!(counts(), Counts::default());
    }
}
