//! Placing: which backend something new goes to.
//!
//! First the hard constraints, then the `route` hooks, then the strategy.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::StatusCode;

use super::{Proxy, Turn, hooks, load::UnderWay};
use crate::{
    backend::{Backend, Health},
    config::Strategy,
    docker::{client::Client, create::Tie},
    error::Error,
    inventory::index::{BackendName, Counts},
    plugin::{Hook, route},
};

/// How long one placement waits for the one before it, so that each sees what the last one decided. A plugin that
/// hangs delays nobody longer than this.
const TURN: Duration = Duration::from_millis(100);

/// Something new, as the hooks see it.
pub(super) struct Newcomer<'a> {
    pub(super) subject: route::Subject,
    pub(super) name: Option<&'a str>,
    pub(super) image: Option<&'a str>,
    pub(super) platform: Option<&'a str>,
    pub(super) body: Option<&'a String>,
    pub(super) ties: &'a [Tie],
    /// The backend to try first: its client has just pulled the image there.
    pub(super) near: Option<&'a str>,
    pub(super) client: &'a Client,
}

/// Where it goes.
pub(super) struct Placed {
    pub(super) backend: Arc<Backend>,
    /// The body that a hook changed.
    pub(super) body: Option<String>,
    /// Counts on the backend until it is dropped.
    pub(super) under_way: UnderWay,
}

impl Proxy {
    /// Chooses the backend for something new.
    ///
    /// # Errors
    /// 409 when its constraints contradict each other, a plugin's refusal, [`Error::NoBackend`].
    pub(super) async fn place(&self, turn: &Turn, newcomer: Newcomer<'_>) -> Result<Placed, Error> {
        let eligible = self.eligible(turn, newcomer.ties).await?;
        let near: Vec<_> = eligible
            .iter()
            .filter(|backend| newcomer.near == Some(&*backend.name))
            .cloned()
            .collect();
        if !near.is_empty() {
            match self.decide(turn, &newcomer, &near).await {
                Err(Error::Denied { .. }) => {}
                decided => return decided,
            }
        }
        self.decide(turn, &newcomer, &eligible).await
    }

    /// Asks the hooks, then the strategy, which of the eligible backends it is.
    async fn decide(
        &self,
        turn: &Turn,
        newcomer: &Newcomer<'_>,
        eligible: &[Arc<Backend>],
    ) -> Result<Placed, Error> {
        let _turn = tokio::time::timeout(TURN, self.places.turn.lock()).await;
        let decision = match turn.plugins.has(Hook::Route) {
            true => self.ask_route(turn, newcomer, eligible).await?,
            false => Default::default(),
        };
        let backend = match &decision.backend {
            Some(name) => turn.backend(name)?,
            None => choose(self.settings.strategy, eligible, &self.loads().now())
                .ok_or(Error::NoBackend)?,
        };
        tracing::debug!(backend = %backend.name, plugin = decision.plugin, name = newcomer.name, "placed");
        Ok(Placed {
            under_way: self
                .places
                .begin(&backend, newcomer.name.unwrap_or_default()),
            body: decision.body,
            backend,
        })
    }

    async fn ask_route(
        &self,
        turn: &Turn,
        newcomer: &Newcomer<'_>,
        eligible: &[Arc<Backend>],
    ) -> Result<crate::plugin::Decision, Error> {
        let client = hooks::client(newcomer.client);
        let request = route::Request {
            subject: newcomer.subject,
            name: newcomer.name,
            image: newcomer.image,
            platform: newcomer.platform,
            body: newcomer.body,
            client,
        };
        let scene = self.loads().scene(eligible.to_vec());
        let resolve = |answer: &str| resolve(turn, eligible, answer);
        turn.plugins.route(request, &scene, &resolve).await
    }

    /// The backends that can take something with these ties: usable, and having all that it refers to.
    async fn eligible(&self, turn: &Turn, ties: &[Tie]) -> Result<Vec<Arc<Backend>>, Error> {
        let mut bound: Option<(String, Vec<BackendName>)> = None;
        for tie in ties {
            let owners = self.owners(turn, tie).await?;
            if owners.is_empty() {
                continue;
            }
            bound = Some(match bound {
                None => (tie.describe(), owners),
                Some((first, known)) => {
                    let both: Vec<_> = known
                        .iter()
                        .filter(|name| owners.contains(name))
                        .cloned()
                        .collect();
                    if both.is_empty() {
                        return Err(apart(&first, &known, &tie.describe(), &owners));
                    }
                    (first, both)
                }
            });
        }
        match bound {
            None => {
                let usable: Vec<_> = turn.flock.usable().cloned().collect();
                (!usable.is_empty())
                    .then_some(usable)
                    .ok_or(Error::NoBackend)
            }
            Some((tie, names)) => reachable(turn, &tie, &names),
        }
    }

    /// The backends that have what a tie names; none when nobody has it, and then a daemon may say so.
    async fn owners(&self, turn: &Turn, tie: &Tie) -> Result<Vec<BackendName>, Error> {
        Ok(match tie {
            Tie::Network(name) => self.inventory.index.network(name),
            Tie::Volume(name) => self.inventory.index.volume(name),
            Tie::Container(name) => match self.container(turn, name).await {
                Ok((_, located)) => vec![located.backend],
                Err(error) if error.status() == StatusCode::NOT_FOUND => Vec::new(),
                Err(error) => return Err(error),
            },
        })
    }
}

/// Turns a plugin's answer into a backend's name, or says why it cannot be one.
fn resolve(turn: &Turn, eligible: &[Arc<Backend>], answer: &str) -> Result<String, String> {
    let Some(backend) = turn.flock.find(answer) else {
        return Err(format!(
            "it answered \"{answer}\", which is no backend of the flock"
        ));
    };
    if backend.status().health == Health::Down {
        return Err(format!("it answered \"{answer}\", which is down"));
    }
    match eligible
        .iter()
        .any(|candidate| candidate.name == backend.name)
    {
        true => Ok(backend.name.to_string()),
        false => {
            let names: Vec<&str> = eligible.iter().map(|backend| &*backend.name).collect();
            Err(format!(
                "it answered \"{answer}\", but only {} can take it",
                names.join(", ")
            ))
        }
    }
}

/// The built-in choice.
fn choose(
    strategy: Strategy,
    eligible: &[Arc<Backend>],
    counts: &HashMap<BackendName, Counts>,
) -> Option<Arc<Backend>> {
    let load = |backend: &Backend| {
        counts
            .get(&backend.name)
            .map_or(0, |counts| counts.running + counts.fresh)
    };
    match strategy {
        Strategy::Spread => eligible
            .iter()
            .min_by_key(|backend| (load(backend), backend.name.clone()))
            .cloned(),
    }
}

/// The usable ones among the backends that something is bound to.
fn reachable(turn: &Turn, tie: &str, names: &[BackendName]) -> Result<Vec<Arc<Backend>>, Error> {
    let usable: Vec<_> = turn
        .flock
        .usable()
        .filter(|backend| names.contains(&backend.name))
        .cloned()
        .collect();
    match usable.is_empty() {
        false => Ok(usable),
        true => {
            let backend = names.first().map_or("", |name| name);
            Err(Error::backend(backend, format!("{tie} is there")))
        }
    }
}

fn apart(first: &str, on: &[BackendName], second: &str, on_other: &[BackendName]) -> Error {
    let (on, on_other) = (on.join(", "), on_other.join(", "));
    let text = format!("{first} is on {on} and {second} on {on_other}: no backend has both");
    Error::refused(StatusCode::CONFLICT, text)
}

/// The daemon's words for a name that is taken.
pub(super) fn name_taken(name: &str, id: &str) -> String {
    format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or \
         rename) that container to be able to reuse that name."
    )
}
