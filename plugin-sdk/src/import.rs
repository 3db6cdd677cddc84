//! The imports: what flockerd offers every plugin. In native tests [`testing`](crate::testing) stands in for it.

pub mod body;
pub mod config;
pub mod flock;
pub mod http;
pub mod keyspace;
pub mod log;

#[cfg(target_family = "wasm")]
use crate::bindings::imports::flocker::plugin as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::host;
