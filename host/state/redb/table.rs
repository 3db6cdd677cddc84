//! The two tables of the file: the values, and their keys once more by the time they expire.

use redb::{
    Database, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction,
};

/// The expiry of what stays until it is deleted.
pub(super) const NEVER: u64 = u64::MAX;

/// The expired rows that one write removes; more than it can add, so that the file stays small.
const SWEEP: usize = 64;

/// Key to expiry, in milliseconds since 1970, and value.
const VALUES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");

/// Expiry and key.
const EXPIRIES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiries");

/// Creates the tables and removes all that has expired.
pub(super) fn prepare(database: &Database, now: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    while tables.sweep(now)? > 0 {}
    drop(tables);
    Ok(transaction.commit()?)
}

/// Returns the value of a key.
pub(super) fn value(
    database: &Database,
    key: &str,
    now: u64,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let values = database.begin_read()?.open_table(VALUES)?;
    Ok(live(&values, key, now)?)
}

/// Returns the keys that begin with `prefix`, sorted.
pub(super) fn keys(
    database: &Database,
    prefix: &str,
    now: u64,
) -> Result<Vec<String>, redb::Error> {
    let values = database.begin_read()?.open_table(VALUES)?;
    let mut found = Vec::new();
    for row in values.range(prefix..)? {
        let (key, row) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if row.value().0 > now {
            found.push(key.value().to_owned());
        }
    }
    Ok(found)
}

/// Both tables in a write transaction, always changed together.
pub(super) struct Tables<'t> {
    values: Table<'t, &'static str, (u64, &'static [u8])>,
    expiries: Table<'t, (u64, &'static str), ()>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            values: transaction.open_table(VALUES)?,
            expiries: transaction.open_table(EXPIRIES)?,
        })
    }

    pub(super) fn value(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, redb::StorageError> {
        live(&self.values, key, now)
    }

    pub(super) fn replace(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        expiry: u64,
    ) -> Result<(), redb::StorageError> {
        let old = match value {
            Some(value) => self.values.insert(key, (expiry, value))?,
            None => self.values.remove(key)?,
        };
        if let Some(old) = old.map(|row| row.value().0).filter(|old| *old != NEVER) {
            self.expiries.remove((old, key))?;
        }
        if value.is_some() && expiry != NEVER {
            self.expiries.insert((expiry, key), ())?;
        }
        Ok(())
    }

    /// Removes some of what has expired and returns how many rows.
    pub(super) fn sweep(&mut self, now: u64) -> Result<usize, redb::StorageError> {
        let mut over = Vec::new();
        for row in self.expiries.iter()?.take(SWEEP) {
            let (row, ()) = row.map(|(row, _)| (row, ()))?;
            let (expiry, key) = row.value();
            if expiry > now {
                break;
            }
            over.push((expiry, key.to_owned()));
        }
        for (expiry, key) in &over {
            self.values.remove(key.as_str())?;
            self.expiries.remove((*expiry, key.as_str()))?;
        }
        Ok(over.len())
    }
}

fn live(
    values: &impl ReadableTable<&'static str, (u64, &'static [u8])>,
    key: &str,
    now: u64,
) -> Result<Option<Vec<u8>>, redb::StorageError> {
    let row = values.get(key)?;
    Ok(row.and_then(|row| {
        let (expiry, value) = row.value();
        (expiry > now).then(|| value.to_owned())
    }))
}
