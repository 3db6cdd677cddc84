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

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        config::PluginConfig,
        inventory::{Entry, Inventory, Timing},
        plugin::{Compiler, Registries, Scene},
        shutdown::Shutdown,
        state::memory::Memory,
    };

    /// A plugin whose `event` hook hears everything.
    const EAR: &str = r#"(module
      (memory (export "memory") 4)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "flocker:plugin/event@0.1.0#observe") (param i32 i32) (result i32) (i32.const 16)))"#;

    fn component() -> Vec<u8> {
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
        let (package, _) = resolve.push_dir(wit).unwrap();
        let world = resolve
            .select_world(&[package], Some("event-hook"))
            .unwrap();
        let mut module = wat::parse_str(EAR).unwrap();
        let encoding = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
        let encoder = wit_component::ComponentEncoder::default().module(&module);
        encoder.unwrap().encode().unwrap()
    }

    async fn hearing() -> Arc<ArcSwap<Plugins>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ear.wasm");
        std::fs::write(&file, component()).unwrap();
        let config = PluginConfig::new(file, "ear".to_owned());
        let loaded = Plugins::load(&[config], Compiler::default(), Registries::default())
            .await
            .unwrap();
        Arc::new(ArcSwap::from_pointee(
            loaded.with_state(Arc::new(Memory::new())),
        ))
    }

    #[tokio::test]
    async fn plugins_are_told_who_joins_who_changes_and_who_leaves() {
        let (plugins, shutdown) = (hearing().await, Shutdown::new());
        for ear in plugins.load().ears() {
            let feeding = ear.feed(plugins.clone(), Scene::empty, shutdown.clone());
            shutdown.spawn("events", feeding);
        }
        // It accepts and never answers: nothing else becomes of it.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let limit = Duration::from_secs(60);
        let timing = Timing {
            timeout: limit,
            probe_interval: limit,
        };
        let inventory = Inventory::new(timing, plugins.clone(), shutdown.clone());
        let node = |zone: &str| Entry {
            name: "node1".to_owned(),
            address: address.parse().unwrap(),
            labels: vec![("zone".to_owned(), zone.to_owned())],
        };
        for (entries, told) in [
            (vec![node("eu")], 1),
            (vec![node("eu")], 1),
            (vec![node("us")], 2),
            (vec![], 3),
            (vec![], 3),
        ] {
            inventory.feed("test", entries);
            while plugins.load().tallies()[0].events < told {
                tokio::task::yield_now().await;
            }
            assert_eq!(plugins.load().tallies()[0].events, told);
        }
        shutdown.drained(Duration::ZERO).await;
    }
}
