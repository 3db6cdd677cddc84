//! Has plugins with an `event` hook told what happens.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{plugin::Plugins, proxy::Proxy, shutdown::Shutdown};

/// What a plugin needs to be told.
pub(super) struct Events {
    plugins: Arc<ArcSwap<Plugins>>,
    proxy: Arc<Proxy>,
    shutdown: Shutdown,
}

impl Events {
    pub(super) fn new(
        plugins: &Arc<ArcSwap<Plugins>>,
        proxy: &Arc<Proxy>,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            plugins: plugins.clone(),
            proxy: proxy.clone(),
            shutdown: shutdown.clone(),
        }
    }

    /// Begins to feed the plugins that have the hook now and are not fed yet; to be called again after a reload.
    pub(super) fn feed(&self) {
        for ear in self.plugins.load().ears() {
            let proxy = self.proxy.clone();
            let scene = move || proxy.whole_scene();
            let feeding = ear.feed(self.plugins.clone(), scene, self.shutdown.clone());
            self.shutdown.spawn("events", feeding);
        }
    }
}
