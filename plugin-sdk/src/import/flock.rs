//! Import `flock`: the flock as it was when the call began.

use super::host;
use crate::Backend;

/// Returns, ordered by name, in a `route` hook the backends that can take the new thing, in other hooks all backends.
pub fn backends() -> Vec<Backend> {
    host::flock::backends()
}
