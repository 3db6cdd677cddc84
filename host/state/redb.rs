//! State in a file: every write is on the disk when it returns.
//!
//! One thread writes. It takes all the writes that wait, applies them in one transaction and commits once, so that many
//! writers share the cost of the disk.

mod table;
mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use redb::{Builder, Database, DatabaseError};
use tokio::sync::{mpsc, oneshot};

use self::writer::Write;
use super::StateStore;
use crate::error::Error;

/// The memory for pages of the file, in bytes.
const CACHE: usize = 16 << 20;

/// The writes that may wait; further ones wait for room.
const QUEUE: usize = 1024;

/// Returns the milliseconds since 1970.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A state store in a redb file, which no other process can open meanwhile.
pub struct Redb {
    database: Arc<Database>,
    clock: Clock,
    writes: Option<mpsc::Sender<Write>>,
    writer: Option<JoinHandle<()>>,
}

impl Redb {
    /// Opens the file, or creates it for this user alone, together with the folders it lies in.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path.as_ref(), Arc::new(now))
    }

    fn open_with(path: &Path, clock: Clock) -> Result<Self, Error> {
        let file = create(path).map_err(|e| cannot_open(path, &e))?;
        let database = Builder::new()
            .set_cache_size(CACHE)
            .create_file(file)
            .map_err(|e| match e {
                DatabaseError::DatabaseAlreadyOpen => in_use(path),
                other => cannot_open(path, &other),
            })?;
        table::prepare(&database, clock()).map_err(|e| cannot_open(path, &e))?;
        let database = Arc::new(database);
        let (writes, waiting) = mpsc::channel(QUEUE);
        let (target, time) = (database.clone(), clock.clone());
        let writer = thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn(move || writer::run(&target, waiting, &*time))
            .map_err(|e| failed(&e))?;
        Ok(Self {
            database,
            clock,
            writes: Some(writes),
            writer: Some(writer),
        })
    }

    async fn write(
        &self,
        key: &str,
        change: writer::Change,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let (done, outcome) = oneshot::channel();
        let write = Write {
            key: key.to_owned(),
            change,
            expiry: self.expiry(ttl),
            done,
        };
        let writes = self.writes.as_ref().ok_or_else(stopped)?;
        writes.send(write).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    fn expiry(&self, ttl: Option<Duration>) -> u64 {
        let millis = |ttl: Duration| u64::try_from(ttl.as_millis()).unwrap_or(table::NEVER);
        ttl.map_or(table::NEVER, |ttl| {
            (self.clock)().saturating_add(millis(ttl))
        })
    }
}

impl Drop for Redb {
    /// Waits for the writes under way, so that the file is closed in good order.
    fn drop(&mut self) {
        self.writes = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("state writer panicked");
        }
    }
}

#[async_trait]
impl StateStore for Redb {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        // A lookup is a microsecond in the page cache; another thread would cost more.
        table::value(&self.database, key, (self.clock)()).map_err(|e| failed(&e))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
        let change = writer::Change::Put(Some(value.to_owned()));
        self.write(key, change, ttl).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.write(key, writer::Change::Put(None), None)
            .await
            .map(drop)
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let change = writer::Change::Swap {
            expected: expected.map(<[u8]>::to_vec),
            replacement: replacement.map(<[u8]>::to_vec),
        };
        self.write(key, change, ttl).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (database, prefix, now) = (self.database.clone(), prefix.to_owned(), (self.clock)());
        tokio::task::spawn_blocking(move || table::keys(&database, &prefix, now))
            .await
            .map_err(|e| failed(&e))?
            .map_err(|e| failed(&e))
    }
}

/// Creates what is missing of the path and opens the file.
fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn now() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

fn in_use(path: &Path) -> Error {
    Error::State(format!(
        "{} is in use by another flockerd, stop it or choose another file with --state",
        path.display()
    ))
}

fn cannot_open(path: &Path, reason: &dyn std::error::Error) -> Error {
    Error::State(format!("cannot open {}: {reason}", path.display()))
}

fn failed(reason: &dyn std::error::Error) -> Error {
    Error::State(reason.to_string())
}

fn stopped() -> Error {
    Error::State("the writer has stopped, restart flockerd".to_owned())
}

#[cfg(test)]
mod tests;
