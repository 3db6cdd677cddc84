//! Networks: each lives on one backend, where the rest of its group is; the predefined ones are everywhere, and clients
//! take them for one.

mod connect;
mod find;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value};

use super::{
    Proxy, Turn, fanout, forward, items,
    locate::split_backend,
    place::{Newcomer, Placed},
    target,
};
use crate::{
    backend::Backend,
    docker::{
        self, Body, action::Networks, call::Call, create::Tie, described::Described, edit, message,
        scan::Span,
    },
    error::Error,
    inventory::index::{Lookup, Network},
    plugin::route::Subject,
};
use find::{Found, is_predefined};

impl Proxy {
    pub(super) async fn networks(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Networks,
    ) -> Result<Response<Body>, Error> {
        match action {
            Networks::List => self.network_list(turn, call).await,
            Networks::Inspect => self.network_inspect(turn, call).await,
            Networks::Create => self.network_create(turn, call).await,
            Networks::Remove => self.network_remove(turn, call).await,
            Networks::Connect => self.network_connect(turn, call).await,
        }
    }

    /// `GET /networks` of all backends; those that all have are one.
    async fn network_list(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let mut answers = self.ask_lists(turn, &mut call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut listed: Vec<Cow<'_, str>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (backend, body) in &answers.ok {
            let text = items::text(&backend.name, body)?;
            for item in items::scan(&backend.name, text, ["Name", "Driver"])? {
                let read = |span: Span| serde_json::from_str(span.within(text)).unwrap_or_default();
                let [name, driver]: [String; 2] = item.members.map(read);
                let is_one = is_predefined(&name) || self.settings.shared.has_network(&driver);
                let network = item.span.within(text);
                match known.get(&name).filter(|_| is_one) {
                    Some(at) => listed[*at] = united(&listed[*at], network).into(),
                    None => {
                        known.entry(name).or_insert(listed.len());
                        listed.push(network.into());
                    }
                }
            }
        }
        let text = edit::array(listed.iter().map(|item| &**item));
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    /// `GET /networks/{network}`.
    async fn network_inspect(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        match self.network(turn, &reference).await? {
            Found::Everywhere(name) => self.inspect_everywhere(turn, call, &name).await,
            Found::Several(count, by) => Err(Error::refused(
                StatusCode::BAD_REQUEST,
                format!("{count} matches found based on {by}: network {reference} is ambiguous"),
            )),
            found => {
                let backend = self.aim(turn, &mut call, found)?;
                backend.send(forward::request(turn, call)?).await
            }
        }
    }

    /// A network that every backend has: the first one's, with the containers of all.
    async fn inspect_everywhere(
        &self,
        turn: &Turn,
        mut call: Call,
        name: &str,
    ) -> Result<Response<Body>, Error> {
        call.set_reference(name);
        let limit = self.settings.backend_timeout;
        let request = |_: &Backend| forward::request(turn, call.copy());
        let mut answers = fanout::ask(turn.flock.usable(), limit, request).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut network: Option<String> = None;
        for (backend, body) in &answers.ok {
            let other = items::text(&backend.name, body)?;
            network = Some(match network {
                Some(network) => united(&network, other),
                None => other.to_owned(),
            });
        }
        let network = network.ok_or(Error::NoBackend)?;
        Ok(answers.mark(message::json(StatusCode::OK, network)))
    }

    /// `POST /networks/create`.
    async fn network_create(
        self: &Arc<Self>,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let body = docker::collect(call.take_body(), self.settings.body_limit).await?;
        call.set_body(body.clone());
        let described = Described::read(&body)
            .map_err(|reason| Error::refused(StatusCode::BAD_REQUEST, reason.to_string()))?;
        let name = described.name.clone().unwrap_or_default();
        if name.is_empty() || is_predefined(&name) {
            // The daemon says why not.
            return turn.home()?.send(forward::request(turn, call)?).await;
        }
        let _reserved = self.locks.networks.reserve(&name).await;
        if self.is_taken(turn, &name).await? {
            let text = format!("network with name {name} already exists");
            return Err(Error::refused(StatusCode::CONFLICT, text));
        }
        let placed = self.place_network(turn, &call, &body, &described).await?;
        let sent = placed.body.clone().map_or(body, Bytes::from);
        call.set_body(sent.clone());
        let backend = placed.backend.clone();
        let response = backend.send(forward::request(turn, call)?).await?;
        let (head, answer) = target::read(response, &backend).await?;
        if head.status == StatusCode::CREATED {
            self.note_network(&backend, &sent, &answer);
        }
        Ok(Response::from_parts(head, docker::full(answer)))
    }

    /// True when a network of this name is there. The index may be a moment late, so its backend is asked; one that
    /// cannot be asked still has it.
    async fn is_taken(&self, turn: &Turn, name: &str) -> Result<bool, Error> {
        let known = match self.look_up(turn, name, None).await? {
            Lookup::Found(network) if network.name == name => network,
            Lookup::SameName(_) => return Ok(true),
            _ => return Ok(false),
        };
        let Some(backend) = turn.flock.get(&known.backend) else {
            return Ok(false);
        };
        match target::inspect(turn, backend, &format!("/networks/{}", known.id)).await {
            Ok(None) => {
                self.inventory.index.network_removed(&known.id);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    async fn place_network(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
        body: &Bytes,
        described: &Described,
    ) -> Result<Placed, Error> {
        let text = String::from_utf8_lossy(body).into_owned();
        let newcomer = Newcomer {
            name: described.name.as_deref(),
            body: Some(&text),
            group: described.group(),
            ..Newcomer::of(Subject::Network, &call.client)
        };
        self.place(turn, newcomer).await
    }

    /// Puts a created network into the index.
    fn note_network(&self, backend: &Backend, body: &[u8], answer: &[u8]) {
        let described = serde_json::from_slice::<Described>(body).unwrap_or_default();
        let id = std::str::from_utf8(answer)
            .ok()
            .and_then(|answer| edit::read::<String>(answer, "Id"));
        let (Some(id), Ok(made)) = (id, std::str::from_utf8(body)) else {
            return;
        };
        self.inventory.index.network_created(Network {
            group: described.group(),
            backend: backend.name.clone(),
            id,
            name: described.name.unwrap_or_default(),
            driver: described.driver.unwrap_or_else(|| "bridge".to_owned()),
            made: Some(made.into()),
        });
    }

    /// `DELETE /networks/{network}`.
    async fn network_remove(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let found = self.network(turn, &reference).await?;
        let id = match &found {
            Found::On(network) => Some(network.id.clone()),
            Found::Several(count, by) => return Err(ambiguous(&reference, *count, by)),
            _ => None,
        };
        let (name, at) = split_backend(turn, &reference);
        if at.is_none() && self.is_shared(&Tie::Network(name.to_owned())) {
            let all = self.networks_named(turn, name).await?;
            let others = all
                .iter()
                .filter(|network| Some(&network.id) != id.as_ref());
            for other in others {
                self.network_gone(turn, other).await?;
            }
        }
        let backend = self.aim(turn, &mut call, found)?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if let Some(id) = id.filter(|_| response.status().is_success()) {
            self.inventory.index.network_removed(&id);
        }
        Ok(response)
    }

    /// The backend for a network that was found, the call's path naming it as this backend knows it.
    fn aim(&self, turn: &Turn, call: &mut Call, found: Found) -> Result<Arc<Backend>, Error> {
        match found {
            Found::On(network) => {
                let reference = call.reference();
                let (name, backend) = split_backend(turn, &reference);
                let is_own =
                    backend.is_none() && (network.id.starts_with(name) || network.name == name);
                if !is_own {
                    call.set_reference(&network.id);
                }
                turn.backend(&network.backend)
            }
            Found::Everywhere(name) => {
                call.set_reference(&name);
                turn.home()
            }
            Found::Several(..) | Found::Nowhere => turn.home(),
        }
    }

    /// Makes a network on another backend as it was made where it is.
    pub(super) async fn network_again(
        &self,
        turn: &Turn,
        made: &str,
        backend: &Backend,
    ) -> Result<bool, Error> {
        let answer = target::post(turn, backend, "/networks/create", made.to_owned()).await?;
        if answer.0 == StatusCode::CREATED {
            self.note_network(backend, made.as_bytes(), &answer.1);
        }
        Ok(answer.0 == StatusCode::CREATED)
    }

    /// Removes a network that nobody uses; false when its daemon does not let it go.
    pub(super) async fn network_gone(&self, turn: &Turn, network: &Network) -> Result<bool, Error> {
        let backend = turn.backend(&network.backend)?;
        let path = format!("/networks/{}", network.id);
        let request = forward::own(turn, Method::DELETE, &path, "")?;
        let status = backend.send(request).await?.status();
        let gone = status.is_success() || status == StatusCode::NOT_FOUND;
        if gone {
            self.inventory.index.network_removed(&network.id);
        }
        Ok(gone)
    }
}

/// A network of every backend, with the containers of another backend's added.
fn united(network: &str, other: &str) -> String {
    let containers = |network: &str| edit::read::<Map<String, Value>>(network, "Containers");
    let (Some(mut all), Some(more)) = (containers(network), containers(other)) else {
        return network.to_owned();
    };
    all.extend(more);
    edit::insert(network, "Containers", &Value::Object(all).to_string())
}

/// The daemon's words for everything but an inspect.
fn ambiguous(reference: &str, count: usize, by: &str) -> Error {
    let text = format!("network {reference} is ambiguous ({count} matches found on {by})");
    Error::refused(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_all_shows_the_containers_of_all() {
        let one = r#"{"Name":"bridge","Containers":{"a":{}},"X":1}"#;
        let two = r#"{"Name":"bridge","Containers":{"b":{}}}"#;
        let both = r#"{"Name":"bridge","Containers":{"a":{},"b":{}},"X":1}"#;
        assert_eq!(united(one, two), both);
        assert_eq!(united(one, "{}"), one);
    }
}
