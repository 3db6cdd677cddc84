//! The black-box tests: the real binary between real clients and real or scripted daemons.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what is meant"
)]

mod harness;

/// The tools for writing plugins.
mod author;
/// What a hostile plugin can take at most.
mod bounds;
/// Builds, classic and BuildKit.
mod builds;
/// What plugins may do beyond computing.
mod capabilities;
/// Answers in many small chunks.
mod chunks;
/// The command line and the configuration.
mod cli;
/// Programs that people use.
mod clients;
/// Components that were compiled before.
mod compiled;
/// flockerd killed in the middle.
mod crash;
/// What `make demo` shows.
mod demo;
/// The table of the Docker API.
mod endpoints;
/// The events of all hosts as one stream.
mod events;
/// Hosts that die, hang, lie, and come back.
mod faults;
/// Components made of noise.
mod fuzz;
/// Connections that leave HTTP, stay open or are given up.
mod hijack;
/// Plugins that misbehave.
mod hostile;
/// The harness does what the tests rely on.
mod hosts;
/// Images of several hosts as of one.
mod images;
/// Plugins that remember by the standard `wasi:keyvalue`.
mod keyvalue;
/// One plugin in several languages.
mod languages;
/// The layers of the source.
mod layers;
/// The life of a container, with the docker CLI.
mod life;
/// Lists, totals, prunes and what is refused, over all hosts.
mod lists;
/// The vectors of flockerd's ancestor.
mod mdock;
/// Hosts of different kinds in one flock.
mod mixed;
/// What a reference to a container means.
mod names;
/// Networks, and the groups that live on one host.
mod networks;
/// Where new containers go.
mod placement;
/// Every plugin that is shipped, and one that tells what it sees.
mod plugins;
/// Published ports at the flock's address.
mod publish;
/// Images that are not there yet.
mod pull;
/// The README.
mod readme;
/// Plugins out of image registries.
mod registry;
/// Plugins replaced while flockerd runs.
mod reload;
/// `docker run`.
mod run;
/// The flock answers as one daemon does.
mod same;
/// Terminals and large amounts of input and output.
mod stream;
/// What concerns the flock as a whole.
mod system;
/// Plugins that are told what happens.
mod told;
/// Volumes, and the containers that follow them.
mod volumes;
