//! Which network a reference means.

use crate::{
    error::Error,
    inventory::index::{Lookup, Network, Stale},
    proxy::{
        Proxy, Turn,
        locate::{encode, split_backend},
    },
};

impl Proxy {
    /// Finds networks by the index; when that does not know any, the backends are asked.
    pub(super) async fn look_up(
        &self,
        turn: &Turn,
        name: &str,
        backend: Option<&str>,
    ) -> Result<Lookup<Network>, Error> {
        let index = &self.inventory.index;
        let known = index.network(name, backend);
        if known != Lookup::Missing {
            return Ok(known);
        }
        let path = format!("/networks/{}", encode(name));
        for holder in self.ask(turn, &path, backend).await?.holders() {
            self.inventory.refresh(holder, Stale::Networks).await?;
        }
        Ok(index.network(name, backend))
    }

    /// The networks that a reference may mean.
    pub(in crate::proxy) async fn networks_named(
        &self,
        turn: &Turn,
        reference: &str,
    ) -> Result<Vec<Network>, Error> {
        Ok(match self.look_up(turn, reference, None).await? {
            Lookup::Found(network) => vec![network],
            Lookup::SameName(all) => all,
            Lookup::SamePrefix(_) | Lookup::Missing => Vec::new(),
        })
    }

    /// The network that a reference leads to.
    ///
    /// # Errors
    /// 400 in the daemon's words when several are meant.
    pub(in crate::proxy) async fn network(
        &self,
        turn: &Turn,
        reference: &str,
    ) -> Result<Found, Error> {
        let (name, backend) = split_backend(turn, reference);
        if is_predefined(name) && backend.is_none() {
            return Ok(Found::Everywhere(name.to_owned()));
        }
        match self.look_up(turn, name, backend).await? {
            Lookup::Found(network) if is_predefined(&network.name) && backend.is_none() => {
                Ok(Found::Everywhere(network.name))
            }
            Lookup::Found(network) => Ok(Found::On(network)),
            Lookup::SameName(mut all) if self.settings.shared.has_network(&all[0].driver) => {
                let usable = all
                    .iter()
                    .position(|network| turn.is_usable(&network.backend));
                Ok(Found::On(all.swap_remove(usable.unwrap_or(0))))
            }
            Lookup::SameName(all) => Ok(Found::Several(all.len(), "name")),
            Lookup::SamePrefix(count) => Ok(Found::Several(count, "ID prefix")),
            Lookup::Missing => Ok(Found::Nowhere),
        }
    }
}

/// Where a network is.
#[derive(Debug)]
pub(in crate::proxy) enum Found {
    /// Every backend has one of this name, and clients take them for one.
    Everywhere(String),
    On(Network),
    /// This many are meant, by this.
    Several(usize, &'static str),
    Nowhere,
}

/// The networks that every daemon has.
pub(in crate::proxy) fn is_predefined(name: &str) -> bool {
    matches!(name, "bridge" | "host" | "none")
}
