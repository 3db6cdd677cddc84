//! Everything one backend has, read from its lists.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Method, Request, Response};
use serde::{Deserialize, de::DeserializeOwned};

use super::index::{BackendName, Image, Network, Stage, Volume};
use crate::{
    backend::{Backend, Engine},
    docker::{
        self, Body,
        group::{Group, Labels},
        version::{ApiVersion, Range},
    },
    error::Error,
};

/// The longest list that is read.
const LIST_MAX: usize = 256 << 20;

/// A container: id, name, stage, group.
pub(super) type Listed = (String, Option<String>, Stage, Option<Group>);

/// What a backend has.
#[derive(Default)]
pub struct Listing {
    pub(super) containers: Vec<Listed>,
    pub networks: Vec<Network>,
    pub volumes: Vec<Volume>,
    pub images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedContainer {
    id: String,
    names: Option<Vec<String>>,
    /// Seconds since the epoch, by the daemon's clock.
    #[serde(default)]
    created: u64,
    #[serde(default)]
    state: String,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedNetwork {
    id: String,
    name: String,
    #[serde(default)]
    driver: String,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVolumes {
    volumes: Option<Vec<ListedVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVolume {
    name: String,
    #[serde(default)]
    driver: String,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedImage {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
    #[serde(default, rename = "MinAPIVersion")]
    min_api_version: String,
    #[serde(default)]
    arch: String,
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
    let ping = get(backend, "/_ping").await?;
    let number = |text: &str| text.parse::<ApiVersion>().ok();
    let unknown = Range::UNKNOWN;
    Ok(Engine {
        versions: Range {
            min: number(&version.min_api_version).unwrap_or(unknown.min),
            max: number(&version.api_version).unwrap_or(unknown.max),
        },
        version: version.version,
        arch: version.arch,
        builder: ping
            .headers()
            .get("builder-version")
            .filter(|builder| !builder.is_empty())
            .cloned(),
        cpus: info.cpus,
        memory: info.mem_total,
    })
}

/// Asks a daemon for everything it has.
pub(super) async fn listing(backend: &Backend) -> Result<Listing, Error> {
    let containers: Vec<ListedContainer> = ask(backend, "/containers/json?all=1").await?;
    Ok(Listing {
        containers: containers.into_iter().map(ListedContainer::entry).collect(),
        networks: networks(backend).await?,
        volumes: volumes(backend).await?,
        images: images(backend).await?,
    })
}

/// Asks a daemon for its networks.
pub(super) async fn networks(backend: &Backend) -> Result<Vec<Network>, Error> {
    let networks: Vec<ListedNetwork> = ask(backend, "/networks").await?;
    let entry = |network| ListedNetwork::entry(network, &backend.name);
    Ok(networks.into_iter().map(entry).collect())
}

/// Asks a daemon for its volumes.
pub(super) async fn volumes(backend: &Backend) -> Result<Vec<Volume>, Error> {
    let listed: ListedVolumes = ask(backend, "/volumes").await?;
    let entry = |volume| ListedVolume::entry(volume, &backend.name);
    Ok(listed
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(entry)
        .collect())
}

/// Asks a daemon for its images.
pub(super) async fn images(backend: &Backend) -> Result<Vec<Image>, Error> {
    let images: Vec<ListedImage> = ask(backend, "/images/json").await?;
    Ok(images.into_iter().map(ListedImage::entry).collect())
}

impl ListedContainer {
    fn entry(self) -> Listed {
        let name = own_name(self.names.as_deref().unwrap_or_default());
        let stage = match self.state.as_str() {
            "created" => Stage::Created(ago(self.created)),
            "running" | "paused" | "restarting" => Stage::Running,
            _ => Stage::Stopped,
        };
        let group = self.labels.and_then(|labels| labels.group());
        (self.id, name, stage, group)
    }
}

impl ListedNetwork {
    fn entry(self, backend: &BackendName) -> Network {
        Network {
            backend: backend.clone(),
            group: self.labels.and_then(|labels| labels.group()),
            id: self.id,
            name: self.name,
            driver: self.driver,
            made: None,
        }
    }
}

impl ListedVolume {
    fn entry(self, backend: &BackendName) -> Volume {
        Volume {
            backend: backend.clone(),
            group: self.labels.and_then(|labels| labels.group()),
            name: self.name,
            driver: self.driver,
            made: None,
        }
    }
}

impl ListedImage {
    fn entry(self) -> Image {
        let references = self.repo_tags.into_iter().chain(self.repo_digests);
        let references = references.flatten();
        Image {
            id: self.id,
            references: references.filter(|name| !name.contains("<none>")).collect(),
        }
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
fn own_name(names: &[String]) -> Option<String> {
    let names = names.iter().map(|name| name.trim_start_matches('/'));
    names
        .filter(|name| !name.is_empty())
        .find(|name| !name.contains('/'))
        .map(str::to_owned)
}

/// Reads the JSON that a daemon answers to a GET.
async fn ask<T: DeserializeOwned>(backend: &Backend, path: &str) -> Result<T, Error> {
    let response = get(backend, path).await?;
    let bad = |reason: String| Error::BadAnswer {
        backend: backend.name.to_string(),
        reason: format!("GET {path}: {reason}"),
    };
    let body = docker::collect(response.into_body(), LIST_MAX)
        .await
        .map_err(|reason| bad(reason.to_string()))?;
    serde_json::from_slice(&body).map_err(|reason| bad(reason.to_string()))
}

/// Sends a GET to a daemon that nobody knows to be up, and returns a good answer.
pub(super) async fn get(backend: &Backend, path: &str) -> Result<Response<Body>, Error> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header("host", "docker");
    let request = request
        .body(docker::empty())
        .map_err(|reason| Error::backend(&backend.name, reason))?;
    let response = backend.probe(request).await?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(Error::BadAnswer {
            backend: backend.name.to_string(),
            reason: format!("{status} to GET {path}"),
        }),
    }
}
