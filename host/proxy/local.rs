//! Answers that flockerd gives by itself: ping, version, and the refusals.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::Turn;
use crate::{
    backend::Health,
    docker::{
        self, Body,
        action::Refusal,
        call::{Call, page_not_found},
        message,
    },
    error::Error,
};

/// `OK` while a backend works; the CLI reads the headers even of a 500.
pub(super) fn ping(turn: &Turn, call: &Call) -> Result<Response<Body>, Error> {
    let works = turn.flock.usable().next().is_some();
    let text = if works {
        "OK"
    } else {
        "flockerd: no backend is available"
    };
    let body = match call.method {
        Method::HEAD => docker::empty(),
        _ => docker::full(text),
    };
    let mut response = Response::new(body);
    if !works {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let engine = turn.flock.oldest_engine();
    // Engines that tell their builder tell of a swarm too.
    if let Some(builder) = engine.and_then(|engine| engine.builder.clone()) {
        headers.insert("builder-version", builder);
        headers.insert("swarm", HeaderValue::from_static("inactive"));
    }
    Ok(response)
}

/// One engine made of all: clients negotiate by `ApiVersion`.
pub(super) fn version(turn: &Turn) -> Result<Response<Body>, Error> {
    let range = turn.flock.versions();
    let engine = turn.flock.engine_version();
    let details = json!({
        "ApiVersion": range.max.to_string(), "MinAPIVersion": range.min.to_string(),
        "Os": "linux", "Arch": arch(), "Experimental": "false",
    });
    let mut components = vec![json!({ "Name": "Engine", "Version": engine, "Details": details })];
    components.extend(turn.flock.backends().iter().map(|backend| {
        let status = backend.status();
        let version = status
            .engine
            .as_ref()
            .map(|engine| engine.version.clone())
            .unwrap_or_default();
        let health = status.health.name();
        json!({ "Name": &*backend.name, "Version": version,
                "Details": { "Address": backend.address.to_string(), "Health": health } })
    }));
    let answer = json!({
        "Platform": { "Name": format!("flockerd {}", env!("CARGO_PKG_VERSION")) },
        "Components": components,
        "Version": engine,
        "ApiVersion": range.max.to_string(), "MinAPIVersion": range.min.to_string(),
        "GitCommit": "", "GoVersion": "", "Os": "linux", "Arch": arch(), "KernelVersion": "",
        "BuildTime": "",
    });
    Ok(message::json(StatusCode::OK, answer.to_string()))
}

/// Go's name of this architecture, which is what daemons report.
pub(super) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Where flockerd tells what its plugins did; no daemon has this path.
pub const STATUS: &str = "/flockerd/plugins";

/// The answer to a path outside the API: 404, but OPTIONS is fine with everything.
pub(super) fn unknown(turn: &Turn, call: &Call) -> Result<Response<Body>, Error> {
    match (&call.method, call.path.as_str()) {
        (&Method::OPTIONS, _) => Ok(Response::new(docker::empty())),
        (&Method::GET, STATUS) => Ok(plugins(turn)),
        _ => Err(page_not_found()),
    }
}

/// What every plugin did so far.
fn plugins(turn: &Turn) -> Response<Body> {
    let told = turn.plugins.infos().into_iter().zip(turn.plugins.tallies());
    let told = told.map(|(info, tally)| {
        let hooks: Vec<&str> = info.hooks.iter().map(|hook| hook.name()).collect();
        let rests = tally.rests.unwrap_or_default().as_secs_f64();
        let last = tally.last.map(|last| {
            let ago = last.at.elapsed().unwrap_or_default().as_secs();
            json!({ "hook": last.hook.name(), "seconds_ago": ago, "reason": last.reason, "trace": last.trace })
        });
        json!({
            "name": info.name, "hooks": hooks, "digest": info.digest,
            "source": info.source.to_string(), "pinned": info.pinned.map(|pinned| pinned.to_string()),
            "calls": tally.calls, "failures": tally.failures, "rests_seconds": rests,
            "shadowed": tally.shadowed, "disagreements": tally.disagreements,
            "events": tally.events, "events_dropped": tally.events_dropped, "last_failure": last,
        })
    });
    let told: Vec<_> = told.collect();
    message::json(StatusCode::OK, serde_json::Value::from(told).to_string())
}

/// Why an endpoint is refused, in the daemon's words where it has words for it: libraries test for them.
pub(super) fn refused(refusal: Refusal) -> Error {
    let (status, text) = match refusal {
        Refusal::NoSwarm => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
             node to swarm and try again.",
        ),
        Refusal::NoSwarmHere => (
            StatusCode::NOT_IMPLEMENTED,
            "swarm mode is not available through flockerd: it would bind a single backend",
        ),
        Refusal::NotPartOfSwarm => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This node is not part of a swarm",
        ),
        Refusal::NoPlugins => (
            StatusCode::NOT_IMPLEMENTED,
            "plugins of a daemon are not changed through flockerd: do it on every backend itself",
        ),
        Refusal::NotFound => return page_not_found(),
    };
    Error::refused(status, text)
}

impl Turn {
    /// Fails when no backend can be asked.
    pub(super) fn some_backend(&self) -> Result<(), Error> {
        self.flock.usable().next().map(drop).ok_or(Error::NoBackend)
    }

    /// How many backends are up.
    pub(super) fn up(&self) -> usize {
        self.flock
            .backends()
            .iter()
            .filter(|backend| backend.status().health == Health::Up)
            .count()
    }
}
