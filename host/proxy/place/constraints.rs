//! What must hold of a backend before anybody chooses.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::{
    backend::Backend,
    docker::{create::Tie, query::Query},
    error::Error,
    inventory::index::BackendName,
    proxy::{Proxy, Turn, fanout, forward, items, locate::ASK},
};

impl Proxy {
    /// The backends that can take something with these ties: usable, and having all that it refers to.
    pub(super) async fn eligible(
        self: &Arc<Self>,
        turn: &Turn,
        ties: &[Tie],
    ) -> Result<Vec<Arc<Backend>>, Error> {
        let mut bound: Vec<(&Tie, Vec<BackendName>)> = Vec::new();
        for tie in ties {
            let owners = self.owners(turn, tie).await?;
            if !owners.is_empty() && !self.is_shared(tie) {
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
            Tie::Network(name) => {
                let networks = self.networks_named(turn, name).await?;
                networks
                    .into_iter()
                    .map(|network| network.backend)
                    .collect()
            }
            Tie::Volume(name) => {
                let owners = self.volumes_named(turn, name, None).await?;
                owners.into_iter().map(|volume| volume.backend).collect()
            }
            Tie::Container(name) => match self.container(turn, name).await {
                Ok((_, located)) => vec![located.backend],
                Err(error) if error.status() == StatusCode::NOT_FOUND => Vec::new(),
                Err(error) => return Err(error),
            },
        })
    }

    /// Of the eligible backends those where nobody has the ports, when there are such.
    pub(super) async fn with_free_ports(
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
        let answers = fanout::ask(asked, ASK, request).await?;
        let mut taken = Vec::new();
        for (backend, body) in &answers.ok {
            if !items::parse(&backend.name, body)?.is_empty() {
                taken.push(backend.name.clone());
            }
        }
        Ok(narrowed(eligible, |backend| !taken.contains(&backend.name)))
    }
}

/// Those that something is true of, unless it is true of none.
pub(in crate::proxy) fn narrowed(
    backends: Vec<Arc<Backend>>,
    is_better: impl Fn(&Backend) -> bool,
) -> Vec<Arc<Backend>> {
    let better = backends.iter().filter(|backend| is_better(backend));
    let better: Vec<_> = better.cloned().collect();
    if better.is_empty() { backends } else { better }
}

/// True for a backend of the architecture in a platform, `linux/arm64/v8`.
pub(in crate::proxy) fn suits(backend: &Backend, platform: Option<&str>) -> bool {
    let wanted = platform.and_then(|platform| platform.split('/').nth(1));
    let status = backend.status();
    wanted.is_none_or(|wanted| {
        let engine = status.engine.as_ref();
        engine.is_none_or(|engine| engine.arch == wanted)
    })
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
