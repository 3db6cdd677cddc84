//! Import `body`: the JSON body of the call, for the `request` hook.

use super::host;

/// Returns the JSON body of the call, none when it has none or it is not JSON.
///
/// The error says why it cannot be read: above all that it is longer than `body_limit`. A policy should refuse then;
/// `?` would make it a failure of the plugin, which `on_failure = "skip"` ignores.
pub fn read() -> Result<Option<String>, String> {
    host::body::read()
}
