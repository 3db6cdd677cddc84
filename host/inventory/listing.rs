//! Everything one backend has, read from its lists.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Method, Request};
use serde::{Deserialize, de::DeserializeOwned};

use super::index::Stage;
use crate::{
    backend::{Backend, Engine},
    docker::{
        self,
        version::{ApiVersion, Range},
    },
    error::Error,
};

/// The longest list that is read.
const LIST_MAX: usize = 256 << 20;

/// What a backend has.
#[derive(Default)]
pub struct Listing {
    /// Id, name, stage.
    pub containers: Vec<(String, Option<String>, Stage)>,
    /// Names and ids.
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    names: Option<Vec<String>>,
    /// Seconds since the epoch, by the daemon's clock.
    #[serde(default)]
    created: u64,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
    #[serde(default, rename = "MinAPIVersion")]
    min_api_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Info {
    #[serde(rename = "NCPU")]
    cpus: u32,
    mem_total: u64,
}

/// Asks a daemon what it is.
pub(super) async fn engine(backend: &Backend) -> Result<Engine, Error> {
    let version: Version = ask(backend, "/version").await?;
    let info: Info = ask(backend, "/info").await?;
    let number = |text: &str| text.parse::<ApiVersion>().ok();
    let unknown = Range::UNKNOWN;
    Ok(Engine {
        versions: Range {
            min: number(&version.min_api_version).unwrap_or(unknown.min),
            max: number(&version.api_version).unwrap_or(unknown.max),
        },
        version: version.version,
        cpus: info.cpus,
        memory: info.mem_total,
    })
}

/// Asks a daemon for everything it has.
pub(super) async fn listing(backend: &Backend) -> Result<Listing, Error> {
    let containers: Vec<Container> = ask(backend, "/containers/json?all=1").await?;
    let networks: Vec<Network> = ask(backend, "/networks").await?;
    let volumes: Volumes = ask(backend, "/volumes").await?;
    Ok(Listing {
        containers: containers.into_iter().map(Container::entry).collect(),
        networks: networks
            .into_iter()
            .flat_map(|network| [network.id, network.name])
            .collect(),
        volumes: volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| volume.name)
            .collect(),
    })
}

impl Container {
    fn entry(self) -> (String, Option<String>, Stage) {
        let name = own_name(self.names.as_deref().unwrap_or_default());
        let stage = match self.state.as_str() {
            "created" => Stage::Created(ago(self.created)),
            "running" | "paused" | "restarting" => Stage::Running,
            _ => Stage::Stopped,
        };
        (self.id, name, stage)
    }
}

/// The moment of a time since the epoch; how far back it lies matters up to an hour only.
fn ago(seconds: u64) -> Instant {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let age = now
        .saturating_sub(Duration::from_secs(seconds))
        .min(Duration::from_secs(3600));
    Instant::now().checked_sub(age).unwrap_or_else(Instant::now)
}

/// A container's own name among its names; those with an inner slash are links.
pub(super) fn own_name(names: &[String]) -> Option<String> {
    let names = names.iter().map(|name| name.trim_start_matches('/'));
    names
        .filter(|name| !name.is_empty())
        .find(|name| !name.contains('/'))
        .map(str::to_owned)
}

/// Reads the JSON that a daemon answers to a GET.
async fn ask<T: DeserializeOwned>(backend: &Backend, path: &str) -> Result<T, Error> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header("host", "docker");
    let request = request
        .body(docker::empty())
        .map_err(|reason| Error::backend(&backend.name, reason))?;
    let response = backend.probe(request).await?;
    let bad = |reason: String| Error::BadAnswer {
        backend: backend.name.to_string(),
        reason,
    };
    if !response.status().is_success() {
        return Err(bad(format!("{} to GET {path}", response.status())));
    }
    let body = docker::collect(response.into_body(), LIST_MAX)
        .await
        .map_err(|reason| bad(reason.to_string()))?;
    serde_json::from_slice(&body).map_err(|reason| bad(format!("GET {path}: {reason}")))
}
