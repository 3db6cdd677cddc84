//! Plugins replaced while flockerd runs: when their file changes, and, as those from registries, on SIGHUP.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

use super::events::Events;
use crate::{
    plugin::{Hook, PluginInfo, Plugins, Reload},
    shutdown::Shutdown,
};

/// How often the files are looked at. One that changes is taken when it has stayed the same from one look to the next:
/// whoever writes it has finished then.
const LOOK: Duration = Duration::from_millis(500);

/// Watches the plugins' files from now on.
pub(super) fn watch(
    plugins: &Arc<ArcSwap<Plugins>>,
    events: Events,
    mut hangup: Signal,
    shutdown: &Shutdown,
) {
    let infos = plugins.load().infos();
    if infos.is_empty() {
        return;
    }
    let mut files: Vec<File> = infos.into_iter().map(File::new).collect();
    let (plugins, ended) = (plugins.clone(), shutdown.clone());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    shutdown.spawn("reload", async move {
        loop {
            let asked = tokio::select! {
                _ = looks.tick() => false,
                _ = hangup.recv() => true,
                () = ended.cancelled() => return,
            };
            // A registry may take its time.
            tokio::select! {
                () = look(&plugins, &mut files, asked) => events.feed(),
                () = ended.cancelled() => return,
            }
        }
    });
}

/// Takes what has changed, or everything when that is asked for.
async fn look(plugins: &ArcSwap<Plugins>, files: &mut [File], asked: bool) {
    for file in files {
        if file.has_settled() || asked {
            reload(plugins, file).await;
        }
    }
}

/// A plugin's file as it was seen.
struct File {
    plugin: String,
    /// None for a plugin from a registry: it never changes by itself.
    path: Option<PathBuf>,
    seen: Option<Stamp>,
    /// As it was loaded, or refused. None at first: it may have changed since it was read, while it was compiled.
    taken: Option<Stamp>,
}

/// What changes when a file does. None of a file that is not there.
type Stamp = (u64, u64, SystemTime);

impl File {
    fn new(info: PluginInfo) -> Self {
        Self {
            plugin: info.name,
            path: info.source.path().map(Path::to_owned),
            seen: None,
            taken: None,
        }
    }

    /// True when the file has changed since it was taken and no more since the last look.
    fn has_settled(&mut self) -> bool {
        let now = self.stamp();
        let settled = now.is_some() && now == self.seen && now != self.taken;
        self.seen = now;
        settled
    }

    fn stamp(&self) -> Option<Stamp> {
        self.path.as_deref().and_then(stamp)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

/// Loads a file aside and swaps the chain between two calls; what does not load leaves the old one in its place.
async fn reload(plugins: &ArcSwap<Plugins>, file: &mut File) {
    file.taken = file.stamp();
    let plugin = &file.plugin;
    match plugins.load_full().reload(plugin).await {
        Ok(Reload::Same) => {}
        Ok(Reload::KeepsState) => {
            tracing::warn!(
                plugin,
                "a plugin that keeps state is replaced by a restart only"
            );
        }
        Ok(Reload::Fresh(chain)) => {
            let old = info(&plugins.load(), plugin);
            let new = info(&chain, plugin);
            plugins.store(chain);
            tell(old.as_ref(), new.as_ref());
        }
        Err(error) => {
            tracing::error!(plugin, %error, hint = %error.hint(), "plugin not reloaded, the old one goes on");
        }
    }
}

fn info(chain: &Plugins, plugin: &str) -> Option<PluginInfo> {
    let mut infos = chain.infos().into_iter();
    infos.find(|info| info.name == plugin)
}

/// Whoever copies the wrong file over a policy must be able to see it.
fn tell(old: Option<&PluginInfo>, new: Option<&PluginInfo>) {
    let (Some(old), Some(new)) = (old, new) else {
        return;
    };
    let names = |hooks: Vec<&Hook>| {
        let names: Vec<_> = hooks.into_iter().map(|hook| hook.name()).collect();
        names.join(", ")
    };
    let (plugin, digest) = (&new.name, &new.digest);
    let hooks = names(new.hooks.iter().collect());
    tracing::info!(plugin, digest, hooks, "plugin reloaded");
    let gone = old.hooks.iter().filter(|hook| !new.hooks.contains(hook));
    let gone = names(gone.collect());
    if !gone.is_empty() {
        tracing::warn!(
            plugin,
            hooks = gone,
            "the plugin's new file has no longer these hooks"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_looked_at_again_after_the_start_and_then_when_it_changes() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut file = File::new(PluginInfo {
            name: "p".to_owned(),
            source: named.path().to_owned().into(),
            pinned: None,
            hooks: Vec::new(),
            digest: String::new(),
            size: 0,
            exports: Vec::new(),
            imports: Vec::new(),
        });
        // It may have changed after it was read and before this; nobody would ever tell.
        assert_eq!([file.has_settled(), file.has_settled()], [false, true]);
        file.taken = file.stamp();
        assert!(!file.has_settled());
    }
}
