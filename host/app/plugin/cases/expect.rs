//! What a case expects of an answer.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    app::plugin::diff::{self, differ},
    config,
};

/// Only what is given is compared; of objects only the members that are given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// No opinion, no change, no refusal: nothing at all was said.
    #[serde(default)]
    none: bool,
    /// The body must not be changed.
    #[serde(default)]
    unchanged: bool,
    backend: Option<String>,
    body: Option<toml::Table>,
    /// JSON pointers that must not be in the changed body: `/HostConfig/Privileged`.
    #[serde(default)]
    absent: Vec<String>,
    refused: Option<Refused>,
    /// Part of why the plugin failed.
    failed: Option<String>,
    response: Option<toml::Table>,
    backends: Option<Vec<toml::Table>>,
    credentials: Option<toml::Table>,
    /// What the plugin remembers afterwards.
    keyspace: Option<toml::Table>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    status: Option<u16>,
    /// Part of the message.
    message: Option<String>,
}

impl Expect {
    pub(super) fn is_empty(&self) -> bool {
        !self.none && !self.unchanged && self.absent.is_empty() && self.members().is_empty()
    }

    pub(super) fn looks_at_keys(&self) -> bool {
        self.keyspace.is_some()
    }

    /// Compares with what was said: `-` before what is expected, `+` before what came instead.
    pub(super) fn differences(&self, told: &Map<String, Value>) -> Vec<String> {
        let mut lines = Vec::new();
        if self.none && told.keys().any(|key| key != "keyspace") {
            lines.push("- no opinion".to_owned());
            lines.extend(diff::all(told));
        }
        if self.unchanged && told.contains_key("body") {
            lines.push("- body unchanged".to_owned());
            lines.push(format!("+ body = {}", told["body"]));
        }
        for (key, expected) in self.members() {
            match told.get(&key) {
                Some(said) => differ(&key, &expected, said, &mut lines),
                None => {
                    lines.push(format!("- {key} = {expected}"));
                    lines.extend(diff::all(told));
                }
            }
        }
        for pointer in &self.absent {
            if let Some(there) = told.get("body").and_then(|body| body.pointer(pointer)) {
                lines.push(format!("- body{pointer} is absent"));
                lines.push(format!("+ body{pointer} = {there}"));
            }
        }
        lines
    }

    /// What is given, by the keys of an answer.
    fn members(&self) -> Map<String, Value> {
        let table = |table: &Option<toml::Table>| table.clone().map(config::object);
        let backends = self.backends.clone();
        let backends: Option<Vec<_>> =
            backends.map(|all| all.into_iter().map(config::object).collect());
        let refused = self.refused.as_ref().map(Refused::members);
        let members = json!({
            "backend": self.backend,
            "body": table(&self.body),
            "refused": refused,
            "failed": self.failed,
            "response": table(&self.response),
            "backends": backends,
            "credentials": table(&self.credentials),
            "keyspace": table(&self.keyspace),
        });
        given(members)
    }
}

impl Refused {
    fn members(&self) -> Map<String, Value> {
        given(json!({"status": self.status, "message": self.message}))
    }
}

/// The members that are not null.
fn given(object: Value) -> Map<String, Value> {
    let Value::Object(members) = object else {
        return Map::new();
    };
    let members = members.into_iter();
    members.filter(|(_, value)| !value.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_said_is_compared_too() {
        let told = given(json!({"backend": "node1", "body": {"Env": ["A=1"]}}));
        for (expect, lines) in [
            (
                "none = true",
                vec![
                    "- no opinion",
                    r#"+ backend = "node1""#,
                    r#"+ body = {"Env":["A=1"]}"#,
                ],
            ),
            (
                "unchanged = true",
                vec!["- body unchanged", r#"+ body = {"Env":["A=1"]}"#],
            ),
            (
                r#"absent = ["/Env", "/Cmd"]"#,
                vec!["- body/Env is absent", r#"+ body/Env = ["A=1"]"#],
            ),
            (r#"backend = "node1""#, vec![]),
        ] {
            let expect: Expect = toml::from_str(expect).unwrap();
            assert!(!expect.is_empty());
            assert_eq!(expect.differences(&told), lines, "{expect:?}");
        }
        assert!(Expect::default().is_empty());
    }
}
