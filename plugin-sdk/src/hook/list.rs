//! Hook `list`: which backends there are.

pub use crate::bindings::list_hook::exports::flocker::plugin::list::Entry;
/// Lists the backends that join those of the configuration: called at start, on every `list_interval`, and on SIGHUP.
pub use crate::bindings::list_hook::exports::flocker::plugin::list::Guest as List;

impl Entry {
    /// Makes an entry without labels.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            labels: Vec::new(),
        }
    }

    /// Adds a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}
