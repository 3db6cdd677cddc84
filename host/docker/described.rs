//! What flockerd reads of a network or a volume, and of the body that creates one.

use serde::Deserialize;

use super::{
    create::{BadCreate, read_plain},
    group::{Group, Labels},
};

/// The keys read here.
const KEYS: [&str; 3] = ["Name", "Driver", "Labels"];

/// A network or a volume. Everything else passes through unread.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Described {
    pub name: Option<String>,
    pub driver: Option<String>,
    labels: Option<Labels>,
}

impl Described {
    /// Reads the body of a create.
    ///
    /// # Errors
    /// As [`read_plain`].
    pub fn read(body: &[u8]) -> Result<Self, BadCreate> {
        read_plain(body, &KEYS)
    }

    /// What it belongs to.
    pub fn group(&self) -> Option<Group> {
        self.labels.as_ref().and_then(Labels::group)
    }
}
