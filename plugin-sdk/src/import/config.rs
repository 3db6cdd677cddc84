//! Import `config`: the plugin's own table of the configuration file, `[plugin.config]`.

use serde::de::DeserializeOwned;

use super::host;
use crate::Error;

/// Returns a string as it is, any other value as JSON text; none when the key is absent.
pub fn get(key: &str) -> Option<String> {
    host::config::get(key)
}

/// Returns the whole table as the plugin's own type.
///
/// Fails when the table does not fit the type. `#[serde(default)]` makes keys optional, `deny_unknown_fields` finds
/// misspelt ones.
pub fn table<T: DeserializeOwned>() -> Result<T, Error> {
    serde_json::from_str(&host::config::table())
        .map_err(|error| Error::Failed(format!("correct the table [plugin.config]: {error}")))
}
