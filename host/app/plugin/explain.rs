//! `flockerd plugin explain`: what each plugin of a chain says about a create, and what comes of it.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Desk,
    answer::{Answer, told, value},
    asked::{Asked, Call, Client, Create, Json, Newcomer},
    diff::changes,
    flock::{Described, Flock},
};
use crate::{
    config::{self, OnFailure, Problem, document},
    plugin::{Hook, Plugins},
    state::memory::Memory,
};

/// What the container is called; the body of a create does not say.
const NAME: &str = "explained";

/// The file with the flock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    backend: Vec<Described>,
    /// `[config.NAME]`: the table of the plugin NAME; otherwise that of the configuration.
    #[serde(default)]
    config: BTreeMap<String, toml::Table>,
    /// What `map` hooks are told of the image.
    #[serde(default = "Json::image")]
    image: Json,
}

/// A plugin, alone, so that its own answer is seen.
struct Link {
    name: String,
    plugins: Plugins,
    on_failure: OnFailure,
}

/// The explanation as it grows.
struct Story {
    chain: Vec<Link>,
    flock: Flock,
    report: String,
    /// The body as changed so far.
    body: String,
}

/// The answer that ended the call before a backend saw it.
struct Ended(String);

/// Explains what becomes of the create, without any backend.
///
/// # Errors
/// When a file cannot be read or a plugin not be loaded.
pub(super) async fn explain(desk: Desk, create: &Path, flock: &Path) -> Result<String, Problem> {
    let body = read(create)?;
    let file: File = document(flock)?;
    let mut story = Story {
        chain: links(&desk, file.config).await?,
        flock: Flock::new(&file.backend)?,
        report: String::new(),
        body: body.clone(),
    };
    let result = match story.tell(file.image).await {
        Ok(result) | Err(Ended(result)) => result,
    };
    story.line("result", "", &result);
    let changed = changes("", &value(&body), &value(&story.body));
    story.details(&changed);
    Ok(story.report)
}

/// Reads a create body.
fn read(create: &Path) -> Result<String, Problem> {
    let place = create.display();
    let text = fs::read_to_string(create)
        .map_err(|error| Problem::new(format!("cannot read {place}: {error}"), "check the path"))?;
    let object = serde_json::from_str::<Map<String, Value>>(&text);
    let hint = "give the JSON body of POST /containers/create, such as {\"Image\": \"nginx\"}";
    object
        .map_err(|error| Problem::new(format!("{place}: {error}"), hint))
        .map(|_| text)
}

async fn links(
    desk: &Desk,
    mut configs: BTreeMap<String, toml::Table>,
) -> Result<Vec<Link>, Problem> {
    if desk.chain.is_empty() {
        let hint = "give components, or a configuration that has some";
        return Err(Problem::new("there is no plugin", hint));
    }
    let mut links = Vec::new();
    for mut plugin in desk.chain.clone() {
        if let Some(config) = configs.remove(&plugin.name) {
            plugin.config = config::object(config);
        }
        let on_failure = std::mem::replace(&mut plugin.on_failure, OnFailure::Refuse);
        let plugins = desk
            .load(&plugin)
            .await?
            .with_state(Arc::new(Memory::new()));
        links.push(Link {
            name: plugin.name,
            plugins,
            on_failure,
        });
    }
    match configs.keys().next() {
        None => Ok(links),
        Some(name) => Err(Problem::new(
            format!("[config.{name}] is for no plugin of the chain"),
            "a plugin is called as in the configuration, else as its file without the extension",
        )),
    }
}

impl Story {
    /// Asks hook by hook, and returns the final decision.
    async fn tell(&mut self, image: Json) -> Result<String, Ended> {
        self.round(Hook::Request, |body| Asked::Request(Call::create(body)))
            .await?;
        let chosen = self.round(Hook::Route, newcomer).await?;
        let (backend, by) = match chosen {
            Some((backend, plugin)) => (backend, format!("chosen by {plugin}")),
            None => (
                self.spread()?,
                "chosen by the strategy, as no plugin has an opinion".to_owned(),
            ),
        };
        let home = backend.clone();
        let create = move |body: &str| {
            Asked::Map(Create {
                name: NAME.to_owned(),
                container: Json(body.to_owned()),
                image: image.clone(),
                backend: home.clone(),
                client: Client::default(),
            })
        };
        self.round(Hook::Map, create).await?;
        Ok(format!("{backend}, {by}"))
    }

    fn spread(&self) -> Result<String, Ended> {
        let backend = self.flock.spread().map(str::to_owned);
        backend.ok_or_else(|| Ended("503, no backend is available".to_owned()))
    }

    /// Asks the plugins that export the hook, and returns the backend that one of them chose, with its name.
    async fn round(
        &mut self,
        hook: Hook,
        question: impl Fn(&str) -> Asked,
    ) -> Result<Option<(String, String)>, Ended> {
        let mut chosen: Option<(String, String)> = None;
        for link in std::mem::take(&mut self.chain) {
            if !link.plugins.has(hook) {
                self.chain.push(link);
                continue;
            }
            if let Some((_, first)) = &chosen {
                let words = format!("not asked, {first} has decided");
                self.line(hook.name(), &link.name, &words);
            } else {
                let asked = question(&self.body);
                let backend = self.ask(&link, &asked).await?;
                chosen = backend.map(|backend| (backend, link.name.clone()));
            }
            self.chain.push(link);
        }
        Ok(chosen)
    }

    /// Asks one plugin, tells what it says, and takes up what it changed. Returns the backend that it chose.
    async fn ask(&mut self, link: &Link, asked: &Asked) -> Result<Option<String>, Ended> {
        let hook = asked.hook().name();
        let answer = asked.ask(&link.plugins, &self.flock).await;
        let body = answer.as_ref().ok().and_then(Answer::body);
        let told = told(answer);
        let skipped = told.contains_key("failed") && link.on_failure == OnFailure::Skip;
        let mut words = words(&told);
        if skipped {
            words.push_str(" (skipped)");
        }
        self.line(hook, &link.name, &words);
        let ends = ["refused", "failed", "response"];
        if !skipped && ends.iter().any(|end| told.contains_key(*end)) {
            return Err(Ended(format!("no backend: {} {words}", link.name)));
        }
        if let Some(body) = body {
            let changed = changes("", &value(&self.body), &value(&body));
            self.details(&changed);
            self.body = body;
        }
        let backend = told.get("backend").and_then(Value::as_str);
        Ok(backend.map(str::to_owned))
    }

    fn line(&mut self, hook: &str, plugin: &str, words: &str) {
        let line = match plugin {
            "" => format!("{hook:<8} {words}"),
            plugin => format!("{hook:<8} {plugin}: {words}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.report, "{line}");
    }

    fn details(&mut self, lines: &[String]) {
        for line in lines {
            let _ = writeln!(self.report, "         {line}");
        }
    }
}

/// The body of a create as a `route` hook is asked about it.
fn newcomer(body: &str) -> Asked {
    let image = value(body)["Image"].as_str().map(str::to_owned);
    Asked::Route(Newcomer {
        name: Some(NAME.to_owned()),
        image,
        body: Some(Json(body.to_owned())),
        ..Newcomer::default()
    })
}

/// What was said, for people.
fn words(told: &Map<String, Value>) -> String {
    let one = |(key, value): (&String, &Value)| match (key.as_str(), value) {
        ("refused", refused) => {
            let message = refused["message"].as_str().unwrap_or_default();
            format!("refuses with {}: {message}", refused["status"])
        }
        ("failed", reason) => format!("fails: {}", reason.as_str().unwrap_or_default()),
        ("response", response) => format!("answers with {}", response["status"]),
        ("backend", backend) => format!("backend {}", backend.as_str().unwrap_or_default()),
        _ => "changes the body".to_owned(),
    };
    match told.is_empty() {
        true => "no opinion".to_owned(),
        false => told.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}
