//! Lists the backends of its configuration: the smallest inventory there is, and a pattern for others.
//!
//! ```toml
//! [[plugin]]
//! path = "fixed_backends.wasm"
//! [[plugin.config.backends]]
//! name = "node1"
//! address = "tcp://10.0.0.1:2375"
//! labels = { zone = "eu" }
//! ```

use std::collections::BTreeMap;

use flocker_plugin::{Error, List, config, list::Entry};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    backends: Vec<Backend>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backend {
    name: String,
    address: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

struct FixedBackends;

impl List for FixedBackends {
    fn backends() -> Result<Vec<Entry>, Error> {
        let config: Config = config::table()?;
        let entries = config.backends.into_iter().map(|backend| Entry {
            name: backend.name,
            address: backend.address,
            labels: backend.labels.into_iter().collect(),
        });
        Ok(entries.collect())
    }
}

flocker_plugin::export!(FixedBackends: List);

#[cfg(test)]
mod tests {
    use flocker_plugin::testing;
    use serde_json::{Value, json};

    use super::*;

    fn list(table: Value) -> Result<Vec<Entry>, Error> {
        let mut flock = testing::Flock::new().config(table);
        flock.call(FixedBackends::backends)
    }

    #[test]
    fn the_table_becomes_the_inventory() {
        let table = json!({"backends": [
            {"name": "node1", "address": "tcp://10.0.0.1:2375", "labels": {"zone": "eu"}},
            {"name": "node2", "address": "unix:///run/docker.sock"},
        ]});
        let expected = vec![
            Entry::new("node1", "tcp://10.0.0.1:2375").label("zone", "eu"),
            Entry::new("node2", "unix:///run/docker.sock"),
        ];
        assert_eq!(list(table), Ok(expected));
        assert_eq!(list(json!({"backends": []})), Ok(vec![]));
    }

    #[test]
    fn a_wrong_table_fails_and_says_where() {
        let cases = [
            (json!({}), "missing field `backends`"),
            (
                json!({"backends": [{"name": "a"}]}),
                "missing field `address`",
            ),
            (
                json!({"backends": [], "backend": []}),
                "unknown field `backend`",
            ),
        ];
        for (table, expected) in cases {
            let Err(Error::Failed(reason)) = list(table.clone()) else {
                panic!("{table} must fail");
            };
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
