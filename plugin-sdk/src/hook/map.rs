//! Hook `map`: a container's configuration, after its image is there and before the create is sent.

/// Changes the create body of a container, knowing its image and its backend; [`Container`](crate::Container) reads it.
pub use crate::bindings::map_hook::exports::flocker::plugin::map::Guest as Map;
pub use crate::bindings::map_hook::exports::flocker::plugin::map::Request;
