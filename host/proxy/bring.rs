//! Bringing what a container needs to the backend where it goes: a network that nobody uses yet, and what its driver
//! makes the same everywhere.

use std::sync::Arc;

use http::Method;

use super::{Proxy, Turn, forward, items, locate::encode, target};
use crate::{
    backend::Backend,
    docker::{create::Tie, query::Query},
    error::Error,
    inventory::index::{BackendName, Lookup, Network},
};

impl Proxy {
    /// Brings what ties keep apart to one backend, when nothing is lost by it: a network that no container uses. Returns
    /// the backends that can take the container then; none when that cannot be.
    ///
    /// The caller holds the locks of the ties' names.
    pub(super) async fn brought_together(
        self: &Arc<Self>,
        turn: &Turn,
        bound: &[(&Tie, Vec<BackendName>)],
    ) -> Result<Option<Vec<BackendName>>, Error> {
        let mut fixed: Option<Vec<BackendName>> = None;
        let mut movable = Vec::new();
        for (tie, owners) in bound {
            if let Some(network) = self.movable(turn, tie).await? {
                movable.push(network);
                continue;
            }
            let common = match fixed {
                None => owners.clone(),
                Some(known) => {
                    let both = known.into_iter().filter(|name| owners.contains(name));
                    both.collect()
                }
            };
            fixed = Some(common);
        }
        let first = || bound.first().map(|(_, owners)| owners.clone());
        let candidates = fixed.or_else(first).unwrap_or_default();
        let Some(backend) = turn.first_usable(&candidates) else {
            return Ok(None);
        };
        for network in movable {
            if network.backend != backend.name
                && !self.move_network(turn, network, &backend).await?
            {
                return Ok(None);
            }
        }
        Ok(Some(vec![backend.name.clone()]))
    }

    /// The network of a tie, when it may move: it was made through this flockerd, and no container uses it or is about
    /// to.
    async fn movable(&self, turn: &Turn, tie: &Tie) -> Result<Option<Network>, Error> {
        let Tie::Network(name) = tie else {
            return Ok(None);
        };
        let Lookup::Found(network) = self.inventory.index.network(name, None) else {
            return Ok(None);
        };
        let is_free = network.made.is_some() && !self.places.names(&network);
        Ok((is_free && self.is_unused(turn, &network).await?).then_some(network))
    }

    /// True when no container of its backend, running or not, uses a network. One that was never started is found by
    /// the name only.
    async fn is_unused(&self, turn: &Turn, network: &Network) -> Result<bool, Error> {
        let backend = turn.backend(&network.backend)?;
        let filters = serde_json::json!({ "network": [network.id, network.name] }).to_string();
        let query = Query("all=1".into()).with("filters", &filters);
        let request = forward::own(turn, Method::GET, "/containers/json", &query.0)?;
        let (head, body) = target::read(backend.send(request).await?, &backend).await?;
        Ok(head.status.is_success() && items::parse(&backend.name, &body)?.is_empty())
    }

    /// Moves a network in a task of its own: a client that goes away leaves nothing half done.
    async fn move_network(
        self: &Arc<Self>,
        turn: &Turn,
        network: Network,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        let (proxy, turn, to) = (self.clone(), turn.clone(), to.clone());
        let moved = tokio::spawn(async move { proxy.moved(&turn, &network, &to).await });
        moved.await.unwrap_or(Ok(false))
    }

    async fn moved(
        &self,
        turn: &Turn,
        network: &Network,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        let Some(made) = &network.made else {
            return Ok(false);
        };
        if !self.network_again(turn, made, to).await? {
            return Ok(false);
        }
        let index = &self.inventory.index;
        if !matches!(self.network_gone(turn, network).await, Ok(true)) {
            // Somebody uses it now, or its host is lost: the new one was for nothing.
            if let Lookup::Found(copy) = index.network(&network.name, Some(&to.name)) {
                self.network_gone(turn, &copy).await?;
            }
            return Ok(false);
        }
        index.network_moved(&network.id, &network.name, &to.name);
        tracing::info!(network = network.name, from = %network.backend, backend = %to.name, "network moved");
        Ok(true)
    }

    /// Brings one network to a backend: it moves there when nobody uses it, and is made there too when its driver
    /// makes it the same everywhere. False when neither can be.
    pub(super) async fn brought(
        self: &Arc<Self>,
        turn: &Turn,
        network: &Network,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        if self.settings.shared.has_network(&network.driver) {
            return self.share_network(turn, network, to).await;
        }
        let _lock = self.locks.networks.reserve(&network.name).await;
        match self
            .movable(turn, &Tie::Network(network.id.clone()))
            .await?
        {
            Some(network) if network.backend == to.name => Ok(true),
            Some(network) => self.move_network(turn, network, to).await,
            None => Ok(false),
        }
    }

    /// Makes the shared networks and volumes that a container names on the backend where it goes.
    pub(super) async fn share(
        &self,
        turn: &Turn,
        ties: &[Tie],
        to: &Arc<Backend>,
    ) -> Result<(), Error> {
        for tie in ties.iter().filter(|tie| self.is_shared(tie)) {
            match tie {
                Tie::Network(name) => {
                    let index = &self.inventory.index;
                    let known = index.network(name, None);
                    let here = index.network(name, Some(&to.name));
                    if let (Lookup::Found(network), Lookup::Missing) = (known, here) {
                        self.share_network(turn, &network, to).await?;
                    }
                }
                Tie::Volume(name) => self.share_volume(turn, name, to).await?,
                Tie::Container(_) => {}
            }
        }
        Ok(())
    }

    /// True for a network or a volume whose driver makes it the same on every backend: it binds nothing to one.
    pub(super) fn is_shared(&self, tie: &Tie) -> bool {
        let shared = &self.settings.shared;
        match tie {
            Tie::Container(_) => false,
            Tie::Network(name) => match self.inventory.index.network(name, None) {
                Lookup::Found(network) => shared.has_network(&network.driver),
                Lookup::SameName(all) => all
                    .iter()
                    .all(|network| shared.has_network(&network.driver)),
                _ => false,
            },
            Tie::Volume(name) => {
                let owners = self.inventory.index.volumes(name);
                !owners.is_empty()
                    && owners
                        .iter()
                        .all(|volume| shared.has_volume(&volume.driver))
            }
        }
    }

    async fn share_network(
        &self,
        turn: &Turn,
        network: &Network,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        let made = match &network.made {
            Some(made) => made.to_string(),
            None => match self
                .described(turn, &network.backend, &format!("/networks/{}", network.id))
                .await?
            {
                Some(described) => described,
                None => return Ok(false),
            },
        };
        self.network_again(turn, &made, to).await
    }

    async fn share_volume(&self, turn: &Turn, name: &str, to: &Arc<Backend>) -> Result<(), Error> {
        let owners = self.inventory.index.volumes(name);
        let here = owners.iter().any(|volume| volume.backend == to.name);
        let Some(volume) = owners.first().filter(|_| !here) else {
            return Ok(());
        };
        let made = match &volume.made {
            Some(made) => Some(made.to_string()),
            None => {
                let path = format!("/volumes/{}", encode(name));
                let described = self.described(turn, &volume.backend, &path).await?;
                // An inspect calls the options of a volume what a create calls the options of its driver.
                described.map(|volume| volume.replacen("\"Options\":", "\"DriverOpts\":", 1))
            }
        };
        if let Some(made) = made {
            self.volume_again(turn, volume, &made, to).await?;
        }
        Ok(())
    }

    /// What a backend answers to an inspect; a create takes the same members and passes over the others.
    async fn described(
        &self,
        turn: &Turn,
        backend: &str,
        path: &str,
    ) -> Result<Option<String>, Error> {
        target::inspect(turn, &*turn.backend(backend)?, path).await
    }
}
