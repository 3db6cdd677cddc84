//! One question to a hook, as it stands in a cases file.

mod notices;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;

pub(super) use notices::Notices;

use super::{answer::Answer, flock::Flock};
use crate::{
    config,
    docker::endpoint,
    error::Error,
    plugin::{Decision, Hook, Plugins, Verdict, map, registry_auth, request, route, start, types},
};

/// The question, by hook.
pub(super) enum Asked {
    Request(Call),
    Route(Newcomer),
    Map(Create),
    Start(Start),
    List(Nothing),
    RegistryAuth(Login),
    Event(Notices),
}

/// For `request`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    #[serde(deserialize_with = "method")]
    pub(super) method: Method,
    pub(super) path: String,
    #[serde(default)]
    query: String,
    version: Option<String>,
    #[serde(default, deserialize_with = "headers")]
    headers: HeaderMap,
    pub(super) body: Option<Json>,
    #[serde(default)]
    client: Client,
}

/// For `route`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newcomer {
    #[serde(default)]
    pub(super) subject: Subject,
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) body: Option<Json>,
    #[serde(default)]
    pub(super) client: Client,
}

/// For `map`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    #[serde(default)]
    pub(super) name: String,
    pub(super) container: Json,
    #[serde(default = "Json::image")]
    pub(super) image: Json,
    pub(super) backend: String,
    #[serde(default)]
    pub(super) client: Client,
}

/// For `start`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    #[serde(default)]
    name: String,
    container: Json,
    image: Option<Json>,
    pub(super) backend: String,
    body: Option<Json>,
    #[serde(default)]
    client: Client,
}

/// For `list`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// For `registry-auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    registry: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    client: Client,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    address: String,
    identity: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Subject {
    #[default]
    Container,
    Pull,
    Import,
    Load,
    Build,
    Network,
    Volume,
}

/// JSON text: written as a table, or byte for byte as a string.
#[derive(Debug, Clone)]
pub(super) struct Json(pub(super) String);

impl Asked {
    pub(super) fn hook(&self) -> Hook {
        match self {
            Self::Request(_) => Hook::Request,
            Self::Route(_) => Hook::Route,
            Self::Map(_) => Hook::Map,
            Self::Start(_) => Hook::Start,
            Self::List(_) => Hook::List,
            Self::RegistryAuth(_) => Hook::RegistryAuth,
            Self::Event(_) => Hook::Event,
        }
    }

    /// The backend that the question is about; it must be one of the flock.
    pub(super) fn backend(&self) -> Option<&str> {
        match self {
            Self::Map(create) => Some(&create.backend),
            Self::Start(start) => Some(&start.backend),
            Self::Request(_)
            | Self::Route(_)
            | Self::List(_)
            | Self::RegistryAuth(_)
            | Self::Event(_) => None,
        }
    }

    /// Asks the plugins.
    ///
    /// # Errors
    /// As [`Plugins`], and when the flock has not the backend in question.
    pub(super) async fn ask(&self, plugins: &Plugins, flock: &Flock) -> Result<Answer, Error> {
        match self {
            Self::Request(call) => call.ask(plugins, flock).await.map(Answer::Verdict),
            Self::Route(newcomer) => newcomer.ask(plugins, flock).await.map(Answer::Decision),
            Self::Map(create) => create.ask(plugins, flock).await.map(Answer::Changed),
            Self::Start(start) => start.ask(plugins, flock).await.map(Answer::Changed),
            Self::List(Nothing {}) => {
                let answers = plugins.list(&flock.scene(false, None)).await;
                let answers = answers.into_iter().map(|(_, answer)| answer);
                let entries: Result<Vec<_>, Error> = answers.collect();
                entries.map(|entries| Answer::Listed(entries.concat()))
            }
            Self::RegistryAuth(login) => {
                let request = registry_auth::Request {
                    registry: &login.registry,
                    image: &login.image,
                    client: login.client.shown(),
                };
                let scene = flock.scene(false, None);
                let credentials = plugins.registry_auth(request, &scene).await;
                credentials.map(Answer::Credentials)
            }
            Self::Event(Notices(told)) => {
                let heard = plugins.tell(told, &flock.scene(false, None)).await;
                heard.map(|()| Answer::Heard)
            }
        }
    }
}

impl Call {
    /// `POST /containers/create`, as the docker CLI sends it.
    pub(super) fn create(body: &str) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            method: Method::POST,
            path: "/containers/create".to_owned(),
            query: String::new(),
            version: None,
            headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]),
            body: Some(Json(body.to_owned())),
            client: Client::default(),
        }
    }

    async fn ask(&self, plugins: &Plugins, flock: &Flock) -> Result<Verdict, Error> {
        let row = endpoint::find(&self.method, &self.path);
        let call = request::Call {
            method: self.method.as_str(),
            path: &self.path,
            query: &self.query,
            version: self.version.as_deref(),
            endpoint: row.map(|(row, _)| row.path),
            headers: &[],
            client: self.client.shown(),
        };
        let body = self.body.as_ref().map(|Json(text)| text.as_str());
        let scene = flock.scene(false, body);
        plugins.request(call, &self.headers, &scene).await
    }
}

impl Newcomer {
    async fn ask(&self, plugins: &Plugins, flock: &Flock) -> Result<Decision, Error> {
        let request = route::Request {
            subject: self.subject.shown(),
            name: self.name.as_deref(),
            image: self.image.as_deref(),
            platform: self.platform.as_deref(),
            body: self.body.as_ref().map(|Json(text)| text),
            client: self.client.shown(),
        };
        let resolve = |answer: &str| flock.resolve(answer);
        let scene = flock.scene(true, None);
        plugins.route(request, &scene, &resolve).await
    }
}

impl Create {
    async fn ask(&self, plugins: &Plugins, flock: &Flock) -> Result<Option<String>, Error> {
        let request = map::Request {
            name: &self.name,
            container: &self.container.0,
            image: &self.image.0,
            backend: known(flock, &self.backend)?,
            client: self.client.shown(),
        };
        plugins.map(request, &flock.scene(false, None)).await
    }
}

impl Start {
    async fn ask(&self, plugins: &Plugins, flock: &Flock) -> Result<Option<String>, Error> {
        let request = start::Request {
            name: &self.name,
            container: &self.container.0,
            image: self.image.as_ref().map(|Json(text)| text),
            backend: known(flock, &self.backend)?,
            body: self.body.as_ref().map(|Json(text)| text),
            client: self.client.shown(),
        };
        plugins.start(request, &flock.scene(false, None)).await
    }
}

fn known<'a>(flock: &'a Flock, name: &str) -> Result<&'a types::Backend, Error> {
    let absent = || Error::backend(name, "the flock has none of this name");
    flock.find(name).ok_or_else(absent)
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: "unix".to_owned(),
            identity: Some("uid:1000".to_owned()),
        }
    }
}

impl Client {
    fn shown(&self) -> types::Client<'_> {
        types::Client {
            address: &self.address,
            identity: self.identity.as_deref(),
        }
    }
}

impl Subject {
    fn shown(self) -> route::Subject {
        match self {
            Self::Container => route::Subject::Container,
            Self::Pull => route::Subject::Pull,
            Self::Import => route::Subject::Import,
            Self::Load => route::Subject::Load,
            Self::Build => route::Subject::Build,
            Self::Network => route::Subject::Network,
            Self::Volume => route::Subject::Volume,
        }
    }
}

impl Json {
    /// What an inspect tells of an image without any configuration.
    pub(super) fn image() -> Self {
        Self(json!({"Config": {}}).to_string())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            value @ toml::Value::Table(_) => Ok(Self(config::json(value).to_string())),
            _ => Err(de::Error::custom("JSON is written as a table or a string")),
        }
    }
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    let given = BTreeMap::<String, String>::deserialize(deserializer)?;
    let header = |(name, value): (String, String)| {
        let name: HeaderName = name.parse().map_err(de::Error::custom)?;
        let value: HeaderValue = value.parse().map_err(de::Error::custom)?;
        Ok((name, value))
    };
    given.into_iter().map(header).collect()
}
