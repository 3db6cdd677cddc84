//! What a look into the index gives.

use super::BackendName;

/// A container that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub backend: BackendName,
    pub id: String,
}

/// What a reference leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<T = Located> {
    Found(T),
    /// Several have this name.
    SameName(Vec<T>),
    /// This many ids begin so; of containers, whose number nobody asks for, two or more.
    SamePrefix(usize),
    Missing,
}

/// A list of a backend that an event does not tell enough to keep true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    Images,
    Networks,
    Volumes,
}
