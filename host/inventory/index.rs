//! What lives where: containers, execs, networks, volumes and images by reference, without asking a backend.

mod container;
mod entries;
mod groups;
mod images;
mod lookup;
mod networks;
mod volumes;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use entries::Entries;
pub use images::{Holders, Image};
pub use lookup::{Located, Lookup, Stale};
pub use networks::Network;
pub use volumes::Volume;

use super::listing::Listing;
use crate::docker::{event::Event, group::Group};

/// How many execs are remembered before old ones are forgotten, and how long they are kept then.
const EXECS_MAX: usize = 10_000;
const EXEC_LIFE: Duration = Duration::from_secs(3600);

/// The name of a backend, shared.
pub type BackendName = Arc<str>;

/// What lives where. Entries of a backend that is down stay: its objects are unreachable, not gone.
#[derive(Default)]
pub struct Index(RwLock<Entries>);

/// How far a container has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Never started; seen at this time.
    Created(Instant),
    Running,
    Stopped,
}

/// How many containers a backend has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: usize,
    pub total: usize,
    /// Created within the last minute and not started yet.
    pub fresh: usize,
    /// Networks and volumes.
    pub others: usize,
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

    /// Finds a network by full id, exact name or unambiguous id prefix, in this order; on one backend if it is named.
    pub fn network(&self, reference: &str, backend: Option<&str>) -> Lookup<Network> {
        self.read().networks.find(reference, backend)
    }

    /// The volumes of a name, one a backend.
    pub fn volumes(&self, name: &str) -> Vec<Volume> {
        self.read().volumes.named(name).to_vec()
    }

    /// What an image reference means, and who has it.
    pub fn image(&self, reference: &str) -> Holders {
        self.read().images.find(reference)
    }

    /// How many tags of a repository each backend has.
    pub fn tags(&self, repository: &str) -> BTreeMap<BackendName, usize> {
        self.read().images.tags(repository)
    }

    /// The backend where a group lives.
    pub fn home(&self, group: &str) -> Option<BackendName> {
        self.read().groups.home(group)
    }

    /// How many containers each backend has.
    pub fn counts(&self) -> HashMap<BackendName, Counts> {
        if self.read().is_stale() {
            self.write().age();
        }
        self.read().counted()
    }

    /// Takes everything a backend has from its lists.
    pub fn replace(&self, backend: &BackendName, listing: Listing) {
        self.write().replace(backend, listing);
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

    /// Takes a backend's images from its list.
    pub fn replace_images(&self, backend: &BackendName, images: Vec<Image>) {
        self.write().images.replace(backend, images);
    }

    /// Notes a container that was just created.
    pub fn created(
        &self,
        backend: &BackendName,
        id: &str,
        name: Option<&str>,
        group: Option<Group>,
    ) {
        self.write()
            .insert(backend, id, name, Stage::Created(Instant::now()), group);
    }

    /// Notes a container that was found by asking.
    pub fn found(
        &self,
        backend: &BackendName,
        id: &str,
        name: Option<&str>,
        stage: Stage,
        group: Option<Group>,
    ) {
        self.write().insert(backend, id, name, stage, group);
    }

    /// Notes a network.
    pub fn network_created(&self, network: Network) {
        self.write().insert_network(network);
    }

    /// Notes a network that was found in a list.
    pub fn network_found(&self, network: Network) {
        self.write().find_network(network);
    }

    /// Notes that a network was made anew on another backend: clients still know it by its old id.
    pub fn network_moved(&self, old: &str, name: &str, backend: &BackendName) {
        self.write().networks.moved(old, name, backend);
    }

    /// Notes that a network is gone.
    pub fn network_removed(&self, id: &str) {
        self.write().remove_network(id);
    }

    /// Notes that a backend's network of this name is gone.
    pub fn network_forgotten(&self, name: &str, backend: &BackendName) {
        let mut entries = self.write();
        let id = entries.networks.named(name, backend).map(|n| n.id.clone());
        if let Some(id) = id {
            entries.remove_network(&id);
        }
    }

    /// The id of a network that had this one before it moved.
    pub fn network_successor(&self, old: &str) -> Option<String> {
        let entries = self.read();
        entries.networks.successor(old).map(str::to_owned)
    }

    /// How often something was removed from a backend: a list that is older than a removal is out of date.
    pub fn removals(&self, backend: &str) -> u64 {
        self.read()
            .removals
            .get(backend)
            .copied()
            .unwrap_or_default()
    }

    /// Notes that a backend's image of this name is about to become a copy of another backend's.
    pub fn image_copying(&self, reference: &str, backend: &BackendName, begins: bool) {
        self.write().images.copying(reference, backend, begins);
    }

    /// Notes a volume.
    pub fn volume_created(&self, volume: Volume) {
        self.write().insert_volume(volume);
    }

    /// Notes a volume that was found in a list.
    pub fn volume_found(&self, volume: Volume) {
        self.write().find_volume(volume);
    }

    /// Notes that a volume is gone from a backend.
    pub fn volume_removed(&self, name: &str, backend: &BackendName) {
        self.write().remove_volume(name, backend);
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

    /// Follows an event of a backend; tells which of its lists must be read again.
    pub fn follow(&self, backend: &BackendName, event: &Event) -> Option<Stale> {
        self.write().follow(backend, event)
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let index = Index::default();
        let (one, two): (BackendName, BackendName) = ("node1".into(), "node2".into());
        index.found(&one, "aaa1", Some("web"), Stage::Running, None);
        index.found(&two, "aaa2", Some("db"), Stage::Stopped, None);
        index.found(&two, "bbb1", Some("aaa1x"), Stage::Running, None);
        index.found(&one, "ccc1", Some("twin"), Stage::Running, None);
        index.found(&two, "ccc2", Some("twin"), Stage::Running, None);
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
        assert_eq!(index.container("aaa", None), Lookup::SamePrefix(2));
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
        index.created(&node, "abc", Some("x"), None);
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
