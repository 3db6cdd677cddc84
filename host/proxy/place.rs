//! Placing: which backend something new goes to.
//!
//! First the hard constraints, then the `route` hooks, then the strategy.

pub(super) mod constraints;
mod hold;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::OwnedMutexGuard;

use super::{Proxy, Turn, hooks, load::UnderWay};
use constraints::{narrowed, suits};

use crate::{
    backend::{Backend, Health},
    config::Strategy,
    docker::{client::Client, create::Tie, group::Group},
    error::Error,
    inventory::index::{BackendName, Counts},
    plugin::{Hook, Placement, route},
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
    /// Ports of its host that it needs, `8080/tcp`.
    pub(super) ports: &'a [String],
    /// What it belongs to: it goes where the rest of it lives.
    pub(super) group: Option<Group>,
    /// There is nothing left for a hook to decide.
    pub(super) is_settled: bool,
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
    /// Nobody else makes the volumes meanwhile that come to be with it.
    pub(super) _held: Vec<OwnedMutexGuard<()>>,
}

impl Newcomer<'_> {
    /// What shadows are shown.
    fn placement(&self) -> Placement {
        Placement {
            subject: self.subject,
            name: self.name.map(str::to_owned),
            image: self.image.map(str::to_owned),
            platform: self.platform.map(str::to_owned),
            body: self.body.cloned(),
            address: self.client.address.clone(),
            identity: self.client.identity.clone(),
        }
    }

    /// Something that is no container: no name, no image, no ties, unless they are set.
    pub(super) fn of(subject: route::Subject, client: &Client) -> Newcomer<'_> {
        Newcomer {
            subject,
            name: None,
            image: None,
            platform: None,
            body: None,
            ties: &[],
            ports: &[],
            group: None,
            is_settled: false,
            near: None,
            client,
        }
    }
}

impl Proxy {
    /// Chooses the backend for something new.
    ///
    /// # Errors
    /// 409 when its constraints contradict each other, a plugin's refusal, [`Error::NoBackend`].
    pub(super) async fn place(
        self: &Arc<Self>,
        turn: &Turn,
        mut newcomer: Newcomer<'_>,
    ) -> Result<Placed, Error> {
        // Held until the choice is noted: nobody moves meanwhile what this refers to.
        let held = self.hold(newcomer.ties).await;
        let eligible = self.eligible(turn, newcomer.ties).await?;
        let eligible = narrowed(eligible, |backend| suits(backend, newcomer.platform));
        let eligible = self.with_free_ports(turn, eligible, newcomer.ports).await?;
        // Held until the choice is noted: two parts of a group that come at once must not both be its first.
        let _group = match &newcomer.group {
            Some(group) => Some(self.locks.groups.reserve(group).await),
            None => None,
        };
        let eligible = self.with_its_group(turn, eligible, &mut newcomer)?;
        let decided = self.decide_near(turn, &newcomer, &eligible).await?;
        Ok(decided.holding(self.new_volumes(held)))
    }

    /// Decides for the backend that is to be tried first, if it may be, else for any.
    async fn decide_near(
        &self,
        turn: &Turn,
        newcomer: &Newcomer<'_>,
        eligible: &[Arc<Backend>],
    ) -> Result<Placed, Error> {
        let near: Vec<_> = eligible
            .iter()
            .filter(|backend| newcomer.near == Some(&*backend.name))
            .cloned()
            .collect();
        if !near.is_empty() {
            match self.decide(turn, newcomer, &near).await {
                Err(Error::Denied { .. }) => {}
                decided => return decided,
            }
        }
        self.decide(turn, newcomer, eligible).await
    }

    /// Where the hooks want something new, if they want anything; what it does not matter then is the caller's to
    /// decide.
    ///
    /// # Errors
    /// As [`Proxy::place`].
    pub(super) async fn opinion(
        self: &Arc<Self>,
        turn: &Turn,
        newcomer: &Newcomer<'_>,
    ) -> Result<Option<Arc<Backend>>, Error> {
        if !turn.plugins.has(Hook::Route) {
            return Ok(None);
        }
        let eligible = self.eligible(turn, newcomer.ties).await?;
        let decision = self.ask_route(turn, newcomer, &eligible).await?;
        decision.backend.map(|name| turn.backend(&name)).transpose()
    }

    /// Of the eligible backends the one where a group lives; a network or a volume is not for the hooks to place then.
    /// What its ties bind elsewhere goes there all the same.
    fn with_its_group(
        &self,
        turn: &Turn,
        eligible: Vec<Arc<Backend>>,
        newcomer: &mut Newcomer<'_>,
    ) -> Result<Vec<Arc<Backend>>, Error> {
        let known = newcomer.group.as_ref().and_then(|group| {
            let home = self.inventory.index.home(group);
            Some((group, home.or_else(|| self.places.home(group))?))
        });
        let Some((group, home)) = known else {
            return Ok(eligible);
        };
        let there = eligible.iter().find(|backend| backend.name == home);
        match there {
            Some(backend) => {
                newcomer.is_settled = newcomer.subject != route::Subject::Container;
                Ok(vec![backend.clone()])
            }
            None if turn.is_usable(&home) => Ok(eligible),
            None => Err(Error::backend(&home, format!("{group} lives there"))),
        }
    }

    /// Asks the hooks, then the strategy, which of the eligible backends it is.
    async fn decide(
        &self,
        turn: &Turn,
        newcomer: &Newcomer<'_>,
        eligible: &[Arc<Backend>],
    ) -> Result<Placed, Error> {
        let _turn = tokio::time::timeout(TURN, self.places.turn.lock()).await;
        // As the chain sees them: what is placed now counts in the next one's sight.
        let shadowed = (turn.plugins.has_shadow(Hook::Route) && !newcomer.is_settled)
            .then(|| (self.loads().scene(eligible.to_vec()).backends)());
        let decision = match turn.plugins.has(Hook::Route) && !newcomer.is_settled {
            true => self.ask_route(turn, newcomer, eligible).await?,
            false => Default::default(),
        };
        let backend = match &decision.backend {
            Some(name) => turn.backend(name)?,
            None => {
                let eligible = self.with_its_image(turn, eligible, newcomer).await?;
                let chosen = match newcomer.subject {
                    route::Subject::Network | route::Subject::Volume => {
                        self.choose_empty(&eligible)
                    }
                    _ => self.choose(&eligible),
                };
                chosen.ok_or(Error::NoBackend)?
            }
        };
        tracing::debug!(backend = %backend.name, plugin = decision.plugin, name = newcomer.name, "placed");
        if let Some(backends) = shadowed {
            let placement = newcomer.placement();
            turn.plugins.shadow(placement, &backend.name, backends);
        }
        let is_container = newcomer.subject == route::Subject::Container;
        let container = newcomer.name.filter(|_| is_container);
        Ok(Placed {
            under_way: self.places.begin(
                &backend,
                container,
                newcomer.group.clone(),
                newcomer.ties,
            ),
            body: decision.body,
            backend,
            _held: Vec::new(),
        })
    }

    /// The built-in choice for what is no load by itself, but will have containers: among equals where least of it is.
    fn choose_empty(&self, eligible: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        let counts = self.loads().now();
        let others =
            |backend: &Backend| counts.get(&backend.name).map_or(0, |counts| counts.others);
        let least = eligible
            .iter()
            .map(|backend| load(backend, &counts))
            .min()?;
        let equals = eligible
            .iter()
            .filter(|backend| load(backend, &counts) == least);
        equals
            .min_by_key(|backend| (others(backend), backend.name.clone()))
            .cloned()
    }

    /// The built-in choice.
    pub(super) fn choose(&self, eligible: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        choose(self.settings.strategy, eligible, &self.loads().now())
    }

    /// Of the eligible backends those that have a container's image, when some have.
    async fn with_its_image(
        &self,
        turn: &Turn,
        eligible: &[Arc<Backend>],
        newcomer: &Newcomer<'_>,
    ) -> Result<Vec<Arc<Backend>>, Error> {
        let is_container = newcomer.subject == route::Subject::Container;
        let holders = match newcomer.image.filter(|_| is_container) {
            Some(image) => self.image_holders(turn, image).await?.right(),
            None => Vec::new(),
        };
        Ok(narrowed(eligible.to_vec(), |backend| {
            holders.contains(&backend.name)
        }))
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
}

impl Placed {
    fn holding(self, held: Vec<OwnedMutexGuard<()>>) -> Self {
        Self {
            _held: held,
            ..self
        }
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

/// The containers that run on a backend or are about to.
fn load(backend: &Backend, counts: &HashMap<BackendName, Counts>) -> usize {
    counts
        .get(&backend.name)
        .map_or(0, |counts| counts.running + counts.fresh)
}

/// The built-in choice.
fn choose(
    strategy: Strategy,
    eligible: &[Arc<Backend>],
    counts: &HashMap<BackendName, Counts>,
) -> Option<Arc<Backend>> {
    match strategy {
        Strategy::Spread => eligible
            .iter()
            .min_by_key(|backend| (load(backend, counts), backend.name.clone()))
            .cloned(),
    }
}

/// The daemon's words for a name that is taken.
pub(super) fn name_taken(name: &str, id: &str) -> String {
    format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or \
         rename) that container to be able to reuse that name."
    )
}
