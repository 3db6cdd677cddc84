//! flockerd makes a flock of Docker hosts look like one.
//!
//! The way of a call: [`front`] accepts a connection and makes a [`docker::call::Call`] of each request;
//! [`proxy::Proxy::handle`] is its life, top to bottom; [`inventory`] knows the backends and what lives where;
//! [`plugin`] asks the plugins; [`backend`] talks to one daemon; [`state`] remembers across restarts.
//! [`app`] wires it all. Each module uses only those after it.

pub mod backend;
pub mod config;
pub mod docker;
pub mod error;
pub mod socket;
