//! The one writer: takes the writes that wait, commits them together, then tells each how it went.

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::{failed, table::Tables};
use crate::error::Error;

/// The most writes in one transaction.
const BATCH: usize = 256;

/// One change of one key, and who waits for it.
pub(super) struct Write {
    pub(super) key: String,
    pub(super) change: Change,
    /// In milliseconds since 1970.
    pub(super) expiry: u64,
    /// Hears whether the change was made, once it is on the disk.
    pub(super) done: oneshot::Sender<Result<bool, Error>>,
}

/// None, as a value: absent.
pub(super) enum Change {
    Put(Option<Vec<u8>>),
    Swap {
        expected: Option<Vec<u8>>,
        replacement: Option<Vec<u8>>,
    },
}

/// Writes until nobody can send any more.
pub(super) fn run(
    database: &Database,
    mut waiting: mpsc::Receiver<Write>,
    clock: &dyn Fn() -> u64,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        let outcome = commit(database, &batch, clock()).map_err(|e| failed(&e));
        for (at, write) in batch.drain(..).enumerate() {
            let made = outcome.as_ref().map(|made| made[at]).map_err(Error::clone);
            // Whoever asked may have gone away; the write holds all the same.
            let _ = write.done.send(made);
        }
    }
}

/// Applies the batch in its order and returns which changes were made; on an error none is.
fn commit(database: &Database, batch: &[Write], now: u64) -> Result<Vec<bool>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    tables.sweep(now)?;
    let made: Result<Vec<bool>, _> = batch
        .iter()
        .map(|write| apply(&mut tables, write, now))
        .collect();
    let made = made?;
    drop(tables);
    if made.contains(&true) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(made)
}

fn apply(tables: &mut Tables<'_>, write: &Write, now: u64) -> Result<bool, redb::StorageError> {
    let value = match &write.change {
        Change::Put(value) => value,
        Change::Swap {
            expected,
            replacement,
        } if tables.value(&write.key, now)? == *expected => replacement,
        Change::Swap { .. } => return Ok(false),
    };
    tables.replace(&write.key, value.as_deref(), write.expiry)?;
    Ok(true)
}
