//! What makes the shared vocabulary short to write: looks at backends, ways to fail.

use crate::bindings::imports::flocker::plugin::types::{Backend, Error, Refusal};

impl Backend {
    /// Returns the value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns how many containers run here or are about to.
    pub fn load(&self) -> u32 {
        self.running.saturating_add(self.placing)
    }
}

impl Error {
    /// Says no: the client gets this status (400 to 599) and message, and `on_failure` does not apply.
    pub fn refuse(status: u16, message: impl Into<String>) -> Self {
        Self::Refused(Refusal {
            status,
            message: message.into(),
        })
    }

    /// Says that the plugin could not do its work; treated like a trap.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

/// A failure with that reason, so that `?` works on the imports.
impl From<String> for Error {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(format!("cannot read the json: {error}"))
    }
}
