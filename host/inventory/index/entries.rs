//! The maps behind the index, and the rules by which they change together.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    BackendName, Counts, Located, Lookup, Network, Stage, Stale, Volume, container::Container,
    groups::Groups, images::Images, networks::Networks, volumes::Volumes,
};
use crate::{
    docker::{event::Event, group::Group},
    inventory::listing::Listing,
};

/// How long a created container counts as one that is about to run.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Entries {
    /// By full id; ordered, so that a prefix is a range.
    pub(super) containers: BTreeMap<String, Container>,
    /// How many each backend has.
    pub(super) counts: HashMap<BackendName, Counts>,
    /// Ids of fresh containers, the oldest first.
    pub(super) fresh: VecDeque<(Instant, String)>,
    /// Ids by name; more than one when containers were created behind the flock's back.
    pub(super) names: HashMap<String, Vec<String>>,
    /// Execs made through the flock; others are asked for when somebody names them.
    pub(super) execs: HashMap<String, (BackendName, Instant)>,
    pub(super) networks: Networks,
    pub(super) volumes: Volumes,
    pub(super) images: Images,
    pub(super) groups: Groups,
    /// How often a network or a volume was removed, by backend.
    pub(super) removals: HashMap<BackendName, u64>,
}

impl Entries {
    /// Takes everything a backend has from its lists.
    pub(super) fn replace(&mut self, backend: &BackendName, listing: Listing) {
        self.forget_containers(backend);
        for (id, name, stage, group) in listing.containers {
            self.insert(backend, &id, name.as_deref(), stage, group);
        }
        self.replace_networks(backend, listing.networks);
        self.replace_volumes(backend, listing.volumes);
        self.images.replace(backend, listing.images);
    }

    /// Follows an event of a backend; tells which list the event does not tell enough about.
    pub(super) fn follow(&mut self, backend: &BackendName, event: &Event) -> Option<Stale> {
        let id = &event.actor.id;
        match (event.kind.as_str(), event.verb()) {
            ("container", _) => self.follow_container(backend, event),
            // These do not tell their labels; those made through the flock are known already.
            ("network", "create") => {
                return (!self.networks.is_known(id)).then_some(Stale::Networks);
            }
            ("volume", "create") => {
                let owners = self.volumes.named(id);
                let known = owners.iter().any(|volume| volume.backend == *backend);
                return (!known).then_some(Stale::Volumes);
            }
            ("network", "destroy" | "remove") => self.remove_network(id),
            ("volume", "destroy") => self.remove_volume(id, backend),
            ("image", verb) if verb != "push" && verb != "save" => return Some(Stale::Images),
            _ => {}
        }
        None
    }

    fn replace_networks(&mut self, backend: &BackendName, networks: Vec<Network>) {
        for known in self.networks.drain(backend) {
            self.groups.leave(&known.group, backend);
        }
        networks
            .into_iter()
            .for_each(|network| self.insert_network(network));
    }

    pub(super) fn insert_network(&mut self, network: Network) {
        if let Some(known) = self.networks.remove(&network.id) {
            self.groups.leave(&known.group, &known.backend);
        }
        self.groups.enter(&network.group, &network.backend);
        self.networks.insert(network);
    }

    /// Puts in a network from a list, which does not tell how it was made.
    pub(super) fn find_network(&mut self, network: Network) {
        if !self.networks.is_known(&network.id) {
            self.insert_network(network);
        }
    }

    pub(super) fn remove_network(&mut self, id: &str) {
        if let Some(known) = self.networks.remove(id) {
            *self.removals.entry(known.backend.clone()).or_default() += 1;
            self.groups.leave(&known.group, &known.backend);
        }
    }

    fn replace_volumes(&mut self, backend: &BackendName, volumes: Vec<Volume>) {
        for known in self.volumes.drain(backend) {
            self.groups.leave(&known.group, backend);
        }
        for volume in volumes {
            self.insert_volume(volume);
        }
    }

    /// Puts in a volume from a list, which does not tell how it was made.
    pub(super) fn find_volume(&mut self, volume: Volume) {
        let owners = self.volumes.named(&volume.name);
        let known = owners.iter().find(|known| known.backend == volume.backend);
        let made = known.and_then(|known| known.made.clone());
        self.insert_volume(Volume { made, ..volume });
    }

    pub(super) fn insert_volume(&mut self, volume: Volume) {
        let (group, backend) = (volume.group.clone(), volume.backend.clone());
        if let Some(known) = self.volumes.insert(volume) {
            self.groups.leave(&known.group, &backend);
        }
        self.groups.enter(&group, &backend);
    }

    pub(super) fn remove_volume(&mut self, name: &str, backend: &BackendName) {
        if let Some(known) = self.volumes.remove(name, backend) {
            *self.removals.entry(backend.clone()).or_default() += 1;
            self.groups.leave(&known.group, backend);
        }
    }

    pub(super) fn container(&self, reference: &str, backend: Option<&str>) -> Lookup {
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

    /// How much of everything each backend has.
    pub(super) fn counted(&self) -> HashMap<BackendName, Counts> {
        let mut counts = self.counts.clone();
        for backend in self.networks.backends().chain(self.volumes.backends()) {
            counts.entry(backend.clone()).or_default().others += 1;
        }
        counts
    }

    pub(super) fn named(&self, name: &str, backend: Option<&str>) -> Vec<Located> {
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
            (Some(_), Some(_)) => Lookup::SamePrefix(2 + matching.count()),
            (None, _) => Lookup::Missing,
        }
    }

    pub(super) fn insert(
        &mut self,
        backend: &BackendName,
        id: &str,
        name: Option<&str>,
        stage: Stage,
        group: Option<Group>,
    ) {
        let known = self.remove(id);
        // An event may come after the answer it tells of: what is known to run does not go back to "created".
        let (stage, fresh) = match (known, stage) {
            (Some(known), Stage::Created(_)) => (known.stage, known.fresh),
            (None, Stage::Created(since)) if since.elapsed() < FRESH => {
                self.fresh.push_back((since, id.to_owned()));
                (stage, true)
            }
            _ => (stage, false),
        };
        let container = Container {
            backend: backend.clone(),
            name: name.map(str::to_owned),
            stage,
            fresh,
            group,
        };
        self.add(id, container);
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
        counts.fresh += usize::from(container.fresh);
        self.groups.enter(&container.group, &container.backend);
        self.containers.insert(id.to_owned(), container);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Container> {
        let container = self.containers.remove(id)?;
        if let Some(name) = &container.name {
            self.release(name, id);
        }
        if let Some(counts) = self.counts.get_mut(&container.backend) {
            counts.total -= 1;
            counts.running -= usize::from(container.stage == Stage::Running);
            counts.fresh -= usize::from(container.fresh);
        }
        self.groups.leave(&container.group, &container.backend);
        Some(container)
    }

    /// True when a container counts as fresh that is not so any more.
    pub(super) fn is_stale(&self) -> bool {
        self.fresh
            .front()
            .is_some_and(|(since, _)| since.elapsed() >= FRESH)
    }

    /// Lets what was created more than a minute ago count as fresh no more.
    pub(super) fn age(&mut self) {
        while self.is_stale() {
            let Some((since, id)) = self.fresh.pop_front() else {
                return;
            };
            let fresh =
                |container: &Container| container.fresh && container.stage == Stage::Created(since);
            if self.containers.get(&id).is_some_and(fresh)
                && let Some(mut container) = self.remove(&id)
            {
                container.fresh = false;
                self.add(&id, container);
            }
        }
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) {
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
            "create" => {
                let group = attributes.labels.group();
                self.insert(backend, id, name, Stage::Created(Instant::now()), group);
            }
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
            container.fresh = false;
            self.add(id, container);
        }
    }

    pub(super) fn backends(&self) -> Vec<BackendName> {
        let others = self.networks.backends().chain(self.volumes.backends());
        let mut names: Vec<BackendName> = others
            .chain(self.images.backends())
            .chain(self.containers.values().map(|c| &c.backend))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Forgets all that a backend has.
    pub(super) fn forget_objects(&mut self, backend: &BackendName) {
        self.forget_containers(backend);
        self.replace_networks(backend, Vec::new());
        self.replace_volumes(backend, Vec::new());
        self.images.forget(backend);
    }

    fn forget_containers(&mut self, backend: &BackendName) {
        let owned = self
            .containers
            .iter()
            .filter(|(_, container)| container.backend == *backend);
        let ids: Vec<String> = owned.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.remove(&id);
        }
    }
}
