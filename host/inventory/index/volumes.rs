//! The volumes of all backends, by name.

use std::{collections::BTreeMap, sync::Arc};

use super::BackendName;
use crate::docker::group::Group;

/// A volume on one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub backend: BackendName,
    pub name: String,
    pub driver: String,
    pub group: Option<Group>,
    /// The body that it was created with, when that was done through this flockerd.
    pub made: Option<Arc<str>>,
}

#[derive(Default)]
pub(super) struct Volumes(BTreeMap<String, Vec<Volume>>);

impl Volumes {
    /// Puts a volume in; returns the one that it replaces.
    pub(super) fn insert(&mut self, volume: Volume) -> Option<Volume> {
        let known = self.remove(&volume.name, &volume.backend);
        let owners = self.0.entry(volume.name.clone()).or_default();
        owners.push(volume);
        owners.sort_by(|a, b| a.backend.cmp(&b.backend));
        known
    }

    pub(super) fn remove(&mut self, name: &str, backend: &BackendName) -> Option<Volume> {
        let owners = self.0.get_mut(name)?;
        let at = owners.iter().position(|owner| owner.backend == *backend)?;
        let volume = owners.remove(at);
        if owners.is_empty() {
            self.0.remove(name);
        }
        Some(volume)
    }

    /// Takes out all volumes of a backend.
    pub(super) fn drain(&mut self, backend: &BackendName) -> Vec<Volume> {
        let all = self.0.values().flatten();
        let names: Vec<String> = all
            .filter(|volume| volume.backend == *backend)
            .map(|volume| volume.name.clone())
            .collect();
        names
            .iter()
            .filter_map(|name| self.remove(name, backend))
            .collect()
    }

    /// The volumes of a name, by backend.
    pub(super) fn named(&self, name: &str) -> &[Volume] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.0.values().flatten().map(|volume| &volume.backend)
    }
}
