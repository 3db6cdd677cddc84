//! What lives where: containers, execs, networks, volumes and images by reference, without asking a backend.

mod containers;
mod entries;
mod groups;
mod id;
mod images;
mod lookup;
mod networks;
mod volumes;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use tokio::task::yield_now;

use entries::Entries;
use id::Id;
pub use images::{Holders, Image};
pub use lookup::{Located, Lookup, Stale};
pub use networks::Network;
pub use volumes::Volume;

use super::listing::Listing;
use crate::docker::{event::Event, group::Group};

/// How many execs are remembered before old ones are forgotten, and how long they are kept then.
const EXECS_MAX: usize = 10_000;
const EXEC_LIFE: Duration = Duration::from_secs(3600);

/// How many containers of a list are taken before other tasks have their turn.
const TURN: usize = 1000;

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
        self.read().containers.find(reference, backend)
    }

    /// The owner of a container name.
    pub fn name_owner(&self, name: &str) -> Option<Located> {
        self.read().containers.first_named(name)
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

    /// Takes everything a backend has from its lists. What is known already is only read, the rest is written one by one:
    /// nobody waits for a long list.
    pub async fn replace(&self, backend: &BackendName, listing: Listing) {
        let ids = listing.containers.iter().map(|(id, ..)| Id::from(&**id));
        let listed: HashSet<Id> = ids.collect();
        self.forget_containers(backend, |id| !listed.contains(id));
        for some in listing.containers.chunks(TURN) {
            for container in some {
                if !self.read().knows(backend, container) {
                    let (id, name, stage, group) = container;
                    let group = group.clone();
                    self.found(backend, id, name.as_deref(), *stage, group);
                }
            }
            yield_now().await;
        }
        let mut entries = self.write();
        entries.replace_networks(backend, listing.networks);
        entries.replace_volumes(backend, listing.volumes);
        entries.images.replace(backend, listing.images);
    }

    /// Forgets the backends that left the flock.
    pub fn keep_only(&self, stays: impl Fn(&str) -> bool) {
        let mut gone = self.read().backends();
        gone.retain(|name| !stays(name));
        for backend in gone {
            self.forget_containers(&backend, |_| true);
            self.write().forget_others(&backend);
        }
    }

    fn forget_containers(&self, backend: &BackendName, is_gone: impl Fn(&Id) -> bool) {
        let numbers = self.read().containers.of(backend);
        for number in numbers {
            let id = self.read().containers.id(number, backend).cloned();
            if let Some(id) = id.filter(&is_gone) {
                self.write().remove(&id.text());
            }
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
        self.write().containers.rename(id, name);
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
mod tests;
