//! What the tests stand on: real Docker hosts, scripted ones, the program under test, and raw clients.

mod clients;
mod fake_docker;
mod flockerd;
mod fronts;
mod http;
mod languages;
mod launch;
mod plugins;
mod podman;
mod poll;
mod process;
mod real_flock;
mod same;
mod scope;
mod web;

pub(crate) use clients::Client;
pub(crate) use fake_docker::{Answer, FakeDocker, Request, container, long_list};
pub(crate) use flockerd::{Builder, Flockerd, Front};
pub(crate) use http::{Connection, Reply, Target};
pub(crate) use languages::{Language, component, toolchain};
pub(crate) use launch::binary;
pub(crate) use plugins::plugin;
pub(crate) use podman::Podman;
pub(crate) use poll::{DEADLINE, holds};
pub(crate) use process::{Output, Running, run};
pub(crate) use real_flock::{NODES, Node, Registry, flock};
pub(crate) use same::{Player, Step, differences, same_as_one_daemon, step, tar};
pub(crate) use scope::Scope;
pub(crate) use web::Web;
