//! One container as the index knows it.

use super::{BackendName, Located, Stage};
use crate::docker::group::Group;

pub(super) struct Container {
    pub(super) backend: BackendName,
    pub(super) name: Option<String>,
    pub(super) stage: Stage,
    /// Counts as one that is about to run.
    pub(super) fresh: bool,
    pub(super) group: Option<Group>,
}

impl Container {
    pub(super) fn located(&self, id: &str) -> Located {
        Located {
            backend: self.backend.clone(),
            id: id.to_owned(),
        }
    }
}
