//! Tells what has changed, to whoever follows it in flockerd and to the plugins that want to hear it. Waits for nobody.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use super::{Change, index::BackendName};
use crate::plugin::{Notice, Plugins, What};

/// How many changes a follower may be behind before it has to look at everything again.
const CHANGES: usize = 1024;

#[derive(Clone)]
pub(super) struct Herald {
    changes: broadcast::Sender<Change>,
    plugins: Arc<ArcSwap<Plugins>>,
}

impl Herald {
    pub(super) fn new(plugins: Arc<ArcSwap<Plugins>>) -> Self {
        Self {
            changes: broadcast::Sender::new(CHANGES),
            plugins,
        }
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells those who follow.
    pub(super) fn tell(&self, change: Change) {
        // Nobody may follow, and then nobody has to know.
        let _ = self.changes.send(change);
    }

    /// Tells the plugins what became of a backend.
    pub(super) fn backend(&self, backend: &BackendName, what: What) {
        self.notice(|| Some(Notice::now(backend.clone(), what)));
    }

    /// Tells the plugins what a daemon said.
    pub(super) fn event(&self, backend: &BackendName, line: &[u8]) {
        self.notice(|| {
            let notice = Notice::docker(backend.clone(), line);
            if notice.is_none() {
                tracing::debug!(%backend, "an event has no form that plugins can be told");
            }
            notice
        });
    }

    fn notice(&self, notice: impl FnOnce() -> Option<Notice>) {
        let plugins = self.plugins.load();
        if plugins.hears()
            && let Some(notice) = notice()
        {
            plugins.offer(notice);
        }
    }
}
