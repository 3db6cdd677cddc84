//! A flock as the author's tools read it: backends that are described, not asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use serde::Deserialize;

use crate::{
    config::{Problem, Size},
    plugin::{JsonBody, Scene, types},
};

/// One `[[backend]]` of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    name: String,
    /// Otherwise `tcp://NAME:2375`.
    address: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    health: Health,
    #[serde(default)]
    running: u32,
    /// Otherwise those that run.
    containers: Option<u32>,
    #[serde(default)]
    placing: u32,
    #[serde(default)]
    cpus: u32,
    memory: Option<Size>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Unknown,
    #[default]
    Up,
    Down,
}

/// The backends, ordered by name.
#[derive(Clone, Default)]
pub(super) struct Flock(Arc<[types::Backend]>);

/// What `body.read` returns.
struct Text(String);

impl Flock {
    /// # Errors
    /// When two have one name.
    pub(super) fn new(described: &[Described]) -> Result<Self, Problem> {
        let mut names = BTreeSet::new();
        if let Some(twice) = described
            .iter()
            .find(|backend| !names.insert(&backend.name))
        {
            return Err(Problem::new(
                format!("two backends are called {}", twice.name),
                "give each a name of its own",
            ));
        }
        let mut backends: Vec<_> = described.iter().map(Described::shown).collect();
        backends.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(backends.into()))
    }

    /// What plugins see: all backends, or for a `route` hook those that can be chosen.
    pub(super) fn scene(&self, is_choice: bool, body: Option<&str>) -> Scene {
        let all = self.0.clone();
        let shown = move || {
            let shown = all.iter().filter(|backend| !is_choice || up(backend));
            shown.cloned().collect()
        };
        let body = body.map(|text| Arc::new(Text(text.to_owned())) as Arc<dyn JsonBody>);
        Scene {
            backends: Arc::new(shown),
            body,
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&types::Backend> {
        self.0.iter().find(|backend| backend.name == name)
    }

    /// Turns a `route` hook's answer into a backend's name, or says why it cannot be one.
    pub(super) fn resolve(&self, answer: &str) -> Result<String, String> {
        let named = |backend: &&types::Backend| backend.name == answer || backend.address == answer;
        match self.0.iter().find(named) {
            None => Err(format!(
                "it answered \"{answer}\", which is no backend of the flock"
            )),
            Some(backend) if !up(backend) => {
                Err(format!("it answered \"{answer}\", which is down"))
            }
            Some(backend) => Ok(backend.name.clone()),
        }
    }

    /// The choice of the strategy: fewest containers that run or are about to, a tie goes by name.
    pub(super) fn spread(&self) -> Option<&str> {
        let choices = self.0.iter().filter(|backend| up(backend));
        let least =
            choices.min_by_key(|backend| (backend.running + backend.placing, &backend.name));
        least.map(|backend| backend.name.as_str())
    }
}

impl Described {
    fn shown(&self) -> types::Backend {
        let address = || format!("tcp://{}:2375", self.name);
        types::Backend {
            name: self.name.clone(),
            address: self.address.clone().unwrap_or_else(address),
            labels: self.labels.clone().into_iter().collect(),
            health: match self.health {
                Health::Unknown => types::Health::Unknown,
                Health::Up => types::Health::Up,
                Health::Down => types::Health::Down,
            },
            running: self.running,
            containers: self.containers.unwrap_or(self.running),
            placing: self.placing,
            cpus: self.cpus,
            memory: self.memory.map_or(0, |Size(bytes)| bytes as u64),
        }
    }
}

#[async_trait]
impl JsonBody for Text {
    async fn read(&self) -> Result<Option<String>, String> {
        Ok(Some(self.0.clone()))
    }
}

fn up(backend: &types::Backend) -> bool {
    backend.health != types::Health::Down
}
