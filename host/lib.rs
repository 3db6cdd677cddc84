//! The map.

pub mod error;
pub mod shutdown;
pub mod telemetry;
