//! `flockerd plugin test`: the cases of a file, each a flock, a question to a hook, and what it is to say.

mod expect;

use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Desk,
    answer::told,
    asked::{Asked, Call, Create, Login, Newcomer, Nothing, Notices, Start},
    flock::{Described, Flock},
};
use crate::{
    config::{self, OnFailure, PluginConfig, Problem, document},
    plugin::{Hook, Loaded, Plugins, key_of},
    state::{StateStore, memory::Memory},
};
use expect::Expect;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The plugin's own table; otherwise that of the configuration.
    config: Option<toml::Table>,
    /// For the cases that have none of their own.
    #[serde(default)]
    backend: Vec<Described>,
    case: Vec<Written>,
}

/// One `[[case]]`: exactly one of the hooks has its question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: String,
    #[serde(default)]
    backend: Vec<Described>,
    /// What the plugin remembers.
    #[serde(default)]
    keyspace: BTreeMap<String, String>,
    request: Option<Call>,
    route: Option<Newcomer>,
    map: Option<Create>,
    start: Option<Start>,
    list: Option<Nothing>,
    registry_auth: Option<Login>,
    event: Option<Notices>,
    #[serde(default)]
    expect: Expect,
}

/// The plugin's cases.
pub(super) struct Cases {
    /// The plugin's own table, when the file has one.
    pub(super) config: Option<Map<String, Value>>,
    pub(super) cases: Vec<Case>,
}

/// A question in its surroundings.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) flock: Flock,
    pub(super) asked: Asked,
    keyspace: BTreeMap<String, String>,
    expect: Expect,
}

/// Runs all cases. Returns a line for each with what differs, and whether all went as expected.
pub(super) async fn test(mut desk: Desk, file: &Path) -> Result<(String, bool), Problem> {
    let cases = Cases::read(file)?;
    if let Some(case) = cases.cases.iter().find(|case| case.expect.is_empty()) {
        return Err(Problem::new(
            format!("{}: case \"{}\" expects nothing", file.display(), case.name),
            "give it `expect`, such as { backend = \"node1\" } or { none = true }",
        ));
    }
    cases.configure(desk.plugin());
    let plugin = &desk.chain[0];
    let loaded = desk.load(plugin).await?;
    let mut report = String::new();
    let mut failed = 0;
    for case in &cases.cases {
        let differences = case.run(&loaded, &plugin.name).await;
        failed += usize::from(!differences.is_empty());
        let mark = if differences.is_empty() {
            "ok   "
        } else {
            "fail "
        };
        let _ = writeln!(report, "{mark} {}: {}", case.asked.hook().name(), case.name);
        for line in differences {
            let _ = writeln!(report, "      {line}");
        }
    }
    let _ = writeln!(report, "{} cases, {failed} failed", cases.cases.len());
    Ok((report, failed == 0))
}

impl Cases {
    /// # Errors
    /// When the file is of another shape, or a case has no question or one that cannot be asked.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        let written: File = document(file)?;
        let shared = written.backend;
        let cases = written.case.into_iter().map(|case| {
            let name = case.name.clone();
            case.understood(&shared).map_err(|problem| {
                let message = format!("{}: case \"{name}\": {problem}", file.display());
                Problem { message, ..problem }
            })
        });
        Ok(Self {
            config: written.config.map(config::object),
            cases: cases.collect::<Result<_, _>>()?,
        })
    }

    /// Sets what the file says about the plugin. A failure is to be seen, not skipped.
    pub(super) fn configure(&self, plugin: &mut PluginConfig) {
        plugin.on_failure = OnFailure::Refuse;
        if let Some(config) = &self.config {
            plugin.config = config.clone();
        }
    }
}

impl Written {
    fn understood(self, shared: &[Described]) -> Result<Case, Problem> {
        let own = if self.backend.is_empty() {
            shared
        } else {
            &self.backend
        };
        let flock = Flock::new(own)?;
        let mut questions = [
            self.request.map(Asked::Request),
            self.route.map(Asked::Route),
            self.map.map(Asked::Map),
            self.start.map(Asked::Start),
            self.list.map(Asked::List),
            self.registry_auth.map(Asked::RegistryAuth),
            self.event.map(Asked::Event),
        ]
        .into_iter()
        .flatten();
        let (Some(asked), None) = (questions.next(), questions.next()) else {
            return Err(Problem::new(
                "it must ask exactly one hook",
                "give it one table: request, route, map, start, list, registry-auth or event",
            ));
        };
        if let Some(absent) = asked.backend().filter(|name| flock.find(name).is_none()) {
            return Err(Problem::new(
                format!("it has no backend {absent}"),
                "describe it as [[backend]]",
            ));
        }
        Ok(Case {
            name: self.name,
            flock,
            asked,
            keyspace: self.keyspace,
            expect: self.expect,
        })
    }
}

impl Case {
    /// Gives the plugin a state store that has what the case wants it to remember.
    ///
    /// # Errors
    /// When the plugin does not export the hook.
    pub(super) async fn prepare(
        &self,
        loaded: &Loaded,
        name: &str,
    ) -> Result<(Plugins, Arc<Memory>), Problem> {
        let hook: Hook = self.asked.hook();
        if !loaded.has(hook) {
            return Err(Problem::new(
                format!(
                    "case \"{}\" asks the {} hook, which {name} does not export",
                    self.name,
                    hook.name()
                ),
                "`flockerd plugin check` tells which hooks it exports",
            ));
        }
        let store = Arc::new(Memory::new());
        for (key, value) in &self.keyspace {
            let stored = store.set(&key_of(name, key), value.as_bytes(), None).await;
            stored.map_err(|error| Problem::new(error.to_string(), "give it another key"))?;
        }
        Ok((loaded.clone().with_state(store.clone()), store))
    }

    /// Asks, and returns what differs from the expectation.
    async fn run(&self, loaded: &Loaded, name: &str) -> Vec<String> {
        match self.prepare(loaded, name).await {
            Ok((plugins, store)) => {
                let mut said = told(self.asked.ask(&plugins, &self.flock).await);
                if self.expect.looks_at_keys() {
                    said.insert("keyspace".to_owned(), keys(&store, name).await);
                }
                self.expect.differences(&said)
            }
            Err(problem) => vec![problem.message],
        }
    }
}

/// What the plugin remembers now, by its own names of the keys.
async fn keys(store: &Memory, name: &str) -> Value {
    let prefix = key_of(name, "");
    let mut remembered = Map::new();
    for key in store.keys(&prefix).await.unwrap_or_default() {
        let value = store.get(&key).await.ok().flatten().unwrap_or_default();
        let value = String::from_utf8_lossy(&value).into_owned();
        remembered.insert(key[prefix.len()..].to_owned(), value.into());
    }
    remembered.into()
}
