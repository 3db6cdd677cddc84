//! Import `keyspace`: the plugin's own keys in flockerd's state store.
//!
//! Keys are at most 256 bytes of printable ASCII, values at most 1 MiB. Every function fails with the reason, in words.

use std::time::Duration;

use super::host;

/// Returns the value of a key.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, String> {
    host::keyspace::get(key)
}

/// Stores a value; with a time to live it disappears by itself.
pub fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), String> {
    host::keyspace::set(key, value, ttl.map(milliseconds))
}

/// Deletes a key; one that is absent is no error.
pub fn delete(key: &str) -> Result<(), String> {
    host::keyspace::delete(key)
}

/// Replaces `expected` (none: the key is absent) by `replacement` (none: deletes it) and returns whether it did.
pub fn swap(
    key: &str,
    expected: Option<&[u8]>,
    replacement: Option<&[u8]>,
    ttl: Option<Duration>,
) -> Result<bool, String> {
    host::keyspace::swap(key, expected, replacement, ttl.map(milliseconds))
}

/// Lists the keys that begin with the prefix, sorted.
pub fn keys(prefix: &str) -> Result<Vec<String>, String> {
    host::keyspace::keys(prefix)
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
