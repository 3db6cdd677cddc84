//! The networks of all backends, by id and by name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{BackendName, Lookup};
use crate::docker::group::Group;

/// A network that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub backend: BackendName,
    pub id: String,
    pub name: String,
    pub driver: String,
    pub group: Option<Group>,
    /// The body that it was created with, when that was done through this flockerd.
    pub made: Option<Arc<str>>,
}

/// How many old ids are remembered.
const MOVED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Networks {
    /// By full id; ordered, so that a prefix is a range.
    by_id: BTreeMap<String, Network>,
    /// Ids by name: every backend has a `bridge`.
    names: HashMap<String, Vec<String>>,
    /// Ids by the ids that they had before they moved.
    moved: HashMap<String, String>,
}

impl Networks {
    pub(super) fn insert(&mut self, network: Network) {
        self.remove(&network.id);
        let ids = self.names.entry(network.name.clone()).or_default();
        ids.push(network.id.clone());
        self.by_id.insert(network.id.clone(), network);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Network> {
        let network = self.by_id.remove(id)?;
        if let Some(ids) = self.names.get_mut(&network.name) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.names.remove(&network.name);
            }
        }
        Some(network)
    }

    /// Takes out all networks of a backend.
    pub(super) fn drain(&mut self, backend: &BackendName) -> Vec<Network> {
        let all = self.by_id.values();
        let ids: Vec<String> = all
            .filter(|network| network.backend == *backend)
            .map(|network| network.id.clone())
            .collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Lets an old id lead to a backend's network of this name.
    pub(super) fn moved(&mut self, old: &str, name: &str, backend: &BackendName) {
        let Lookup::Found(network) = self.find(name, Some(backend)) else {
            return;
        };
        let earlier = self.moved.values_mut().filter(|id| *id == old);
        earlier.for_each(|id| id.clone_from(&network.id));
        if self.moved.len() < MOVED_MAX {
            self.moved.insert(old.to_owned(), network.id);
        }
    }

    /// The network of exactly this name on a backend.
    pub(super) fn named(&self, name: &str, backend: &str) -> Option<&Network> {
        let ids = self.names.get(name)?;
        let mut networks = ids.iter().filter_map(|id| self.by_id.get(id));
        networks.find(|network| *network.backend == *backend)
    }

    /// The id that an old one has become.
    pub(super) fn successor(&self, old: &str) -> Option<&str> {
        self.moved.get(old).map(String::as_str)
    }

    pub(super) fn is_known(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Finds networks by full id, exact name or id prefix, in this order, as a daemon does.
    pub(super) fn find(&self, reference: &str, backend: Option<&str>) -> Lookup<Network> {
        let here = |network: &&Network| backend.is_none_or(|name| *network.backend == *name);
        let reference = self.moved.get(reference).map_or(reference, String::as_str);
        if let Some(network) = self.by_id.get(reference).filter(here) {
            return Lookup::Found(network.clone());
        }
        let ids = self.names.get(reference).map_or(&[][..], Vec::as_slice);
        let mut named: Vec<Network> = ids
            .iter()
            .filter_map(|id| self.by_id.get(id))
            .filter(here)
            .cloned()
            .collect();
        named.sort_by(|a, b| a.backend.cmp(&b.backend));
        match named.len() {
            0 => self.prefixed(reference, here),
            1 => Lookup::Found(named.remove(0)),
            _ => Lookup::SameName(named),
        }
    }

    fn prefixed(&self, prefix: &str, here: impl Fn(&&Network) -> bool) -> Lookup<Network> {
        if prefix.is_empty() {
            return Lookup::Missing;
        }
        let range = self.by_id.range(prefix.to_owned()..);
        let matching = range.take_while(|(id, _)| id.starts_with(prefix));
        let mut matching = matching.map(|(_, network)| network).filter(here);
        match (matching.next(), matching.count()) {
            (Some(network), 0) => Lookup::Found(network.clone()),
            (Some(_), more) => Lookup::SamePrefix(more + 1),
            (None, _) => Lookup::Missing,
        }
    }

    pub(super) fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.by_id.values().map(|network| &network.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(backend: &str, id: &str, name: &str) -> Network {
        Network {
            backend: backend.into(),
            id: id.into(),
            name: name.into(),
            driver: "bridge".into(),
            group: None,
            made: None,
        }
    }

    #[test]
    fn networks_are_found_by_id_then_name_then_prefix() {
        let mut networks = Networks::default();
        for (backend, id, name) in [
            ("n1", "a1", "bridge"),
            ("n2", "a2", "bridge"),
            ("n2", "b1", "a"),
            ("n2", "c1", "b1"),
        ] {
            networks.insert(network(backend, id, name));
        }
        let id = |networks: &Networks, reference: &str, backend| match networks
            .find(reference, backend)
        {
            Lookup::Found(network) => network.id,
            other => format!("{other:?}")
                .split(['(', ' '])
                .next()
                .unwrap()
                .to_owned(),
        };
        for (reference, backend, expected) in [
            ("a1", None, "a1"),
            ("bridge", None, "SameName"),
            ("bridge", Some("n2"), "a2"),
            ("a", None, "b1"),
            ("b1", None, "b1"),
            ("c", None, "c1"),
            ("c", Some("n1"), "Missing"),
            ("", None, "Missing"),
        ] {
            assert_eq!(
                id(&networks, reference, backend),
                expected,
                "{reference} {backend:?}"
            );
        }
        networks.remove("b1");
        assert_eq!(networks.find("a", None), Lookup::SamePrefix(2));
        assert_eq!(id(&networks, "b1", None), "c1");
        assert_eq!(networks.drain(&"n2".into()).len(), 2);
        assert_eq!(id(&networks, "bridge", None), "a1");
    }
}
