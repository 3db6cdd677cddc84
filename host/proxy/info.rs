//! `GET /info`: the flock as one daemon.

use std::collections::BTreeSet;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Proxy, Turn, forward, items, local};
use crate::{
    docker::{Body, call::Call, edit, message, names},
    error::Error,
};

/// Numbers that add up.
const SUMS: [&str; 10] = [
    "Containers",
    "ContainersRunning",
    "ContainersPaused",
    "ContainersStopped",
    "Images",
    "NCPU",
    "MemTotal",
    "NFd",
    "NGoroutines",
    "NEventsListener",
];

/// Capabilities that the flock has when every daemon has them.
const ALL_OF: [&str; 14] = [
    "MemoryLimit",
    "SwapLimit",
    "KernelMemory",
    "KernelMemoryTCP",
    "CpuCfsPeriod",
    "CpuCfsQuota",
    "CPUShares",
    "CPUSet",
    "PidsLimit",
    "IPv4Forwarding",
    "BridgeNfIptables",
    "BridgeNfIp6tables",
    "OomKillDisable",
    "ExperimentalBuild",
];

impl Proxy {
    /// The daemons' infos added up, and the backends as a table where the CLI shows one.
    pub(super) async fn info(&self, turn: &Turn, call: Call) -> Result<Response<Body>, Error> {
        let limit = self.settings.backend_timeout;
        let answers = turn
            .ask_all(limit, |_| forward::request(turn, call.copy()))
            .await?;
        let infos = answers
            .ok
            .iter()
            .filter_map(|(_, body)| serde_json::from_slice::<Map<String, Value>>(body).ok());
        let mut infos: Vec<_> = infos.collect();
        let mut info = if infos.is_empty() {
            Map::new()
        } else {
            infos.remove(0)
        };
        for other in &infos {
            join(&mut info, other);
        }
        info.insert("ID".into(), json!(self.identity().await?));
        info.insert("Name".into(), json!("flockerd"));
        info.insert("Swarm".into(), no_swarm());
        info.insert("DriverStatus".into(), self.table(turn));
        info.insert("Labels".into(), labels(turn));
        info.entry("OSType").or_insert(json!("linux"));
        info.entry("Architecture").or_insert(json!(local::arch()));
        Ok(answers.mark(message::json(
            StatusCode::OK,
            Value::Object(info).to_string(),
        )))
    }

    /// The flock's own id, made once and kept in the state store.
    async fn identity(&self) -> Result<String, Error> {
        const KEY: &str = "flock/id";
        for _ in 0..2 {
            if let Some(id) = self.state.get(KEY).await? {
                return Ok(String::from_utf8_lossy(&id).into_owned());
            }
            let id = names::invent_id();
            self.state
                .swap(KEY, None, Some(id.as_bytes()), None)
                .await?;
        }
        Err(Error::State("the flock's id does not stay".into()))
    }

    /// `GET /plugins` of all backends, each plugin once.
    pub(super) async fn plugin_list(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let mut answers = self.ask_lists(turn, &mut call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut plugins: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        for (backend, body) in &answers.ok {
            for plugin in items::parse(&backend.name, body)? {
                let name = edit::member(plugin, "Name").unwrap_or_default();
                let id = edit::member(plugin, "Id").unwrap_or_default();
                if seen.insert((name, id)) {
                    plugins.push(plugin);
                }
            }
        }
        let text = edit::array(plugins.into_iter());
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    /// Pairs, as the CLI prints them under "Storage Driver".
    fn table(&self, turn: &Turn) -> Value {
        let counts = self.loads().now();
        let up = turn.up();
        let mut rows = vec![json!([
            "Backends",
            format!("{up} of {} up", turn.flock.backends().len())
        ])];
        for backend in turn.flock.backends() {
            let (status, counts) = (
                backend.status(),
                counts.get(&backend.name).copied().unwrap_or_default(),
            );
            rows.push(json!([
                format!(" {}", backend.name),
                backend.address.to_string()
            ]));
            let health = match status.reason.as_str() {
                "" => status.health.name().to_owned(),
                reason => format!("{} ({reason})", status.health.name()),
            };
            rows.push(json!(["  └ Status", health]));
            rows.push(json!([
                "  └ Containers",
                format!("{} ({} running)", counts.total, counts.running)
            ]));
            if let Some(engine) = &status.engine {
                let gib = engine.memory as f64 / f64::from(1 << 30);
                rows.push(json!([
                    "  └ Resources",
                    format!("{} CPUs, {gib:.1} GiB", engine.cpus)
                ]));
                rows.push(json!(["  └ Engine", engine.version]));
            }
        }
        Value::Array(rows)
    }
}

/// Joins another daemon's info into the first one's.
fn join(info: &mut Map<String, Value>, other: &Map<String, Value>) {
    for name in SUMS {
        let sum = number(info, name)
            .zip(number(other, name))
            .map(|(a, b)| a + b);
        if let Some(sum) = sum {
            info.insert(name.into(), json!(sum));
        }
    }
    for name in ALL_OF {
        if other.get(name) == Some(&Value::Bool(false)) && info.contains_key(name) {
            info.insert(name.into(), Value::Bool(false));
        }
    }
    for (name, common) in [("Plugins", true), ("Runtimes", false)] {
        if let (Some(one), Some(two)) = (info.get(name), other.get(name)) {
            let both = in_both(one, two, common);
            info.insert(name.into(), both);
        }
    }
    if info.get("Driver") != other.get("Driver") {
        info.insert("Driver".into(), json!("mixed"));
    }
    let warnings: Vec<Value> = [&*info, other]
        .iter()
        .flat_map(|info| list(info, "Warnings"))
        .collect();
    let mut distinct: Vec<Value> = Vec::new();
    warnings.into_iter().for_each(|warning| {
        if !distinct.contains(&warning) {
            distinct.push(warning);
        }
    });
    if !distinct.is_empty() {
        info.insert("Warnings".into(), Value::Array(distinct));
    }
}

/// What two daemons have in common: of lists the items, of objects the members, whose values count too if they are
/// lists.
fn in_both(one: &Value, two: &Value, deep: bool) -> Value {
    match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            let both = one.iter().filter_map(|(name, value)| {
                let other = two.get(name)?;
                let value = match deep {
                    true => in_both(value, other, false),
                    false => value.clone(),
                };
                Some((name.clone(), value))
            });
            Value::Object(both.collect())
        }
        (Value::Array(one), Value::Array(two)) => {
            let both = one.iter().filter(|item| two.contains(item));
            Value::Array(both.cloned().collect())
        }
        (one, _) => one.clone(),
    }
}

fn number(info: &Map<String, Value>, name: &str) -> Option<i64> {
    info.get(name).and_then(Value::as_i64)
}

fn list(info: &Map<String, Value>, name: &str) -> Vec<Value> {
    info.get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// What a daemon outside a swarm says; clients look at it before they ask for services.
fn no_swarm() -> Value {
    json!({ "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "",
            "RemoteManagers": null })
}

/// The backends' labels, each with its backend's name before it.
fn labels(turn: &Turn) -> Value {
    let backends = turn.flock.backends().iter();
    let labels = backends.flat_map(|backend| {
        backend
            .labels
            .iter()
            .map(move |(name, value)| json!(format!("{}.{name}={value}", backend.name)))
    });
    Value::Array(labels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn plugins_and_runtimes_are_those_that_all_have() {
        let mut info = map(json!({
            "Plugins": {"Volume": ["local", "nfs"], "Log": null},
            "Runtimes": {"runc": {"path": "runc"}, "kata": {}},
        }));
        let other = map(json!({
            "Plugins": {"Volume": ["local"], "Log": ["x"]}, "Runtimes": {"runc": {"path": "other"}},
        }));
        join(&mut info, &other);
        let expected = json!({
            "Plugins": {"Volume": ["local"], "Log": null}, "Runtimes": {"runc": {"path": "runc"}},
        });
        assert_eq!(Value::Object(info), expected);
    }

    #[test]
    fn numbers_add_up_and_capabilities_must_be_common() {
        let mut info = map(
            json!({ "NCPU": 2, "MemoryLimit": true, "Driver": "overlay2", "Warnings": ["a"], "X": 1 }),
        );
        join(
            &mut info,
            &map(
                json!({ "NCPU": 3, "MemoryLimit": false, "Driver": "vfs", "Warnings": ["a", "b"] }),
            ),
        );
        let expected = json!({
            "NCPU": 5, "MemoryLimit": false, "Driver": "mixed", "Warnings": ["a", "b"], "X": 1,
        });
        assert_eq!(Value::Object(info), expected);
    }
}
