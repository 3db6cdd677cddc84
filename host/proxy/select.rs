//! The label `flocker.backend` in a filter: it chooses backends, which know nothing of it.

use std::sync::Arc;

use super::{Turn, lists::mark::LABEL};
use crate::{
    backend::Backend,
    docker::{filters, query::Query},
};

impl Turn {
    /// The backends that a call's filters concern, `flocker.backend` taken out of the filters.
    pub(super) fn selected(&self, query: &mut Query) -> Vec<Arc<Backend>> {
        let wanted = filters::take(query, "label", is_ours);
        let unwanted = filters::take(query, "label!", is_ours);
        let concerned = |backend: &&Arc<Backend>| {
            wanted.iter().all(|label| names(label, &backend.name))
                && !unwanted.iter().any(|label| names(label, &backend.name))
        };
        let backends = self.flock.backends().iter();
        backends.filter(concerned).cloned().collect()
    }
}

fn is_ours(label: &str) -> bool {
    label.split_once('=').map_or(label, |(name, _)| name) == LABEL
}

/// True when a label filter, with a value or without, is true of a backend.
fn names(label: &str, backend: &str) -> bool {
    label
        .split_once('=')
        .is_none_or(|(_, value)| value == backend)
}
