//! The part of the state store that belongs to one plugin: where it is, and which keys and values it may have.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, task::coop::consume_budget};

use crate::{error::Error, state::StateStore};

use super::limits::{ENTRY, KEYSPACE};

/// The longest key of a plugin, in bytes.
const KEY: usize = 256;

/// The longest value of a plugin, in bytes.
const VALUE: usize = 1 << 20;

/// Keys below a prefix. Errors are in words.
///
/// Every call lets other tasks run now and then: a store in memory never makes its callers wait, and a plugin's timeout
/// can strike only where they do.
#[derive(Clone)]
pub(super) struct Keyspace {
    store: Arc<dyn StateStore>,
    prefix: String,
    ledger: Arc<Ledger>,
}

/// What all keys of a plugin take together, shared by its instances.
pub(super) struct Ledger {
    /// The beginnings of all its keys.
    prefixes: [String; 2],
    /// At least what they take, in bytes: every write adds, and only when that is too much they are counted. None before
    /// the first count.
    taken: Mutex<Option<usize>>,
}

impl Keyspace {
    /// The plugin's keys as `keyspace` sees them.
    pub(super) fn own(store: Arc<dyn StateStore>, ledger: Arc<Ledger>) -> Self {
        let prefix = ledger.prefixes[0].clone();
        Self {
            store,
            prefix,
            ledger,
        }
    }

    /// The plugin's keys in a bucket, whose name has no slash.
    pub(super) fn bucket(self, name: &str) -> Self {
        let prefix = format!("{}{name}/", self.ledger.prefixes[1]);
        Self { prefix, ..self }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let key = self.full(key)?;
        consume_budget().await;
        in_words(self.store.get(&key).await)
    }

    /// Sets a key; without a time to live, in milliseconds, it stays.
    pub(super) async fn set(
        &self,
        key: &str,
        value: &[u8],
        ttl: Option<u64>,
    ) -> Result<(), String> {
        let key = self.full(key)?;
        check_value(value)?;
        consume_budget().await;
        self.charge(&key, value).await?;
        in_words(self.store.set(&key, value, time_to_live(ttl)).await)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), String> {
        let key = self.full(key)?;
        consume_budget().await;
        in_words(self.store.delete(&key).await)
    }

    pub(super) async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        ttl: Option<u64>,
    ) -> Result<bool, String> {
        let (key, ttl) = (self.full(key)?, time_to_live(ttl));
        check_value(replacement.unwrap_or_default())?;
        consume_budget().await;
        if let Some(replacement) = replacement {
            self.charge(&key, replacement).await?;
        }
        in_words(self.store.swap(&key, expected, replacement, ttl).await)
    }

    /// Lists the keys that begin with `prefix`, sorted.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        check_text(prefix)?;
        consume_budget().await;
        let full = format!("{}{prefix}", self.prefix);
        let found = in_words(self.store.keys(&full).await)?;
        let own = |key: &String| key.strip_prefix(&self.prefix).map(str::to_owned);
        Ok(found.iter().filter_map(own).collect())
    }

    /// Notes what is about to be written, or says why it may not be.
    async fn charge(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let cost = cost(key, value);
        let mut taken = self.ledger.taken.lock().await;
        let known = taken.map(|taken| taken + cost);
        let sum = match known.filter(|sum| *sum <= KEYSPACE) {
            Some(sum) => sum,
            None => self.count_besides(key).await? + cost,
        };
        if sum > KEYSPACE {
            return Err(format!(
                "the keys would take {sum} bytes, {KEYSPACE} are allowed: delete some"
            ));
        }
        *taken = Some(sum);
        Ok(())
    }

    /// Counts what all keys of the plugin but one take.
    async fn count_besides(&self, key: &str) -> Result<usize, String> {
        let mut sum = 0;
        for prefix in &self.ledger.prefixes {
            for other in in_words(self.store.keys(prefix).await)? {
                consume_budget().await;
                if other != key
                    && let Some(value) = in_words(self.store.get(&other).await)?
                {
                    sum += cost(&other, &value);
                }
            }
        }
        Ok(sum)
    }

    fn full(&self, key: &str) -> Result<String, String> {
        if key.is_empty() {
            return Err("the key is empty".to_owned());
        }
        check_text(key)?;
        Ok(format!("{}{key}", self.prefix))
    }
}

impl Ledger {
    pub(super) fn new(plugin: &str) -> Self {
        Self {
            prefixes: [key_of(plugin, ""), format!("bucket/{plugin}/")],
            taken: Mutex::default(),
        }
    }
}

/// Returns where in the state store a plugin's key is.
pub fn key_of(plugin: &str, key: &str) -> String {
    format!("plugin/{plugin}/{key}")
}

fn cost(key: &str, value: &[u8]) -> usize {
    ENTRY + key.len() + value.len()
}

fn check_text(key: &str) -> Result<(), String> {
    if key.len() > KEY {
        return Err(format!(
            "the key has {} bytes, {KEY} are allowed",
            key.len()
        ));
    }
    if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("the key is not printable ASCII".to_owned());
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), String> {
    if value.len() > VALUE {
        return Err(format!(
            "the value has {} bytes, {VALUE} are allowed",
            value.len()
        ));
    }
    Ok(())
}

fn time_to_live(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds.map(Duration::from_millis)
}

fn in_words<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
