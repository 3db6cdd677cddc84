//! Events of a daemon, as far as flockerd reads them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::group::Labels;

/// An event with all its attributes, sorted by name.
pub type Whole = Event<BTreeMap<String, String>>;

/// One line of `GET /events`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event<A = Attributes> {
    /// `container`, `network`, `volume`, `image`, ...
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// `create`, `exec_create: sh -c ...`
    #[serde(default)]
    pub action: String,
    #[serde(default)]
    pub actor: Actor<A>,
    /// Nanoseconds since the epoch, by the daemon's clock.
    #[serde(rename = "timeNano", default)]
    pub time_nano: i64,
}

/// What an event is about.
#[derive(Debug, Default, Deserialize)]
pub struct Actor<A = Attributes> {
    #[serde(rename = "ID", default)]
    pub id: String,
    #[serde(rename = "Attributes", default)]
    pub attributes: A,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attributes {
    pub name: Option<String>,
    /// The container that a network is connected to.
    pub container: Option<String>,
    /// A container's labels stand among its attributes.
    #[serde(flatten)]
    pub labels: Labels,
}

impl Event {
    /// The action without its detail: `exec_create` of `exec_create: sh`.
    pub fn verb(&self) -> &str {
        self.action
            .split_once(':')
            .map_or(&self.action, |(verb, _)| verb)
    }

    /// The container that runs, or is reached, in another way than before.
    pub fn affected_container(&self) -> Option<&str> {
        match (self.kind.as_str(), self.verb()) {
            ("container", "start" | "die" | "destroy") => Some(&self.actor.id),
            ("network", "connect" | "disconnect") => self.actor.attributes.container.as_deref(),
            _ => None,
        }
    }
}
