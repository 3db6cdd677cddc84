//! Bringing what a container needs to the backend where it goes: networks and volumes that nobody uses yet, and those
//! whose driver makes them the same everywhere.

use std::sync::Arc;

use http::Method;

use super::{Proxy, Turn, forward, items, locate::encode, target};
use crate::{
    backend::Backend,
    docker::{create::Tie, query::Query},
    error::Error,
    inventory::index::{BackendName, Lookup, Network, Volume},
};

impl Proxy {
    /// Brings what ties keep apart to one backend, when nothing is lost by it: a network without containers, a volume
    /// that was never mounted. Returns the backends that can take the container then; none when that cannot be.
    pub(super) async fn brought_together(
        &self,
        turn: &Turn,
        bound: &[(&Tie, Vec<BackendName>)],
    ) -> Result<Option<Vec<BackendName>>, Error> {
        let mut fixed: Option<Vec<BackendName>> = None;
        let mut movable = Vec::new();
        for (tie, owners) in bound {
            if self.is_movable(turn, tie, owners).await? {
                movable.push((*tie, owners));
                continue;
            }
            let common = match fixed {
                None => owners.clone(),
                Some(known) => known
                    .into_iter()
                    .filter(|name| owners.contains(name))
                    .collect(),
            };
            fixed = Some(common);
        }
        let candidates = fixed.unwrap_or_else(|| {
            bound
                .first()
                .map_or_else(Vec::new, |(_, owners)| owners.clone())
        });
        let Some(backend) = turn.first_usable(&candidates) else {
            return Ok(None);
        };
        for (tie, owners) in movable {
            if !owners.contains(&backend.name) && !self.moved(turn, tie, &backend).await? {
                return Ok(None);
            }
        }
        Ok(Some(vec![backend.name.clone()]))
    }

    async fn is_movable(
        &self,
        turn: &Turn,
        tie: &Tie,
        owners: &[BackendName],
    ) -> Result<bool, Error> {
        if owners.len() != 1 {
            return Ok(false);
        }
        match tie {
            Tie::Container(_) => Ok(false),
            Tie::Network(name) => match self.inventory.index.network(name, None) {
                Lookup::Found(network) if network.made.is_some() => {
                    self.is_unused(turn, &network.backend, "network", &network.id)
                        .await
                }
                _ => Ok(false),
            },
            Tie::Volume(name) => match self.inventory.index.volumes(name).as_slice() {
                [volume] if volume.made.is_some() => {
                    self.is_unused(turn, &volume.backend, "volume", name).await
                }
                _ => Ok(false),
            },
        }
    }

    /// True when no container of a backend, running or not, uses a network or a volume.
    async fn is_unused(
        &self,
        turn: &Turn,
        backend: &str,
        filter: &str,
        name: &str,
    ) -> Result<bool, Error> {
        let backend = turn.backend(backend)?;
        let filters = serde_json::json!({ filter: [name] }).to_string();
        let query = Query("all=1".into()).with("filters", &filters);
        let request = forward::own(turn, Method::GET, "/containers/json", &query.0)?;
        let (head, body) = target::read(backend.send(request).await?, &backend).await?;
        Ok(head.status.is_success() && items::parse(&backend.name, &body)?.is_empty())
    }

    async fn moved(&self, turn: &Turn, tie: &Tie, to: &Arc<Backend>) -> Result<bool, Error> {
        match tie {
            Tie::Container(_) => Ok(false),
            Tie::Network(name) => match self.inventory.index.network(name, None) {
                Lookup::Found(network) => self.move_network(turn, &network, to).await,
                _ => Ok(false),
            },
            Tie::Volume(name) => match self.inventory.index.volumes(name).as_slice() {
                [volume] => self.move_volume(turn, volume, to).await,
                _ => Ok(false),
            },
        }
    }

    async fn move_network(
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
        if !self.network_gone(turn, network).await? {
            // Somebody uses it now: the new one was for nothing.
            if let Lookup::Found(copy) = index.network(&network.name, Some(&to.name)) {
                self.network_gone(turn, &copy).await?;
            }
            return Ok(false);
        }
        index.network_moved(&network.id, &network.name, &to.name);
        tracing::info!(network = network.name, from = %network.backend, backend = %to.name, "network moved");
        Ok(true)
    }

    async fn move_volume(
        &self,
        turn: &Turn,
        volume: &Volume,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        let Some(made) = &volume.made else {
            return Ok(false);
        };
        if !self.volume_again(turn, volume, made, to).await? {
            return Ok(false);
        }
        if !self.volume_gone(turn, volume).await? {
            let copy = Volume {
                backend: to.name.clone(),
                ..volume.clone()
            };
            self.volume_gone(turn, &copy).await?;
            return Ok(false);
        }
        tracing::info!(volume = volume.name, from = %volume.backend, backend = %to.name, "volume moved");
        Ok(true)
    }

    /// Brings one network to a backend: it moves there when nobody uses it, and is made there too when its driver
    /// makes it the same everywhere. False when neither can be.
    pub(super) async fn brought(
        &self,
        turn: &Turn,
        network: &Network,
        to: &Arc<Backend>,
    ) -> Result<bool, Error> {
        if self.settings.shared.has_network(&network.driver) {
            return self.share_network(turn, network, to).await;
        }
        let tie = Tie::Network(network.id.clone());
        match self
            .is_movable(turn, &tie, std::slice::from_ref(&network.backend))
            .await?
        {
            true => self.move_network(turn, network, to).await,
            false => Ok(false),
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
