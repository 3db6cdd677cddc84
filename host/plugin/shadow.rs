//! Shadows: plugins that see what the chain is asked and decide nothing, to be tried before they decide.
//!
//! A shadow is asked after the fact, what the first plugin of the chain was asked. Having no opinion is agreement.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Hook, JsonBody, Plugins, Scene, failure::Failure, instance::Plugin, types};

mod outcome;
mod question;

pub(super) use outcome::Outcome;
pub use question::Placement;
pub(super) use question::Question;

/// A question of the chain that is over, and what became of it.
struct Sighting {
    question: Question,
    outcome: Outcome,
    /// The backends as the chain saw them.
    backends: Vec<types::Backend>,
    /// When it was JSON and read in time.
    body: Option<String>,
}

/// The body of a call that is over.
struct Kept(String);

#[async_trait]
impl JsonBody for Kept {
    async fn read(&self) -> Result<Option<String>, String> {
        Ok(Some(self.0.clone()))
    }
}

impl Plugins {
    /// Tells whether any shadow would like to see what the hook is asked.
    pub fn has_shadow(&self, hook: Hook) -> bool {
        self.shadows(hook).next().is_some()
    }

    /// Shows the shadows what was placed, and where it went; `backends` is what the chain saw of them.
    pub fn shadow(&self, placement: Placement, backend: &str, backends: Vec<types::Backend>) {
        let (question, outcome) = (
            Question::Route(placement),
            Outcome::Words(backend.to_owned()),
        );
        self.show(Sighting {
            question,
            outcome,
            backends,
            body: None,
        });
    }

    /// Shows the shadows a question of the chain. Neither it nor the outcome is made when there are none.
    pub(super) async fn show_asked(
        &self,
        hook: Hook,
        scene: &Scene,
        asked: impl FnOnce() -> (Question, Option<Outcome>),
    ) {
        if !self.has_shadow(hook) {
            return;
        }
        // A plugin of the chain that failed decided nothing that could be compared.
        if let (question, Some(outcome)) = asked() {
            self.show(Sighting {
                question,
                outcome,
                backends: (scene.backends)(),
                body: match &scene.body {
                    Some(body) => body.peek().await,
                    None => None,
                },
            });
        }
    }

    /// Asks in tasks of their own, and not at all the shadows that are behind.
    fn show(&self, sighting: Sighting) {
        let sighting = Arc::new(sighting);
        for plugin in self.shadows(sighting.question.hook()) {
            let (plugin, sighting) = (plugin.clone(), sighting.clone());
            if let Ok(permit) = plugin.component.shadows.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    compare(&plugin, &sighting).await;
                    drop(permit);
                });
            }
        }
    }

    fn shadows(&self, hook: Hook) -> impl Iterator<Item = &Plugin> {
        let shadows = self.chain.iter().filter(|plugin| plugin.is_shadow());
        shadows.filter(move |plugin| plugin.component.exports(hook))
    }
}

/// Asks a shadow, and notes whether it would have decided the same.
async fn compare(plugin: &Plugin, sighting: &Sighting) {
    let hook = sighting.question.hook();
    let answer = sighting.question.ask(plugin, &sighting.scene()).await;
    let said = match plugin.noted(hook, answer) {
        Ok(said) => said,
        Err(Failure::Refused { status, .. }) => Outcome::refusal(status),
        Err(Failure::Resting { .. }) => return,
        Err(failure) => {
            let (plugin, hook, reason) = (plugin.name(), hook.name(), failure.reason());
            tracing::warn!(plugin, hook, reason, "shadow failed");
            return;
        }
    };
    let difference = said.differs(&sighting.outcome);
    plugin.component.record.shadowed(difference.is_none());
    if let Some((shadow, chain)) = difference {
        let tally = plugin.component.tally();
        let (disagreements, of) = (tally.disagreements, tally.shadowed);
        let (plugin, hook, subject) = (plugin.name(), hook.name(), sighting.question.subject());
        tracing::info!(
            plugin,
            hook,
            subject,
            chain,
            shadow,
            disagreements,
            of,
            "shadow disagrees"
        );
    }
}

impl Sighting {
    /// Without a body when there was none, so that a shadow that computes for long steps aside.
    fn scene(&self) -> Scene {
        let (backends, body) = (self.backends.clone(), self.body.clone());
        Scene {
            backends: Arc::new(move || backends.clone()),
            body: body.map(|body| Arc::new(Kept(body)) as Arc<dyn JsonBody>),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::route::Subject;

    #[test]
    fn a_shadow_is_shown_a_body_only_when_there_was_one() {
        for body in [None, Some("{}".to_owned())] {
            let placement = Placement {
                subject: Subject::Container,
                name: None,
                image: None,
                platform: None,
                body: None,
                address: "unix".into(),
                identity: None,
            };
            let sighting = Sighting {
                question: Question::Route(placement),
                outcome: Outcome::Nothing,
                backends: Vec::new(),
                body: body.clone(),
            };
            assert_eq!(sighting.scene().body.is_some(), body.is_some());
        }
    }
}
