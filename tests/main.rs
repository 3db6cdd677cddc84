//! The black-box tests: the real binary between real clients and real or scripted daemons.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what is meant"
)]

mod harness;

/// The harness does what the tests rely on.
mod hosts;
/// Lists, totals, prunes and what is refused, over all hosts.
mod lists;
/// `docker run` and the life of a container.
mod run;
