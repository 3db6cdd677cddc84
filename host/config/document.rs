//! TOML files besides the configuration, whose mistakes are told in the same way: path, line, nearest key.

use std::path::Path;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};

use super::{
    Problem,
    file::{Scalar, Source},
    units,
};

/// Reads a file of that shape.
///
/// # Errors
/// When it is not there, not TOML, or of another shape: then the first place where it is.
pub fn document<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    let manual = "docs/plugins/tools.md lists every key with its form";
    Source::open(path, "check the path", manual)?.parse()
}

/// A size in bytes, written as the sizes of the configuration are: `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(deserializer)?;
        let size = units::size(&text).map(Self);
        size.map_err(|problem| de::Error::custom(problem.message))
    }
}
