//! `flockerd check`: configuration, plugins and backends verified, one line each.

use std::{fmt::Write, sync::Arc};

use super::sources;
use crate::{
    backend::Health,
    config::{Config, PluginConfig},
    inventory::{Inventory, Timing},
    plugin::{Hook, Plugins},
    shutdown::Shutdown,
};

/// Verifies everything that serving would need. Returns the report and whether all is well.
pub async fn check(config: &Config) -> (String, bool) {
    let mut report = String::from("ok    configuration\n");
    let (mut well, mut listed) = (true, false);
    for plugin in &config.plugins {
        let (line, found) = check_plugin(plugin).await;
        well &= found.is_some();
        listed |= found.is_some_and(|hooks| hooks.contains(&Hook::List));
        report.push_str(&line);
    }
    well &= check_backends(config, listed, &mut report).await;
    (report, well)
}

async fn check_plugin(plugin: &PluginConfig) -> (String, Option<Vec<Hook>>) {
    let name = &plugin.name;
    match Plugins::load(std::slice::from_ref(plugin)).await {
        Ok(loaded) => {
            let hooks: Vec<Hook> = loaded
                .infos()
                .into_iter()
                .flat_map(|info| info.hooks)
                .collect();
            let names: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
            (
                format!("ok    plugin {name}: {}\n", names.join(", ")),
                Some(hooks),
            )
        }
        Err(error) => (
            format!("error plugin {name}: {error} (hint: {})\n", error.hint()),
            None,
        ),
    }
}

async fn check_backends(config: &Config, listed: bool, report: &mut String) -> bool {
    let shutdown = Shutdown::new();
    let timing = Timing {
        timeout: config.backend_timeout,
        probe_interval: config.probe_interval,
    };
    let inventory = Arc::new(Inventory::new(timing, shutdown.clone()));
    inventory.feed("configuration", sources::fixed(config, listed));
    inventory.settled().await;
    let mut well = true;
    for backend in inventory.flock().backends() {
        let status = backend.status();
        let up = status.health == Health::Up;
        well &= up;
        let mark = if up { "ok   " } else { "error" };
        let said = match &status.engine {
            Some(engine) => format!("Docker {}, API {}", engine.version, engine.versions.max),
            None if status.reason.is_empty() => {
                format!("no answer within {:?}", config.backend_timeout)
            }
            None => status.reason.clone(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            report,
            "{mark} backend {} {}: {said}",
            backend.name, backend.address
        );
    }
    shutdown.drained(std::time::Duration::ZERO).await;
    well
}
