//! Hook `start`: a container is about to be started.

/// Observes a start, or refuses it.
pub use crate::bindings::start_hook::exports::flocker::plugin::start::Guest as Start;
pub use crate::bindings::start_hook::exports::flocker::plugin::start::Request;
