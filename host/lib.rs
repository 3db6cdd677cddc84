//! The map.

pub mod cli;
pub mod config;
pub mod error;
pub mod shutdown;
pub mod state;
pub mod telemetry;
