//! What flockerd remembers across calls and restarts: a small key-value store with expiry and compare-and-swap.
//!
//! Writers never trust a `get`: they `swap`, so that several flockerds can share one store.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;

#[cfg(test)]
pub(crate) mod conformance;
pub mod memory;
pub mod redb;

/// A place where state is kept. Keys are printable ASCII of at most 512 bytes, values at most 1 MiB.
///
/// Every method fails with [`Error::State`]. A value whose time to live is over is absent for every method.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Returns the value of a key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Sets a key; when this returns, the value survives a crash of the process as far as the store keeps anything.
    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error>;

    /// Deletes a key; one that is absent is no error.
    async fn delete(&self, key: &str) -> Result<(), Error>;

    /// Replaces `expected` (none: absent) by `replacement` (none: absent) and returns whether it did.
    async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        ttl: Option<Duration>,
    ) -> Result<bool, Error>;

    /// Lists the keys that begin with `prefix`, sorted.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error>;
}
