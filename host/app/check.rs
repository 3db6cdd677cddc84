//! `flockerd check`: configuration, plugins and backends verified, one line each.

use std::{sync::Arc, time::Duration};

use super::{makers, sources};
use crate::{
    backend::{Backend, Health},
    config::{Config, PluginConfig},
    inventory::{Inventory, Timing},
    plugin::{Hook, Loaded, Plugins},
    shutdown::Shutdown,
    state::memory::Memory,
};

/// Verifies everything that serving would need. Returns the report and whether all is well.
pub async fn check(config: &Config) -> (String, bool) {
    let mut report = String::from("ok    configuration\n");
    let mut well = true;
    for plugin in &config.plugins {
        let (line, good) = check_plugin(plugin, config).await;
        well &= good;
        report.push_str(&line);
    }
    well &= check_backends(config, well, &mut report).await;
    (report, well)
}

async fn check_plugin(plugin: &PluginConfig, config: &Config) -> (String, bool) {
    let (compiler, registries) = makers(config);
    match Plugins::load(std::slice::from_ref(plugin), compiler, registries).await {
        Ok(loaded) => {
            let hooks = loaded.infos().into_iter().flat_map(|info| info.hooks);
            let names: Vec<&str> = hooks.map(Hook::name).collect();
            (
                format!("ok    plugin {}: {}\n", plugin.name, names.join(", ")),
                true,
            )
        }
        Err(error) => (format!("error {error} (hint: {})\n", error.hint()), false),
    }
}

/// Verifies the backends of the configuration and, when the plugins are sound, those that they list.
async fn check_backends(config: &Config, ask_plugins: bool, report: &mut String) -> bool {
    let shutdown = Shutdown::new();
    let timing = Timing {
        timeout: config.backend_timeout,
        probe_interval: config.probe_interval,
    };
    let plugins = match ask_plugins {
        true => {
            let (compiler, registries) = makers(config);
            let loaded = Plugins::load(&config.plugins, compiler, registries).await;
            loaded.unwrap_or_default()
        }
        false => Loaded::default(),
    };
    let plugins = plugins.with_state(Arc::new(Memory::new()));
    // Nobody is told of a trial.
    let inventory = Arc::new(Inventory::new(timing, Arc::default(), shutdown.clone()));
    inventory.feed(
        "configuration",
        sources::fixed(config, plugins.has(Hook::List)),
    );
    sources::ask(&inventory, &plugins).await;
    inventory.settled().await;
    let mut well = !inventory.flock().backends().is_empty();
    if !well {
        report.push_str("error no backend is listed\n");
    }
    for backend in inventory.flock().backends() {
        let (line, up) = describe(backend, config);
        well &= up;
        report.push_str(&line);
    }
    shutdown.drained(Duration::ZERO).await;
    well
}

fn describe(backend: &Backend, config: &Config) -> (String, bool) {
    let status = backend.status();
    let up = status.health == Health::Up;
    let mark = if up { "ok   " } else { "error" };
    let said = match &status.engine {
        Some(engine) => format!("Docker {}, API {}", engine.version, engine.versions.max),
        None if status.reason.is_empty() => {
            format!("no answer within {:?}", config.backend_timeout)
        }
        None => status.reason.clone(),
    };
    (
        format!(
            "{mark} backend {} {}: {said}\n",
            backend.name, backend.address
        ),
        up,
    )
}
