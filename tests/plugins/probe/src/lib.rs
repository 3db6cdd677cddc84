//! Shows the tests what a plugin sees, and leaves traces of what it did.
//!
//! ```toml
//! [plugin.config]
//! hooks = ["route", "map"]           # the hooks that have an opinion; all by default
//! backend = "node1"                  # `route` always answers this
//! sequence = ["node1", "node2"]      # or these in turn
//! ```
//!
//! - `route` counts its calls in the key `calls` and adds the label `probe.route=<subject>` to a body.
//! - `map` adds the variable `PROBE_MAP=<backend>` and the label `probe.entrypoint=<the image's entrypoint as JSON>`.
//! - `start` logs `start <name>` and refuses a container with the label `probe.refuse-start`.
//! - `request` answers `GET /probe` with `{"calls": 2, "backends": ["node1"]}`.

use flocker_plugin::{
    Container, Decision, Error, Map, Request, Route, Start, Verdict, config, flock, keyspace, log,
    map, request, route, start,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    hooks: Option<Vec<String>>,
    backend: Option<String>,
    #[serde(default)]
    sequence: Vec<String>,
}

struct Probe;

impl Request for Probe {
    fn handle(call: request::Call) -> Result<Verdict, Error> {
        let asked = call.method == "GET" && call.path == "/probe";
        if !asked || opinion("request")?.is_none() {
            return Ok(Verdict::Proceed);
        }
        let backends = flock::backends().into_iter().map(|backend| backend.name);
        let backends: Vec<String> = backends.collect();
        Verdict::json(
            200,
            &json!({"calls": number("calls")?, "backends": backends}),
        )
    }
}

impl Route for Probe {
    fn place(request: route::Request) -> Result<Decision, Error> {
        let Some(config) = opinion("route")? else {
            return Ok(Decision::no_opinion());
        };
        count("calls")?;
        let mut decision = Decision::no_opinion();
        decision.backend = match config.sequence.len() {
            0 => config.backend,
            length => Some(config.sequence[count("turn")? % length].clone()),
        };
        if let Some(body) = request.body {
            let mut body = Container::parse(&body)?;
            body.set_label("probe.route", request.subject.name());
            decision = decision.with_body(body);
        }
        Ok(decision)
    }
}

impl Map for Probe {
    fn rewrite(request: map::Request) -> Result<Option<String>, Error> {
        if opinion("map")?.is_none() {
            return Ok(None);
        }
        let image = Container::inspected(&request.image)?;
        let entrypoint = image.field("Entrypoint").unwrap_or(&Value::Null);
        let mut container = Container::parse(&request.container)?;
        container.set_env("PROBE_MAP", &request.backend.name);
        container.set_label("probe.entrypoint", &entrypoint.to_string());
        Ok(Some(container.into()))
    }
}

impl Start for Probe {
    fn rewrite(request: start::Request) -> Result<Option<String>, Error> {
        if opinion("start")?.is_none() {
            return Ok(None);
        }
        log::info(format!("start {}", request.name));
        let container = Container::inspected(&request.container)?;
        match container.label("probe.refuse-start") {
            Some(_) => Err(Error::refuse(403, "probe refuses the start")),
            None => Ok(None),
        }
    }
}

flocker_plugin::export!(Probe: Request, Route, Map, Start);

/// Returns the configuration, none when this hook is to have no opinion.
fn opinion(hook: &str) -> Result<Option<Config>, Error> {
    let config: Config = config::table()?;
    let named = |hooks: &Vec<String>| hooks.iter().any(|name| name == hook);
    let asked = config.hooks.as_ref().is_none_or(named);
    Ok(asked.then_some(config))
}

/// Adds one to a number in the keyspace, against every other instance, and returns what it was.
fn count(key: &str) -> Result<usize, Error> {
    loop {
        let before = keyspace::get(key)?;
        let number = parse(before.as_deref());
        let after = (number + 1).to_string();
        if keyspace::swap(key, before.as_deref(), Some(after.as_bytes()), None)? {
            return Ok(number);
        }
    }
}

fn number(key: &str) -> Result<usize, Error> {
    Ok(parse(keyspace::get(key)?.as_deref()))
}

fn parse(value: Option<&[u8]>) -> usize {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
