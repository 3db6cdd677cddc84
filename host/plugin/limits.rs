//! What one instance may take: memory, tables, and the size of what it hands over.

use wasmtime::{ResourceLimiter, Result};

/// The entries of a plugin's tables; the largest language runtimes need some ten thousand.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// The bytes a plugin may hand over in one answer or one argument of an import.
pub(super) const TRANSFER: usize = 16 << 20;

/// The bytes of one JSON answer.
pub(super) const JSON: usize = 8 << 20;

/// The bytes of the body of an HTTP request of a plugin's, and of its answer.
pub(super) const HTTP_BODY: usize = 16 << 20;

/// The HTTP connections of a plugin, all its instances together; further requests wait.
pub(super) const CONNECTIONS: usize = 64;

/// The resources (streams, timers) that WASI keeps for an instance.
pub(super) const RESOURCES: usize = 1000;

/// The bytes that all keys and values of a plugin may take, [`ENTRY`] for each key included.
pub(super) const KEYSPACE: usize = 64 << 20;

/// What a key costs besides its own length and that of its value: about what a store needs for it.
pub(super) const ENTRY: usize = 128;

/// The bytes of a reason or a refusal; the rest is cut off.
pub(super) const MESSAGE: usize = 8 << 10;

/// The headers of one answer: what strict clients take.
pub(super) const HEADERS: usize = 100;

/// The bytes of all names and values of these headers.
pub(super) const HEADER_BYTES: usize = 64 << 10;

/// The backends of one list.
pub(super) const BACKENDS: usize = 10_000;

/// Counts the linear memory of an instance, all its memories together.
pub(super) struct Limits {
    allowed: usize,
    used: usize,
}

/// Why a memory or a table did not grow: a trap instead of the plugin's own, often speechless, way to fail.
#[derive(Debug, thiserror::Error)]
pub(super) enum Exhausted {
    #[error("it is out of memory: it asked for {wanted} bytes, `memory` allows {allowed}")]
    Memory { wanted: usize, allowed: usize },
    #[error("it asked for a table of {wanted} entries, {TABLE_ELEMENTS} are allowed")]
    Table { wanted: usize },
}

impl Limits {
    /// Allows `memory` bytes.
    pub(super) fn new(memory: usize) -> Self {
        Self {
            allowed: memory,
            used: 0,
        }
    }

    /// The bytes of all memories now.
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let wanted = self.used.saturating_add(desired - current);
        if wanted > self.allowed {
            let allowed = self.allowed;
            return Err(Exhausted::Memory { wanted, allowed }.into());
        }
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        if possible {
            self.used = wanted;
        }
        Ok(possible)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(Exhausted::Table { wanted: desired }.into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut limits = Limits::new(3 * PAGE);
        assert!(limits.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
        let error = limits.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("it is out of memory: it asked for 262144 bytes")
        );
    }

    #[test]
    fn a_growth_beyond_the_own_maximum_is_refused_and_not_counted() {
        let mut limits = Limits::new(4 * PAGE);
        assert!(
            !limits
                .memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE))
                .unwrap()
        );
        assert!(limits.memory_growing(0, 4 * PAGE, None).unwrap());
    }

    #[test]
    fn tables_have_a_limit() {
        let mut limits = Limits::new(0);
        assert!(limits.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(limits.table_growing(0, TABLE_ELEMENTS + 1, None).is_err());
    }
}
