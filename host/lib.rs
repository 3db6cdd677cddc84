//! The map.

pub mod config;
pub mod error;
pub mod plugin;
pub mod state;
