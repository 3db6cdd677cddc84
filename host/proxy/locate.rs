//! Locating: which backend has the object that a call names.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{Method, StatusCode};

use super::{
    Proxy, Turn,
    fanout::{self, Answers},
    forward,
};
use crate::{
    backend::Backend,
    docker::{action::Object, call::Call, edit, group::Labels},
    error::Error,
    inventory::index::{BackendName, Located, Lookup, Stage},
};

/// How long a miss may ask the backends. The index is nearly always right: a hung backend must not make every 404 slow.
pub(super) const ASK: Duration = Duration::from_secs(1);

impl Proxy {
    /// Finds the backend for a call, and puts into its path the reference that this backend understands.
    ///
    /// # Errors
    /// The daemon's own words for a missing or an ambiguous object.
    pub(super) async fn locate(
        &self,
        turn: &Turn,
        call: &mut Call,
        object: Object,
    ) -> Result<Arc<Backend>, Error> {
        let reference = call.reference().into_owned();
        match object {
            Object::Container => {
                let (name, located) = self.container(turn, &reference).await?;
                if name != call.raw_reference() {
                    call.set_reference(&located.id);
                }
                turn.backend(&located.backend)
            }
            Object::Exec => self.exec(turn, &reference).await,
            Object::Image => {
                let backend = self.image(turn, &reference).await?;
                name_alone(turn, call, &reference);
                Ok(backend)
            }
            Object::Volume => {
                let backend = self.volume(turn, &reference).await?;
                name_alone(turn, call, &reference);
                Ok(backend)
            }
            Object::Plugin => {
                let path = format!("/plugins/{}/json", encode(&reference));
                let holder = self.ask(turn, &path, None).await?.holders().next().cloned();
                holder.map_or_else(|| turn.home(), Ok)
            }
        }
    }

    /// Asks the backends for something that the index does not know: it may have been created a moment ago by somebody
    /// else. Those that are slow of late are left out.
    pub(super) async fn ask(
        &self,
        turn: &Turn,
        path: &str,
        backend: Option<&str>,
    ) -> Result<Answers, Error> {
        let asked = turn.flock.usable().filter(|candidate| {
            backend.is_none_or(|name| *candidate.name == *name) && !candidate.is_slow()
        });
        let limit = ASK.min(self.settings.backend_timeout);
        fanout::ask(asked, limit, |_| forward::own(turn, Method::GET, path, "")).await
    }

    /// Finds a container by full id, name, unambiguous id prefix, or any of these with `@backend`. Returns the
    /// reference without the backend.
    pub(super) async fn container<'a>(
        &self,
        turn: &Turn,
        reference: &'a str,
    ) -> Result<(Cow<'a, str>, Located), Error> {
        let (name, backend) = split_backend(turn, reference);
        let located = match self.inventory.index.container(name, backend) {
            Lookup::Found(located) => located,
            Lookup::SameName(all) => return Err(same_containers(name, &all)),
            Lookup::SamePrefix(_) => return Err(same_prefix(turn, name)),
            Lookup::Missing => self
                .ask_for_container(turn, name, backend)
                .await?
                .ok_or_else(|| {
                    Error::refused(
                        StatusCode::NOT_FOUND,
                        format!("No such container: {reference}"),
                    )
                })?,
        };
        Ok((Cow::Borrowed(name), located))
    }

    /// Asks the backends for a container that the index does not know: it may have been created a moment ago by
    /// somebody else.
    async fn ask_for_container(
        &self,
        turn: &Turn,
        name: &str,
        backend: Option<&str>,
    ) -> Result<Option<Located>, Error> {
        let path = format!("/containers/{}/json", encode(name));
        let answers = self.ask(turn, &path, backend).await?;
        let mut located = Vec::new();
        for (backend, body) in &answers.ok {
            located.extend(self.learn(backend, &String::from_utf8_lossy(body)));
        }
        match located.len() {
            0 | 1 => Ok(located.pop()),
            _ => Err(same_containers(name, &located)),
        }
    }

    /// Puts an inspected container into the index.
    fn learn(&self, backend: &Backend, inspect: &str) -> Option<Located> {
        let id: String = edit::read(inspect, "Id")?;
        let name: Option<String> = edit::read(inspect, "Name");
        let running = edit::member(inspect, "State").and_then(|state| edit::read(state, "Running"));
        let stage = if running == Some(true) {
            Stage::Running
        } else {
            Stage::Stopped
        };
        let name = name.as_deref().map(|name| name.trim_start_matches('/'));
        let labels =
            edit::member(inspect, "Config").and_then(|config| edit::read(config, "Labels"));
        let group = labels.and_then(|labels: Labels| labels.group());
        self.inventory
            .index
            .found(&backend.name, &id, name, stage, group);
        Some(Located {
            backend: backend.name.clone(),
            id,
        })
    }

    async fn exec(&self, turn: &Turn, id: &str) -> Result<Arc<Backend>, Error> {
        if let Some(backend) = self.inventory.index.exec(id) {
            return turn.backend(&backend);
        }
        let path = format!("/exec/{}/json", encode(id));
        let answers = self.ask(turn, &path, None).await?;
        let missing = || {
            Error::refused(
                StatusCode::NOT_FOUND,
                format!("No such exec instance: {id}"),
            )
        };
        answers.holders().next().cloned().ok_or_else(missing)
    }
}

/// Takes the backend out of a path's `data@node1`.
pub(super) fn name_alone(turn: &Turn, call: &mut Call, reference: &str) {
    if let (name, Some(_)) = split_backend(turn, reference) {
        call.set_reference(&encode(name));
    }
}

impl Turn {
    /// A backend of the flock by its name.
    pub(super) fn backend(&self, name: &str) -> Result<Arc<Backend>, Error> {
        self.flock
            .get(name)
            .cloned()
            .ok_or_else(|| Error::backend(name, "it left the flock"))
    }

    /// The backend that answers what any can answer, always the same while it is there.
    pub(super) fn home(&self) -> Result<Arc<Backend>, Error> {
        self.flock.usable().next().cloned().ok_or(Error::NoBackend)
    }

    /// The first of these that can be asked.
    pub(super) fn first_usable(&self, names: &[BackendName]) -> Option<Arc<Backend>> {
        let mut usable = self.flock.usable();
        usable
            .find(|backend| names.contains(&backend.name))
            .cloned()
    }
}

/// Splits `web@node1`, when node1 is a backend.
pub(super) fn split_backend<'a>(turn: &Turn, reference: &'a str) -> (&'a str, Option<&'a str>) {
    match reference.rsplit_once('@') {
        Some((name, backend)) if turn.flock.get(backend).is_some() => (name, Some(backend)),
        _ => (reference, None),
    }
}

/// Escapes a reference for a path; image names keep their slashes.
pub(super) fn encode(reference: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const SEGMENT: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'<')
        .add(b'>')
        .add(b'?');
    utf8_percent_encode(reference, SEGMENT).to_string()
}

fn same_containers(name: &str, all: &[Located]) -> Error {
    same_name(
        "containers",
        name,
        all.iter().map(|located| &located.backend),
    )
}

/// No daemon can have two of one name, a flock can: say where they are.
pub(super) fn same_name<'a>(
    what: &str,
    name: &str,
    places: impl Iterator<Item = &'a BackendName>,
) -> Error {
    let places: Vec<String> = places.map(|backend| format!("{name}@{backend}")).collect();
    let mut text = format!("several {what} are named {name}: use {}", places.join(", "));
    if what == "containers" {
        text += " or an id";
    }
    Error::refused(StatusCode::CONFLICT, text)
}

/// The daemon's answer, whose status and spelling changed with engine 24 (API 1.43).
fn same_prefix(turn: &Turn, prefix: &str) -> Error {
    let old = turn.flock.versions().max < crate::docker::version::ApiVersion::new(1, 43);
    let (status, first) = if old {
        (StatusCode::INTERNAL_SERVER_ERROR, "M")
    } else {
        (StatusCode::BAD_REQUEST, "m")
    };
    Error::refused(
        status,
        format!("{first}ultiple IDs found with provided prefix: {prefix}"),
    )
}
