//! The maps behind the index, and the rules by which they change together.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    BackendName, Counts, Network, Stage, Stale, Volume,
    containers::{Containers, Phase},
    groups::Groups,
    images::Images,
    networks::Networks,
    volumes::Volumes,
};
use crate::{
    docker::{event::Event, group::Group},
    inventory::listing::Listed,
};

/// How long a created container counts as one that is about to run.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Entries {
    pub(super) containers: Containers,
    /// Ids of fresh containers, the oldest first.
    pub(super) fresh: VecDeque<(Instant, String)>,
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

    pub(super) fn replace_networks(&mut self, backend: &BackendName, networks: Vec<Network>) {
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

    pub(super) fn replace_volumes(&mut self, backend: &BackendName, volumes: Vec<Volume>) {
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

    /// How much of everything each backend has.
    pub(super) fn counted(&self) -> HashMap<BackendName, Counts> {
        let mut counts = self.containers.counts();
        for backend in self.networks.backends().chain(self.volumes.backends()) {
            counts.entry(backend.clone()).or_default().others += 1;
        }
        counts
    }

    pub(super) fn insert(
        &mut self,
        backend: &BackendName,
        id: &str,
        name: Option<&str>,
        stage: Stage,
        group: Option<Group>,
    ) {
        let phase = match (self.remove(id), stage) {
            // An event may come after the answer it tells of: what is known to run does not go back to "created".
            (Some(known), Stage::Created(_)) => known,
            (None, Stage::Created(since)) if since.elapsed() < FRESH => {
                self.fresh.push_back((since, id.to_owned()));
                Phase::Fresh
            }
            (_, stage) => stage.into(),
        };
        let number = self.containers.insert(backend, id, name, phase);
        self.groups.enter(&group, backend);
        self.groups.note(number, group);
    }

    /// Tells whether an entry of a list says what is known already.
    pub(super) fn knows(&self, backend: &BackendName, listed: &Listed) -> bool {
        let (id, name, stage, group) = listed;
        let Some(known) = self.containers.known(id) else {
            return false;
        };
        let is_there = matches!(stage, Stage::Created(_)) || known.phase == (*stage).into();
        is_there
            && known.backend == backend
            && known.name == name.as_deref()
            && self.groups.noted(known.number) == group.as_ref()
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Phase> {
        let (number, backend, phase) = self.containers.remove(id)?;
        let group = self.groups.take(number);
        self.groups.leave(&group, &backend);
        Some(phase)
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
            let Some((_, id)) = self.fresh.pop_front() else {
                return;
            };
            let known = self.containers.known(&id);
            if known.is_some_and(|known| known.phase == Phase::Fresh) {
                self.containers.enter(&id, Phase::Created);
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
            "rename" => self.containers.rename(id, name.unwrap_or_default()),
            "start" => self.containers.enter(id, Phase::Running),
            "die" => self.containers.enter(id, Phase::Stopped),
            "destroy" => drop(self.remove(id)),
            _ => {}
        }
    }

    pub(super) fn backends(&self) -> Vec<BackendName> {
        let others = self.networks.backends().chain(self.volumes.backends());
        let mut names: Vec<BackendName> = others
            .chain(self.images.backends())
            .chain(self.containers.backends())
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Forgets all that a backend has but its containers.
    pub(super) fn forget_others(&mut self, backend: &BackendName) {
        self.containers.forget(backend);
        self.replace_networks(backend, Vec::new());
        self.replace_volumes(backend, Vec::new());
        self.images.forget(backend);
        self.execs.retain(|_, (owner, _)| owner != backend);
    }
}
