//! Hook `state`: the state store of flockerd itself.

/// Keeps everything flockerd remembers. Such a plugin is warm by default, for a fresh instance remembers nothing.
pub use crate::bindings::state_hook::exports::flocker::plugin::state::Guest as State;
