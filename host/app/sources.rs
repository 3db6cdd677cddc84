//! What feeds the inventory: the configuration once, `list` hooks again and again.

use std::{io, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    address::Address,
    config::{BackendConfig, Config},
    inventory::{Entry, Inventory},
    plugin::{Hook, Plugins, Scene, list},
    shutdown::Shutdown,
};

/// The source of the configured backends; sorts before all plugins, so that its entries win.
const FIXED: &str = "";

/// Feeds the inventory and keeps feeding it.
pub(super) async fn feed(
    config: &Config,
    inventory: &Arc<Inventory>,
    plugins: &Arc<ArcSwap<Plugins>>,
    shutdown: &Shutdown,
) -> io::Result<()> {
    // Heard even when nobody lists: SIGHUP must not end a daemon.
    let mut hangup = signal(SignalKind::hangup())?;
    let listed = plugins.load().has(Hook::List);
    inventory.feed(FIXED, fixed(config, listed));
    if listed {
        ask(inventory, &plugins.load_full()).await;
    }
    let (inventory, plugins, ended) = (inventory.clone(), plugins.clone(), shutdown.clone());
    let mut again = interval(config.list_interval);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    again.reset();
    shutdown.spawn("sources", async move {
        loop {
            tokio::select! {
                _ = again.tick() => {}
                _ = hangup.recv() => tracing::info!("asking for the backends again"),
                () = ended.cancelled() => return,
            }
            ask(&inventory, &plugins.load_full()).await;
        }
    });
    Ok(())
}

/// Asks every `list` hook; what fails leaves its last answer standing.
pub(super) async fn ask(inventory: &Inventory, plugins: &Plugins) {
    for (plugin, answer) in plugins.list(&Scene::empty()).await {
        match answer.map_err(|error| error.to_string()).and_then(entries) {
            Ok(entries) => inventory.feed(&plugin, entries),
            Err(error) => {
                tracing::warn!(plugin, error, "cannot list backends, the last list stands")
            }
        }
    }
}

/// Reads a plugin's list; one bad address spoils it, for half a flock is worse than yesterday's.
fn entries(list: Vec<list::Entry>) -> Result<Vec<Entry>, String> {
    let read = |entry: list::Entry| {
        let address = entry
            .address
            .parse::<Address>()
            .map_err(|error| format!("backend {}: {error}", entry.name))?;
        Ok(Entry {
            name: entry.name,
            address,
            labels: entry.labels,
        })
    };
    list.into_iter().map(read).collect()
}

/// The configured backends, or the local daemon when nothing else says which there are.
pub(super) fn fixed(config: &Config, listed: bool) -> Vec<Entry> {
    let entries: Vec<Entry> = config.backends.iter().map(entry).collect();
    match entries.is_empty() && !listed {
        true => vec![local_daemon(&config.listen)],
        false => entries,
    }
}

fn entry(backend: &BackendConfig) -> Entry {
    Entry {
        name: backend.name.clone(),
        address: backend.address.clone(),
        labels: backend.labels.clone().into_iter().collect(),
    }
}

/// Where the docker CLI would go, unless that is flockerd itself, as in a shell that pasted the line it printed.
fn local_daemon(own: &[Address]) -> Entry {
    let host = std::env::var("DOCKER_HOST").ok();
    let address: Option<Address> = host.and_then(|host| host.parse().ok());
    let other = address.filter(|address| !own.contains(address));
    let address = other.unwrap_or_else(|| Address::Unix("/var/run/docker.sock".into()));
    Entry {
        name: address.default_name().to_owned(),
        address,
        labels: Vec::new(),
    }
}
