//! The locks on what something new refers to, while it is placed.

use std::collections::BTreeSet;

use tokio::sync::OwnedMutexGuard;

use crate::{docker::create::Tie, inventory::index::Lookup, proxy::Proxy};

impl Proxy {
    /// Waits until nobody else is placing what refers to the same networks and volumes, or moving these.
    pub(super) async fn hold(&self, ties: &[Tie]) -> Vec<(Tie, OwnedMutexGuard<()>)> {
        let keys = ties.iter().filter_map(|tie| match tie {
            Tie::Container(_) => None,
            Tie::Network(reference) => match self.inventory.index.network(reference, None) {
                Lookup::Found(network) => Some(Tie::Network(network.name)),
                _ => Some(tie.clone()),
            },
            Tie::Volume(_) => Some(tie.clone()),
        });
        // Each once, and in the same order for all who wait.
        let keys: BTreeSet<Tie> = keys.collect();
        let mut held = Vec::new();
        for key in keys {
            let lock = match &key {
                Tie::Volume(name) => self.locks.volumes.reserve(name).await,
                Tie::Network(name) | Tie::Container(name) => {
                    self.locks.networks.reserve(name).await
                }
            };
            held.push((key, lock));
        }
        held
    }

    /// The locks of volumes that are nowhere yet: they come to be with what is placed.
    pub(super) fn new_volumes(
        &self,
        held: Vec<(Tie, OwnedMutexGuard<()>)>,
    ) -> Vec<OwnedMutexGuard<()>> {
        let is_new = |tie: &Tie| matches!(tie, Tie::Volume(name) if self.inventory.index.volumes(name).is_empty());
        let new = held.into_iter().filter(|(tie, _)| is_new(tie));
        new.map(|(_, lock)| lock).collect()
    }
}
