//! The lock on a name while somebody takes it: a name is unique across the flock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Above this many names the dead ones are swept.
const SWEEP: usize = 1024;

/// The names of every kind that are being taken.
#[derive(Default)]
pub(super) struct Locks {
    pub(super) containers: Names,
    pub(super) networks: Names,
    pub(super) volumes: Names,
    /// Groups whose first part is being placed.
    pub(super) groups: Names,
    /// Clients whose builder is being chosen.
    pub(super) builders: Names,
    /// Backends that are measuring their disks, which a daemon does once at a time.
    pub(super) disks: Names,
}

/// The names that are being taken.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Names {
    /// Waits until nobody else is taking the name.
    pub(super) async fn reserve(&self, name: &str) -> OwnedMutexGuard<()> {
        self.lock_of(name).lock_owned().await
    }

    fn lock_of(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = names.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        if names.len() > SWEEP {
            names.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::<AsyncMutex<()>>::default();
        names.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}
