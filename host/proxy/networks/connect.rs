//! Connecting containers to networks.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{Found, ambiguous};
use crate::{
    backend::Backend,
    docker::{self, Body, call::Call, edit},
    error::Error,
    inventory::index::Lookup,
    proxy::{Proxy, Turn, forward, locate::split_backend},
};

impl Proxy {
    /// `connect` and `disconnect`: to the backend of the container in the body, where the network must be.
    pub(super) async fn network_connect(
        self: &Arc<Self>,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let body = docker::collect(call.take_body(), self.settings.body_limit).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let container: String = edit::read(&text, "Container").unwrap_or_default();
        let reference = call.reference().into_owned();
        let (name, located) = match self.container(turn, &container).await {
            Ok((name, located)) => (name, Some(located)),
            // The daemon that has the network says so.
            Err(error) if error.status() == StatusCode::NOT_FOUND => ((&*container).into(), None),
            Err(error) => return Err(error),
        };
        call.set_body(match &located {
            Some(located) if *name != *container => {
                let id = Value::from(located.id.as_str()).to_string();
                Bytes::from(edit::insert(&text, "Container", &id))
            }
            _ => body,
        });
        let there = located.map(|located| turn.backend(&located.backend));
        let there = there.transpose()?;
        let found = match &there {
            Some(there) => {
                let joins = call.path.ends_with("/connect");
                self.network_near(turn, &reference, &container, there, joins)
                    .await?
            }
            None => self.network(turn, &reference).await?,
        };
        let backend = match (found, there) {
            (Found::Several(count, by), _) => return Err(ambiguous(&reference, count, by)),
            (Found::Nowhere, Some(there)) => there,
            (Found::Everywhere(name), Some(there)) => {
                call.set_reference(&name);
                there
            }
            (found, _) => self.aim(turn, &mut call, found)?,
        };
        backend.send(forward::request(turn, call)?).await
    }

    /// The network that a container's backend knows by this reference; one that nobody uses yet is made there.
    async fn network_near(
        self: &Arc<Self>,
        turn: &Turn,
        reference: &str,
        container: &str,
        backend: &Arc<Backend>,
        joins: bool,
    ) -> Result<Found, Error> {
        let (name, _) = split_backend(turn, reference);
        let here = self.inventory.index.network(name, Some(&backend.name));
        if let Lookup::Found(network) = here {
            return Ok(Found::On(network));
        }
        match self.network(turn, reference).await? {
            Found::On(network) if network.backend != backend.name => {
                if joins && self.brought(turn, &network, backend).await? {
                    let here = self
                        .inventory
                        .index
                        .network(&network.name, Some(&backend.name));
                    if let Lookup::Found(network) = here {
                        return Ok(Found::On(network));
                    }
                }
                let text = format!(
                    "network {reference} is on {} and container {container} on {}: no backend has both",
                    network.backend, backend.name
                );
                Err(Error::refused(StatusCode::CONFLICT, text))
            }
            found => Ok(found),
        }
    }
}
