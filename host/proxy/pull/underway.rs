//! The pulls that are under way, so that others can wait for one instead of repeating it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{backend::Backend, docker::reference::Reference, inventory::index::BackendName};

/// A pull as the map knows it: where, and which image.
type Key = (BackendName, String);

/// The pulls that are under way. Somebody who waits for one sees it end.
#[derive(Default)]
pub(in crate::proxy) struct Pulls(Arc<Mutex<HashMap<Key, Vec<watch::Receiver<()>>>>>);

/// A pull under way; it ends when this is dropped.
pub(in crate::proxy) struct Underway {
    pulls: Arc<Mutex<HashMap<Key, Vec<watch::Receiver<()>>>>>,
    key: Key,
    _ended: watch::Sender<()>,
}

impl Pulls {
    pub(in crate::proxy) fn begin(&self, backend: &Backend, image: &str) -> Underway {
        let key = key(backend, image);
        let (ended, receiver) = watch::channel(());
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.entry(key.clone()).or_default().push(receiver);
        Underway {
            pulls: self.0.clone(),
            key,
            _ended: ended,
        }
    }

    /// True while a pull of an image is under way to a backend.
    pub(in crate::proxy) fn is_underway(&self, backend: &Backend, image: &str) -> bool {
        let pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.contains_key(&key(backend, image))
    }

    /// Waits until the pulls of an image that are under way to a backend have ended.
    pub(in crate::proxy) async fn ended(&self, backend: &Backend, image: &str) {
        let waiting = {
            let pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pulls.get(&key(backend, image)).cloned().unwrap_or_default()
        };
        for mut pull in waiting {
            // The sender is never used; that it goes is the news.
            let _ = pull.changed().await;
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = pulls.get_mut(&self.key) {
            waiting.retain(|pull| {
                pull.has_changed().is_ok() && !pull.same_channel(&self._ended.subscribe())
            });
            if waiting.is_empty() {
                pulls.remove(&self.key);
            }
        }
    }
}

fn key(backend: &Backend, image: &str) -> Key {
    (backend.name.clone(), Reference::parse(image).canonical())
}
