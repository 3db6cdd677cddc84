//! What has happened, on its way to the plugins with an `event` hook: whoever offers it waits for nobody.

mod queue;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::time::timeout;

use super::{Hook, Plugins, Scene, bindings::event, failure::Failure, instance::Plugin};
use crate::{docker::event::Whole, error::Error, shutdown::Shutdown};

pub(super) use queue::Queue;

/// Something that has happened on a backend, or to it.
#[derive(Debug)]
pub struct Notice {
    /// Nanoseconds since 1970.
    pub time: u64,
    pub backend: Arc<str>,
    pub what: What,
}

/// What has happened; the cases are those of `wit/event.wit`.
#[derive(Debug)]
pub enum What {
    /// What the daemon said, and the JSON of it.
    Docker(Whole, String),
    Joined,
    Up,
    /// With the reason.
    Down(String),
    Left,
}

/// A notice as one plugin is given it.
#[derive(Debug, Clone)]
pub struct Told {
    pub notice: Arc<Notice>,
    /// How many are missing directly before it.
    pub dropped: u64,
}

impl Notice {
    /// Of what has happened just now.
    pub fn now(backend: Arc<str>, what: What) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
        Self {
            time,
            backend,
            what,
        }
    }

    /// Of what a daemon said, at the time that it gave; none for what is no event.
    pub fn docker(backend: Arc<str>, line: &[u8]) -> Option<Self> {
        let json = std::str::from_utf8(line).ok()?.to_owned();
        let event: Whole = serde_json::from_str(&json).ok()?;
        let time = u64::try_from(event.time_nano).ok().filter(|time| *time > 0);
        let notice = Self::now(backend, What::Docker(event, json));
        Some(Self {
            time: time.unwrap_or(notice.time),
            ..notice
        })
    }

    /// The bytes of its JSON.
    fn size(&self) -> usize {
        match &self.what {
            What::Docker(_, json) => json.len(),
            What::Joined | What::Up | What::Down(_) | What::Left => 0,
        }
    }

    fn attributes(&self) -> Vec<(&str, &str)> {
        let What::Docker(event, _) = &self.what else {
            return Vec::new();
        };
        let attributes = event.actor.attributes.iter();
        attributes
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }
}

impl Told {
    fn shown<'a>(&'a self, attributes: &'a [(&'a str, &'a str)]) -> event::Notice<'a> {
        let what = match &self.notice.what {
            What::Docker(event, json) => event::What::Docker(event::DockerEvent {
                kind: &event.kind,
                action: &event.action,
                id: &event.actor.id,
                attributes,
                json,
            }),
            What::Joined => event::What::Joined,
            What::Up => event::What::Up,
            What::Down(reason) => event::What::Down(reason),
            What::Left => event::What::Left,
        };
        event::Notice {
            time: self.notice.time,
            backend: &self.notice.backend,
            what,
            dropped: self.dropped,
        }
    }
}

impl Plugins {
    /// Tells whether any plugin, a shadow or not, wants to hear what happens.
    pub fn hears(&self) -> bool {
        self.hearing().next().is_some()
    }

    /// Leaves a notice for every plugin that wants to hear it, and returns at once.
    pub fn offer(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for plugin in self.hearing() {
            if let Some(dropped) = plugin.events.push(&notice) {
                let plugin = plugin.name();
                tracing::warn!(plugin, dropped, "events dropped, the plugin is too slow");
            }
        }
    }

    /// Returns those to be fed from now on, each once; those that are fed already look at their plugin again.
    pub fn ears(&self) -> Vec<Ear> {
        let begun = |plugin: &&Plugin| plugin.events.begin();
        let ear = |plugin: &Plugin| Ear {
            plugin: plugin.name().to_owned(),
            queue: plugin.events.clone(),
        };
        self.hearing().filter(begun).map(ear).collect()
    }

    /// Tells every plugin that wants to hear it, and waits for them.
    ///
    /// # Errors
    /// That of the first plugin that fails.
    pub async fn tell(&self, notices: &[Told], scene: &Scene) -> Result<(), Error> {
        for plugin in self.hearing() {
            plugin.tell(notices, scene).await?;
        }
        Ok(())
    }

    fn hearing(&self) -> impl Iterator<Item = &Plugin> {
        let exports = |plugin: &&Plugin| plugin.component.exports(Hook::Event);
        self.chain.iter().filter(exports)
    }
}

/// Where one plugin hears what happens, whichever component it has.
pub struct Ear {
    plugin: String,
    queue: Arc<Queue>,
}

impl Ear {
    /// Gives the plugin what waits, call by call, until the shutdown begins. `scene` is what the imports show.
    pub async fn feed(
        self,
        plugins: Arc<ArcSwap<Plugins>>,
        scene: impl Fn() -> Scene,
        ended: Shutdown,
    ) {
        loop {
            tokio::select! {
                () = self.queue.filled() => {}
                () = ended.cancelled() => return,
            }
            let plugins = plugins.load_full();
            let Some(plugin) = plugins
                .hearing()
                .find(|plugin| plugin.name() == self.plugin)
            else {
                self.queue.clear();
                continue;
            };
            match plugin.component.record.rests(Hook::Event) {
                // A reload ends the rest.
                Some(rest) => tokio::select! {
                    _ = timeout(rest, self.queue.reloaded()) => {}
                    () = ended.cancelled() => return,
                },
                None => self.give(plugin, &scene()).await,
            }
        }
    }

    async fn give(&self, plugin: &Plugin, scene: &Scene) {
        let batch = self.queue.take();
        match plugin.tell(&batch, scene).await {
            Ok(()) => self.queue.delivered(&batch),
            Err(_) => self.queue.failed(&batch),
        }
    }
}

impl Plugin {
    /// Calls the hook. A failure is logged; there is nobody to refuse, so a refusal is one.
    async fn tell(&self, batch: &[Told], scene: &Scene) -> Result<(), Error> {
        let attributes: Vec<_> = batch.iter().map(|told| told.notice.attributes()).collect();
        let shown = batch.iter().zip(&attributes);
        let notices: Vec<_> = shown
            .map(|(told, attributes)| told.shown(attributes))
            .collect();
        let heard = self.hear(scene, &notices).await;
        let heard = heard.map_err(|failure| match failure {
            Failure::Refused { message, .. } => Failure::broken(message),
            failure => failure,
        });
        let heard = self.noted(Hook::Event, heard);
        heard.map_err(|failure| self.blame(Hook::Event, failure))
    }
}
