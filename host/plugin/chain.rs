//! How the plugins are asked: in order, each seeing what the ones before it changed.

use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;
use wasmtime_wasi::runtime::spawn;

use crate::{config::OnFailure, error::Error};

use super::{
    Hook, Plugins, Scene,
    answer::{chosen, entries, object, verdict},
    bindings::{list, map, registry_auth, request, route, start},
    failure::Failure,
    instance::Plugin,
    shadow::{Outcome, Question},
};

/// What the `request` hooks say about a call.
#[derive(Debug)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// Answer the client with this, without asking any backend.
    Respond(http::Response<Bytes>),
}

/// What the `route` hooks say about something new.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The name of a backend, as `resolve` gave it; none: no plugin has an opinion.
    pub backend: Option<String>,
    /// The body to send instead: a JSON object; none: as it is.
    pub body: Option<String>,
    /// The plugin that chose the backend.
    pub plugin: Option<String>,
}

/// Turns a backend's name or address into its name, or says why it cannot be used.
pub type Resolve<'a> = &'a (dyn Fn(&str) -> Result<String, String> + Send + Sync);

/// Each method fails with [`Error::Denied`] when a plugin says no, and with [`Error::Plugin`] when one fails whose
/// configuration does not say to skip it.
impl Plugins {
    /// Asks the `request` hooks. Each plugin sees those of `headers` that its configuration names; `call.headers` is
    /// filled in here.
    pub async fn request(
        &self,
        call: request::Call<'_>,
        headers: &HeaderMap,
        scene: &Scene,
    ) -> Result<Verdict, Error> {
        let verdict = self.judge(&call, headers, scene).await;
        let asked = || {
            let outcome = Outcome::of(&verdict, Outcome::verdict);
            (Question::request(&call, headers), outcome)
        };
        self.show_asked(Hook::Request, scene, asked).await;
        verdict
    }

    async fn judge(
        &self,
        call: &request::Call<'_>,
        headers: &HeaderMap,
        scene: &Scene,
    ) -> Result<Verdict, Error> {
        for plugin in self.exporting(Hook::Request) {
            let visible = visible(headers, &plugin.component.settings.headers);
            let call = request::Call {
                headers: &visible,
                ..call.clone()
            };
            let answer = plugin.handle(scene, call).await.and_then(verdict);
            if let Some(Verdict::Respond(response)) = plugin.settle(Hook::Request, answer)? {
                return Ok(Verdict::Respond(response));
            }
        }
        Ok(Verdict::Proceed)
    }

    /// Asks the `route` hooks until one names a backend; what the earlier ones changed in the body stays changed.
    pub async fn route(
        &self,
        request: route::Request<'_>,
        scene: &Scene,
        resolve: Resolve<'_>,
    ) -> Result<Decision, Error> {
        let mut decision = Decision::default();
        for plugin in self.exporting(Hook::Route) {
            let request = route::Request {
                body: decision.body.as_ref().or(request.body),
                ..request.clone()
            };
            let answer = plugin
                .place(scene, request)
                .await
                .and_then(|answer| chosen(answer, resolve));
            let Some(answer) = plugin.settle(Hook::Route, answer)? else {
                continue;
            };
            decision.body = answer.body.or(decision.body);
            if answer.backend.is_some() {
                decision.backend = answer.backend;
                decision.plugin = Some(plugin.name().to_owned());
                break;
            }
        }
        Ok(decision)
    }

    /// Asks the `map` hooks and returns the changed configuration, none when nobody changed it.
    pub async fn map(
        &self,
        request: map::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<String>, Error> {
        let changed = self.mapped(&request, scene).await;
        let asked = || {
            let sent =
                |changed: &Option<String>| Outcome::sent(changed.as_ref(), Some(request.container));
            (Question::map(&request), Outcome::of(&changed, sent))
        };
        self.show_asked(Hook::Map, scene, asked).await;
        changed
    }

    async fn mapped(
        &self,
        request: &map::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<String>, Error> {
        let mut changed = None;
        for plugin in self.exporting(Hook::Map) {
            let request = map::Request {
                container: changed.as_ref().unwrap_or(request.container),
                ..request.clone()
            };
            let answer = plugin.rewrite_create(scene, request).await.and_then(object);
            changed = plugin.settle(Hook::Map, answer)?.flatten().or(changed);
        }
        Ok(changed)
    }

    /// Asks the `start` hooks and returns the changed body, none when nobody changed it.
    pub async fn start(
        &self,
        request: start::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<String>, Error> {
        let changed = self.started(&request, scene).await;
        let asked = || {
            let sent = |changed: &Option<String>| Outcome::sent(changed.as_ref(), request.body);
            (Question::start(&request), Outcome::of(&changed, sent))
        };
        self.show_asked(Hook::Start, scene, asked).await;
        changed
    }

    async fn started(
        &self,
        request: &start::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<String>, Error> {
        let mut changed = None;
        for plugin in self.exporting(Hook::Start) {
            let request = start::Request {
                body: changed.as_ref().or(request.body),
                ..request.clone()
            };
            let answer = plugin.rewrite_start(scene, request).await.and_then(object);
            changed = plugin.settle(Hook::Start, answer)?.flatten().or(changed);
        }
        Ok(changed)
    }

    /// Asks all `list` hooks at once and returns each plugin's name and answer, in the order of the chain.
    pub async fn list(&self, scene: &Scene) -> Vec<(String, Result<Vec<list::Entry>, Error>)> {
        let ask = async |plugin: Plugin, scene: Scene| {
            let answer = plugin.backends(&scene).await.and_then(entries);
            let answer = plugin.noted(Hook::List, answer);
            let answer = answer.map_err(|failure| plugin.blame(Hook::List, failure));
            (plugin.name().to_owned(), answer)
        };
        // Each in a task of its own: one that computes for long keeps its task's thread.
        let asked = self.exporting(Hook::List);
        let asked = asked.map(|plugin| spawn(ask(plugin.clone(), scene.clone())));
        join_all(asked.collect::<Vec<_>>()).await
    }

    /// Asks the `registry-auth` hooks until one has credentials.
    pub async fn registry_auth(
        &self,
        request: registry_auth::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<registry_auth::Credentials>, Error> {
        let found = self.found(&request, scene).await;
        let asked = || {
            let outcome = Outcome::of(&found, |found| Outcome::credentials(found.as_ref()));
            (Question::registry_auth(&request), outcome)
        };
        self.show_asked(Hook::RegistryAuth, scene, asked).await;
        found
    }

    async fn found(
        &self,
        request: &registry_auth::Request<'_>,
        scene: &Scene,
    ) -> Result<Option<registry_auth::Credentials>, Error> {
        for plugin in self.exporting(Hook::RegistryAuth) {
            let answer = plugin.lookup(scene, request.clone()).await;
            if let Some(credentials) = plugin.settle(Hook::RegistryAuth, answer)?.flatten() {
                return Ok(Some(credentials));
            }
        }
        Ok(None)
    }

    pub(super) fn exporting(&self, hook: Hook) -> impl Iterator<Item = &Plugin> {
        self.chain
            .iter()
            .filter(move |plugin| plugin.component.exports(hook) && !plugin.is_shadow())
    }
}

impl Plugin {
    /// Notes how a call ended, its answer being checked.
    pub(super) fn noted<T>(&self, hook: Hook, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.component.record.note(hook, &answer);
        answer
    }

    /// Applies `on_failure`: returns none when the failed plugin counts as one without an opinion.
    fn settle<T>(&self, hook: Hook, answer: Result<T, Failure>) -> Result<Option<T>, Error> {
        let failure = match self.noted(hook, answer) {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => failure,
        };
        let skip = self.component.settings.on_failure == OnFailure::Skip;
        match self.blame(hook, failure) {
            Error::Plugin { .. } if skip => Ok(None),
            error => Err(error),
        }
    }

    /// Makes the call's error from a failure, and logs it unless the plugin merely said no.
    pub(super) fn blame(&self, hook: Hook, failure: Failure) -> Error {
        let (plugin, hook) = (self.name().to_owned(), hook.name());
        match failure {
            Failure::Refused { status, message } => Error::Denied {
                plugin,
                status,
                message,
            },
            Failure::Resting { reason } => {
                tracing::debug!(plugin, hook, reason, "plugin rests");
                Error::Plugin {
                    plugin,
                    hook,
                    reason,
                }
            }
            Failure::Broken { reason, trace } => {
                tracing::warn!(plugin, hook, reason, "plugin failed");
                if let Some(trace) = trace {
                    tracing::debug!(plugin, hook, trace, "where the plugin failed");
                }
                Error::Plugin {
                    plugin,
                    hook,
                    reason,
                }
            }
        }
    }
}

/// Picks the headers named; values that are not text are left out.
pub(super) fn visible<'a>(headers: &'a HeaderMap, names: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let values = |name: &'a String| {
        let values = headers.get_all(name.as_str()).iter();
        let text = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        text.map(move |value| (name.as_str(), value))
    };
    names.iter().flat_map(values).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_named_headers_are_visible() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer a"));
        headers.append("x-registry-auth", HeaderValue::from_static("secret"));
        headers.append("via", HeaderValue::from_static("one"));
        headers.append("via", HeaderValue::from_static("two"));
        let names = [
            "via".to_owned(),
            "authorization".to_owned(),
            "absent".to_owned(),
        ];
        let seen = visible(&headers, &names);
        assert_eq!(
            seen,
            [
                ("via", "one"),
                ("via", "two"),
                ("authorization", "Bearer a")
            ]
        );
    }
}
