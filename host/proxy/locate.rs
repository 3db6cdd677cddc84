//! Locating: which backend has the object that a call names.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{Method, StatusCode};

use super::{Proxy, Turn, fanout, forward};
use crate::{
    backend::Backend,
    docker::{call::Call, edit, endpoint::Object},
    error::Error,
    inventory::index::{Located, Lookup, Stage},
};

/// How long a miss may ask the backends. The index is nearly always right: a hung backend must not make every 404 slow.
const ASK: Duration = Duration::from_secs(1);

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
            Object::Image => self.image(turn, &reference).await,
        }
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
            Lookup::SameName(all) => return Err(same_name(name, &all)),
            Lookup::SamePrefix => return Err(same_prefix(turn, name)),
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
        let asked = turn
            .flock
            .usable()
            .filter(|candidate| backend.is_none_or(|name| *candidate.name == *name));
        let limit = ASK.min(self.settings.backend_timeout);
        let answers =
            fanout::ask(asked, limit, |_| forward::own(turn, Method::GET, &path, "")).await?;
        let mut located = Vec::new();
        for (backend, body) in &answers.ok {
            located.extend(self.learn(backend, &String::from_utf8_lossy(body)));
        }
        match located.len() {
            0 | 1 => Ok(located.pop()),
            _ => Err(same_name(name, &located)),
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
        self.inventory.index.found(&backend.name, &id, name, stage);
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
        let limit = ASK.min(self.settings.backend_timeout);
        let answers = fanout::ask(turn.flock.usable(), limit, |_| {
            forward::own(turn, Method::GET, &path, "")
        })
        .await?;
        let missing = || {
            Error::refused(
                StatusCode::NOT_FOUND,
                format!("No such exec instance: {id}"),
            )
        };
        answers.holders().next().cloned().ok_or_else(missing)
    }

    /// The first backend, by name, that has an image; when none has it, the first one, whose 404 is the right answer.
    async fn image(&self, turn: &Turn, reference: &str) -> Result<Arc<Backend>, Error> {
        let holders = self.image_holders(turn, reference).await?;
        let first = holders.first().or_else(|| turn.flock.usable().next());
        first.cloned().ok_or(Error::NoBackend)
    }

    /// The backends that have an image, by name.
    pub(super) async fn image_holders(
        &self,
        turn: &Turn,
        reference: &str,
    ) -> Result<Vec<Arc<Backend>>, Error> {
        let path = format!("/images/{}/json", encode(reference));
        let limit = self.settings.backend_timeout;
        let answers = fanout::ask(turn.flock.usable(), limit, |_| {
            forward::own(turn, Method::GET, &path, "")
        })
        .await?;
        Ok(answers.holders().cloned().collect())
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
}

/// Splits `web@node1`, when node1 is a backend.
fn split_backend<'a>(turn: &Turn, reference: &'a str) -> (&'a str, Option<&'a str>) {
    match reference.rsplit_once('@') {
        Some((name, backend)) if turn.flock.get(backend).is_some() => (name, Some(backend)),
        _ => (reference, None),
    }
}

/// Escapes a reference for a path; image names keep their slashes.
fn encode(reference: &str) -> String {
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

/// No daemon can have two containers of one name, a flock can: say where they are.
fn same_name(name: &str, all: &[Located]) -> Error {
    let places: Vec<String> = all
        .iter()
        .map(|located| format!("{name}@{}", located.backend))
        .collect();
    Error::refused(
        StatusCode::CONFLICT,
        format!(
            "several containers are named {name}: use {} or an id",
            places.join(", ")
        ),
    )
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
