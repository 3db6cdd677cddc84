//! State in memory: fast, and gone with the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::StateStore;
use crate::error::Error;

/// A state store in memory. What expires is dropped by the next access, whatever its key.
#[derive(Debug, Default)]
pub struct Memory {
    table: Mutex<Table>,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the table and drops what has expired.
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics between two changes that belong together.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.sweep(Instant::now());
        table
    }
}

#[async_trait]
impl StateStore for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.table().value(key).map(<[u8]>::to_vec))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
        self.table().replace(key, Some(value), ttl);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.table().replace(key, None, None);
        Ok(())
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let mut table = self.table();
        let equal = table.value(key) == expected;
        if equal {
            table.replace(key, replacement, ttl);
        }
        Ok(equal)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let table = self.table();
        let from_prefix = table
            .values
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map(|(key, _)| key);
        Ok(from_prefix
            .take_while(|key| key.starts_with(prefix))
            .cloned()
            .collect())
    }
}

/// The values, and the same keys once more by the time they expire.
#[derive(Debug, Default)]
struct Table {
    values: BTreeMap<String, Entry>,
    expiries: BTreeSet<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expiry: Option<Instant>,
}

impl Table {
    fn value(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(|entry| entry.value.as_slice())
    }

    fn replace(&mut self, key: &str, value: Option<&[u8]>, ttl: Option<Duration>) {
        if let Some(Entry {
            expiry: Some(at), ..
        }) = self.values.remove(key)
        {
            self.expiries.remove(&(at, key.to_owned()));
        }
        let Some(value) = value.map(<[u8]>::to_vec) else {
            return;
        };
        // A time beyond what the clock can express never comes.
        let expiry = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        self.expiries.extend(expiry.map(|at| (at, key.to_owned())));
        self.values.insert(key.to_owned(), Entry { value, expiry });
    }

    fn sweep(&mut self, now: Instant) {
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.expiries.pop_first() {
                self.values.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::conformance::{conformance, races};

    #[tokio::test(start_paused = true)]
    async fn memory_is_a_state_store() {
        conformance(Arc::new(Memory::new()), async |time| {
            tokio::time::advance(time).await
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn swaps_hold_between_threads() {
        races(Arc::new(Memory::new())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_expires_takes_no_room() {
        let memory = Memory::new();
        for round in 0..100 {
            for key in 0..10 {
                let ttl = Duration::from_secs(1 + key);
                memory
                    .set(&format!("{round}/{key}"), b"v", Some(ttl))
                    .await
                    .unwrap();
            }
            memory
                .set("again", b"v", Some(Duration::from_secs(60)))
                .await
                .unwrap();
            tokio::time::advance(Duration::from_secs(11)).await;
            memory.get("other").await.unwrap();
            let table = memory.table.lock().unwrap();
            assert_eq!((table.values.len(), table.expiries.len()), (1, 1));
        }
    }
}
