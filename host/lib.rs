//! flockerd makes a flock of Docker hosts look like one.
//!
//! The way of a call: [`front`] accepts a connection and makes a request of what it reads; [`proxy::Proxy::handle`] is
//! the life of a call, top to bottom; [`inventory`] knows the backends and what lives where; [`plugin`] asks the
//! plugins; [`backend`] talks to one daemon; [`state`] remembers across restarts; [`docker`] is the API itself.
//! [`app`] wires it all. Each module uses only those after it.

pub mod app;
pub mod cli;
pub mod front;
pub mod proxy;

pub mod inventory;
pub mod plugin;

pub mod backend;
pub mod state;

pub mod config;
pub mod docker;

pub mod address;
pub mod error;
pub mod shutdown;
pub mod socket;
pub mod telemetry;
