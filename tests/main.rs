//! The black-box tests: the real binary between real clients and real or scripted daemons.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what is meant"
)]

mod harness;

/// The command line and the configuration.
mod cli;
/// What `make demo` shows.
mod demo;
/// The table of the Docker API.
mod endpoints;
/// The events of all hosts as one stream.
mod events;
/// Hosts that die, hang, lie, and come back.
mod faults;
/// The harness does what the tests rely on.
mod hosts;
/// The layers of the source.
mod layers;
/// Lists, totals, prunes and what is refused, over all hosts.
mod lists;
/// The vectors of flockerd's ancestor.
mod mdock;
/// What a reference to a container means.
mod names;
/// Where new containers go.
mod placement;
/// Plugins, well-behaved and hostile.
mod plugins;
/// Images that are not there yet.
mod pull;
/// `docker run` and the life of a container.
mod run;
/// Attach, exec, wait and what else outlives a request.
mod stream;
