//! Shadows: plugins that see what is placed and decide nothing, to be tried before they decide.

use std::sync::Arc;

use super::{
    Hook, Plugins, Scene,
    bindings::{route, types},
    failure::Failure,
    instance::Plugin,
};

/// A `route` request that outlives its call, and what became of it.
pub struct Placement {
    pub subject: route::Subject,
    pub name: Option<String>,
    pub image: Option<String>,
    pub platform: Option<String>,
    pub body: Option<String>,
    pub address: Arc<str>,
    pub identity: Option<Arc<str>>,
    /// The backends as the chain saw them.
    pub backends: Vec<types::Backend>,
    /// The backend that it went to.
    pub backend: String,
}

impl Plugins {
    /// Tells whether any shadow would like to see what is placed.
    pub fn has_shadow(&self) -> bool {
        self.shadows().next().is_some()
    }

    /// Shows the shadows what was placed. They are asked in tasks of their own, and not at all when they are behind.
    pub fn shadow(&self, placement: Placement) {
        let placement = Arc::new(placement);
        for plugin in self.shadows() {
            let (plugin, placement) = (plugin.clone(), placement.clone());
            if let Ok(permit) = plugin.component.shadows.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    compare(&plugin, &placement).await;
                    drop(permit);
                });
            }
        }
    }

    fn shadows(&self) -> impl Iterator<Item = &Plugin> {
        let shadows = self.chain.iter().filter(|plugin| plugin.is_shadow());
        shadows.filter(|plugin| plugin.component.exports(Hook::Route))
    }
}

/// Asks a shadow, and notes whether it would have decided the same. Having no opinion is agreement.
async fn compare(plugin: &Plugin, placement: &Placement) {
    let said = match plugin.place(&placement.scene(), placement.request()).await {
        Ok(decision) => decision.backend.map(|answer| placement.named(&answer)),
        Err(Failure::Refused { status, message }) => Some(format!("{status}: {message}")),
        Err(Failure::Resting { .. }) => return,
        Err(failure) => {
            let (plugin, reason) = (plugin.name(), failure.reason());
            tracing::warn!(plugin, hook = "route", reason, "shadow failed");
            return;
        }
    };
    let agrees = said.as_ref().is_none_or(|said| *said == placement.backend);
    plugin.component.record.shadowed(agrees);
    if !agrees {
        let tally = plugin.component.tally();
        let (plugin, name) = (plugin.name(), placement.name.as_deref());
        tracing::info!(
            plugin,
            name,
            backend = placement.backend,
            shadow = said,
            disagreements = tally.disagreements,
            of = tally.shadowed,
            "shadow disagrees"
        );
    }
}

impl Placement {
    fn scene(&self) -> Scene {
        let backends = self.backends.clone();
        Scene {
            backends: Arc::new(move || backends.clone()),
            body: None,
        }
    }

    fn request(&self) -> route::Request<'_> {
        route::Request {
            subject: self.subject,
            name: self.name.as_deref(),
            image: self.image.as_deref(),
            platform: self.platform.as_deref(),
            body: self.body.as_ref(),
            client: types::Client {
                address: &self.address,
                identity: self.identity.as_deref(),
            },
        }
    }

    /// The name of the backend that an answer means.
    fn named(&self, answer: &str) -> String {
        let mut backends = self.backends.iter();
        let known = backends.find(|backend| backend.name == answer || backend.address == answer);
        known.map_or(answer, |backend| &backend.name).to_owned()
    }
}
