//! Placing: which backend something new goes to.
//!
//! First the hard constraints, then the `route` hooks, then the strategy.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{Method, StatusCode};

use super::{Proxy, Turn, fanout, forward, hooks, items, load::UnderWay};
use crate::{
    backend::{Backend, Health},
    config::Strategy,
    docker::{client::Client, create::Tie, group::Group, query::Query},
    error::Error,
    inventory::index::{BackendName, Counts, Lookup},
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
    /// Ports of its host that it needs, `8080/tcp`.
    pub(super) ports: &'a [String],
    /// What it belongs to: it goes where the rest of it lives.
    pub(super) group: Option<Group>,
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

impl Newcomer<'_> {
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
    pub(super) async fn place(&self, turn: &Turn, newcomer: Newcomer<'_>) -> Result<Placed, Error> {
        let eligible = self.eligible(turn, newcomer.ties).await?;
        let eligible = narrowed(eligible, |backend| suits(backend, newcomer.platform));
        let eligible = self.with_free_ports(turn, eligible, newcomer.ports).await?;
        // Held until the choice is noted: two parts of a group that come at once must not both be its first.
        let _group = match &newcomer.group {
            Some(group) => Some(self.locks.groups.reserve(group).await),
            None => None,
        };
        let eligible = self.with_its_group(turn, eligible, newcomer.group.as_ref())?;
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

    /// Where the hooks want something new, if they want anything; what it does not matter then is the caller's to
    /// decide.
    ///
    /// # Errors
    /// As [`Proxy::place`].
    pub(super) async fn opinion(
        &self,
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

    /// Of the eligible backends those where nobody has the ports, when there are such.
    async fn with_free_ports(
        &self,
        turn: &Turn,
        eligible: Vec<Arc<Backend>>,
        ports: &[String],
    ) -> Result<Vec<Arc<Backend>>, Error> {
        // Forwarded ports are the flock's, not the backend's: where they are taken does not matter.
        if ports.is_empty() || eligible.len() < 2 || self.published.is_some() {
            return Ok(eligible);
        }
        let filters = serde_json::json!({ "publish": ports }).to_string();
        let query = Query::default().with("filters", &filters);
        let request = |_: &Backend| forward::own(turn, Method::GET, "/containers/json", &query.0);
        let asked = eligible.iter().filter(|backend| !backend.is_slow());
        let answers = fanout::ask(asked, super::locate::ASK, request).await?;
        let mut taken = Vec::new();
        for (backend, body) in &answers.ok {
            if !items::parse(&backend.name, body)?.is_empty() {
                taken.push(backend.name.clone());
            }
        }
        Ok(narrowed(eligible, |backend| !taken.contains(&backend.name)))
    }

    /// Of the eligible backends the one where a group lives. What its ties bind elsewhere goes there all the same.
    fn with_its_group(
        &self,
        turn: &Turn,
        eligible: Vec<Arc<Backend>>,
        group: Option<&Group>,
    ) -> Result<Vec<Arc<Backend>>, Error> {
        let known = group.and_then(|group| {
            let home = self.inventory.index.home(group);
            Some((group, home.or_else(|| self.places.home(group))?))
        });
        let Some((group, home)) = known else {
            return Ok(eligible);
        };
        let there = eligible.iter().find(|backend| backend.name == home);
        match there {
            Some(backend) => Ok(vec![backend.clone()]),
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
        let decision = match turn.plugins.has(Hook::Route) {
            true => self.ask_route(turn, newcomer, eligible).await?,
            false => Default::default(),
        };
        let backend = match &decision.backend {
            Some(name) => turn.backend(name)?,
            None => self
                .choose(&self.with_its_image(eligible, newcomer))
                .ok_or(Error::NoBackend)?,
        };
        tracing::debug!(backend = %backend.name, plugin = decision.plugin, name = newcomer.name, "placed");
        let is_container = newcomer.subject == route::Subject::Container;
        let container = newcomer.name.filter(|_| is_container);
        Ok(Placed {
            under_way: self
                .places
                .begin(&backend, container, newcomer.group.clone()),
            body: decision.body,
            backend,
        })
    }

    /// The built-in choice.
    pub(super) fn choose(&self, eligible: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        choose(self.settings.strategy, eligible, &self.loads().now())
    }

    /// Of the eligible backends those that have a container's image, when some have.
    fn with_its_image(
        &self,
        eligible: &[Arc<Backend>],
        newcomer: &Newcomer<'_>,
    ) -> Vec<Arc<Backend>> {
        let image = newcomer
            .image
            .filter(|_| newcomer.subject == route::Subject::Container);
        let holders = image.map(|image| self.inventory.index.image(image).right());
        let holders = holders.unwrap_or_default();
        narrowed(eligible.to_vec(), |backend| holders.contains(&backend.name))
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
        let mut bound: Vec<(&Tie, Vec<BackendName>)> = Vec::new();
        for tie in ties.iter().filter(|tie| !self.is_shared(tie)) {
            let owners = self.owners(turn, tie).await?;
            if !owners.is_empty() {
                bound.push((tie, owners));
            }
        }
        let Some((first, owners)) = bound.first() else {
            let usable: Vec<_> = turn.flock.usable().cloned().collect();
            return match usable.is_empty() {
                false => Ok(usable),
                true => Err(Error::NoBackend),
            };
        };
        let mut names = owners.clone();
        for (tie, owners) in &bound[1..] {
            let both: Vec<_> = names
                .iter()
                .filter(|name| owners.contains(name))
                .cloned()
                .collect();
            if both.is_empty() {
                let together = self.brought_together(turn, &bound).await?;
                let names = together.ok_or_else(|| apart(first, &names, tie, owners))?;
                return reachable(turn, &first.describe(), &names);
            }
            names = both;
        }
        reachable(turn, &first.describe(), &names)
    }

    /// The backends that have what a tie names; none when nobody has it, and then a daemon may say so.
    async fn owners(&self, turn: &Turn, tie: &Tie) -> Result<Vec<BackendName>, Error> {
        Ok(match tie {
            Tie::Network(name) => match self.inventory.index.network(name, None) {
                Lookup::Found(network) => vec![network.backend],
                Lookup::SameName(all) => all.into_iter().map(|network| network.backend).collect(),
                Lookup::SamePrefix(_) | Lookup::Missing => Vec::new(),
            },
            Tie::Volume(name) => {
                let owners = self.inventory.index.volumes(name);
                owners.into_iter().map(|volume| volume.backend).collect()
            }
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

/// Those that something is true of, unless it is true of none.
fn narrowed(
    backends: Vec<Arc<Backend>>,
    is_better: impl Fn(&Backend) -> bool,
) -> Vec<Arc<Backend>> {
    let better = backends.iter().filter(|backend| is_better(backend));
    let better: Vec<_> = better.cloned().collect();
    if better.is_empty() { backends } else { better }
}

/// True for a backend of the architecture in a platform, `linux/arm64/v8`.
fn suits(backend: &Backend, platform: Option<&str>) -> bool {
    let wanted = platform.and_then(|platform| platform.split('/').nth(1));
    let status = backend.status();
    wanted.is_none_or(|wanted| {
        let engine = status.engine.as_ref();
        engine.is_none_or(|engine| engine.arch == wanted)
    })
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

fn apart(first: &Tie, on: &[BackendName], second: &Tie, on_other: &[BackendName]) -> Error {
    let (on, on_other) = (on.join(", "), on_other.join(", "));
    let (first, second) = (first.describe(), second.describe());
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
