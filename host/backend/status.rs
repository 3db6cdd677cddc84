//! How a backend fares: up or down, and what its daemon says of itself.

use http::HeaderValue;

use crate::docker::version::Range;

/// What the last probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Not asked yet.
    #[default]
    Unknown,
    Up,
    Down,
}

/// A snapshot of a backend's state.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub health: Health,
    /// Why it is down; empty when it is not.
    pub reason: String,
    /// What the daemon said last; kept while it is down.
    pub engine: Option<std::sync::Arc<Engine>>,
}

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub versions: Range,
    /// `20.10.24`
    pub version: String,
    /// What it answers a ping in `Builder-Version`, by which clients choose how to build; older engines say nothing.
    pub builder: Option<HeaderValue>,
    /// As Go names it: `amd64`.
    pub arch: String,
    pub cpus: u32,
    /// In bytes.
    pub memory: u64,
}

impl Health {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
