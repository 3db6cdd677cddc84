//! Lists made of every backend's list.

use std::{cmp::Reverse, collections::BTreeMap};

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Proxy, Turn, fanout::Answers, forward};
use crate::{
    docker::{Body, call::Call, edit, message, query::Query},
    error::Error,
};

/// The label by which a listed object tells its backend.
pub(super) const LABEL: &str = "flocker.backend";

/// What ordering and marking read of a listed container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container<'a> {
    id: String,
    #[serde(default)]
    created: i64,
    #[serde(borrow)]
    names: Option<&'a RawValue>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
}

/// What grouping reads of a listed image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    #[serde(default)]
    created: i64,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    #[serde(default = "unknown")]
    containers: i64,
}

fn unknown() -> i64 {
    -1
}

/// A cut of the list at a container that only one backend knows.
struct Cut {
    /// The container's creation, in seconds since the epoch.
    created: i64,
    /// Keep what is older, else what is newer.
    before: bool,
}

impl Proxy {
    /// `GET /containers/json` of all backends, newest first.
    pub(super) async fn container_list(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let cuts = self.cuts(turn, &mut call.query).await?;
        let limit = call
            .query
            .get("limit")
            .and_then(|limit| limit.parse::<usize>().ok())
            .filter(|limit| *limit > 0);
        if !cuts.is_empty() && limit.is_some() {
            // The cut is made here, so the daemons must not limit before it. A limit implies all states.
            call.query = call.query.without("limit").with("all", "1");
        }
        let mut answers = self.ask_list(turn, &call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut items = Vec::new();
        for (backend, body) in &answers.ok {
            for item in parse(&backend.name, body)? {
                let container: Container<'_> = item_of(&backend.name, item)?;
                if cuts.iter().all(|cut| cut.keeps(container.created)) {
                    let marked = mark(item, &container, &backend.name);
                    items.push((
                        Reverse(container.created),
                        container.id.clone(),
                        self.shown_listed(&container.id, marked),
                    ));
                }
            }
        }
        items.sort_unstable();
        items.dedup_by(|a, b| a.1 == b.1);
        items.truncate(limit.unwrap_or(usize::MAX));
        let text = edit::array(items.iter().map(|(.., item)| item.as_str()));
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    fn shown_listed(&self, id: &str, container: String) -> String {
        match &self.published {
            Some(published) => published.show_listed(id, container),
            None => container,
        }
    }

    /// `GET /images/json` of all backends, one row an image.
    pub(super) async fn image_list(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        let filters = call.query.get("filters").unwrap_or_default().into_owned();
        if ["before", "since"]
            .iter()
            .any(|name| !filter_values(&filters, name).is_empty())
        {
            return Err(Error::NotServed {
                endpoint: "GET /images/json with before or since".into(),
            });
        }
        let mut answers = self.ask_list(turn, &call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut images: BTreeMap<String, (Image, &str, bool)> = BTreeMap::new();
        for (backend, body) in &answers.ok {
            for item in parse(&backend.name, body)? {
                let image: Image = item_of(&backend.name, item)?;
                match images.get_mut(&image.id) {
                    Some((known, _, changed)) => *changed |= known.join(image),
                    None => drop(images.insert(image.id.clone(), (image, item, false))),
                }
            }
        }
        let mut rows: Vec<_> = images.into_values().collect();
        rows.sort_by(|(a, ..), (b, ..)| {
            (Reverse(a.created), &a.id).cmp(&(Reverse(b.created), &b.id))
        });
        let texts: Vec<String> = rows
            .into_iter()
            .map(|(image, item, changed)| image.write(item, changed))
            .collect();
        let text = edit::array(texts.iter().map(String::as_str));
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    /// Asks every backend for its list.
    async fn ask_list(&self, turn: &Turn, call: &Call) -> Result<Answers, Error> {
        let limit = self.settings.backend_timeout;
        turn.ask_all(limit, |_| forward::request(turn, call.copy()))
            .await
    }

    /// Takes `before` and `since` out of a query: they name a container that one backend knows, the others would
    /// refuse. What they mean is done here.
    async fn cuts(&self, turn: &Turn, query: &mut Query) -> Result<Vec<Cut>, Error> {
        let mut cuts = Vec::new();
        for (name, before) in [("before", true), ("since", false)] {
            let mut references: Vec<String> = query
                .filled(name)
                .map(|name| name.into_owned())
                .into_iter()
                .collect();
            *query = if references.is_empty() {
                query.clone()
            } else {
                query.without(name)
            };
            let filters = query.get("filters").unwrap_or_default().into_owned();
            let listed = filter_values(&filters, name);
            if !listed.is_empty() {
                *query = query.with("filters", &without_filter(&filters, name));
                references.extend(listed);
            }
            for reference in references {
                let created = self.created(turn, &reference).await?;
                cuts.push(Cut { created, before });
            }
        }
        Ok(cuts)
    }

    /// When a container was created, in seconds since the epoch.
    async fn created(&self, turn: &Turn, reference: &str) -> Result<i64, Error> {
        let (_, located) = self.container(turn, reference).await?;
        let backend = turn.backend(&located.backend)?;
        let filters = serde_json::json!({ "id": { located.id.as_str(): true } }).to_string();
        let query = Query("all=1".into()).with("filters", &filters);
        let request = forward::own(turn, http::Method::GET, "/containers/json", &query.0)?;
        let (_, body) = super::target::read(backend.send(request).await?, &backend).await?;
        let listed = parse(&backend.name, &body)?
            .first()
            .and_then(|item| edit::read(item, "Created"));
        listed.ok_or_else(|| {
            Error::refused(
                StatusCode::NOT_FOUND,
                format!("No such container: {reference}"),
            )
        })
    }
}

impl Cut {
    fn keeps(&self, created: i64) -> bool {
        if self.before {
            created < self.created
        } else {
            created > self.created
        }
    }
}

impl Image {
    /// Unites another backend's row of the same image with this one; true when this changed anything.
    fn join(&mut self, other: Self) -> bool {
        let before = (
            self.repo_tags.clone(),
            self.repo_digests.clone(),
            self.containers,
        );
        unite(&mut self.repo_tags, other.repo_tags);
        unite(&mut self.repo_digests, other.repo_digests);
        if other.containers >= 0 {
            self.containers = self.containers.max(0) + other.containers;
        }
        before
            != (
                self.repo_tags.clone(),
                self.repo_digests.clone(),
                self.containers,
            )
    }

    fn write(&self, item: &str, changed: bool) -> String {
        if !changed {
            return item.to_owned();
        }
        let list = |list: &Option<Vec<String>>| serde_json::json!(list).to_string();
        let item = edit::insert(item, "RepoTags", &list(&self.repo_tags));
        let item = edit::insert(&item, "RepoDigests", &list(&self.repo_digests));
        edit::insert(&item, "Containers", &self.containers.to_string())
    }
}

/// Unites two lists of references; `<none>` stands only where nothing else does.
fn unite(into: &mut Option<Vec<String>>, from: Option<Vec<String>>) {
    let Some(from) = from else { return };
    let list = into.get_or_insert_default();
    for reference in from {
        if !list.contains(&reference) {
            list.push(reference);
        }
    }
    if list.iter().any(|reference| !reference.contains("<none>")) {
        list.retain(|reference| !reference.contains("<none>"));
    }
}

/// Adds the backend to a listed container: as the last of its names, `/web@node1`, and as a label.
fn mark(item: &str, container: &Container<'_>, backend: &str) -> String {
    let names = container.names.map_or("[]", RawValue::get);
    let first: Option<String> = serde_json::from_str::<Vec<String>>(names)
        .ok()
        .and_then(|names| names.into_iter().next());
    let name = match first {
        Some(name) => format!("{name}@{backend}"),
        None => format!("/{}@{backend}", &container.id[..container.id.len().min(12)]),
    };
    let item = edit::insert(
        item,
        "Names",
        &edit::push(names, &Value::from(name).to_string()),
    );
    let labels = container.labels.map_or("{}", RawValue::get);
    edit::insert(
        &item,
        "Labels",
        &edit::insert(labels, LABEL, &Value::from(backend).to_string()),
    )
}

/// The items of a backend's list.
pub(super) fn parse<'a>(backend: &str, body: &'a [u8]) -> Result<Vec<&'a str>, Error> {
    let text = std::str::from_utf8(body).map_err(|reason| bad(backend, reason))?;
    edit::items(text).map_err(|reason| bad(backend, reason))
}

fn item_of<'a, T: Deserialize<'a>>(backend: &str, item: &'a str) -> Result<T, Error> {
    serde_json::from_str(item).map_err(|reason| bad(backend, reason))
}

fn bad(backend: &str, reason: impl ToString) -> Error {
    Error::BadAnswer {
        backend: backend.to_owned(),
        reason: reason.to_string(),
    }
}

/// The values of one filter, in either form: `{"k":{"v":true}}` of Go clients, `{"k":["v"]}` of others.
fn filter_values(filters: &str, name: &str) -> Vec<String> {
    match edit::read::<Value>(filters, name) {
        Some(Value::Object(values)) => values
            .into_iter()
            .filter(|(_, on)| on == true)
            .map(|(value, _)| value)
            .collect(),
        Some(Value::Array(values)) => values
            .into_iter()
            .filter_map(|value| Some(value.as_str()?.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

fn without_filter(filters: &str, name: &str) -> String {
    let mut all: serde_json::Map<String, Value> = serde_json::from_str(filters).unwrap_or_default();
    all.remove(name);
    Value::Object(all).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_containers_tell_their_backend() {
        for (item, expected) in [
            (
                r#"{"Id":"aaaa","Names":["/web","/other/web"],"Labels":{"a":"b"},"X":1.50}"#,
                r#"{"Id":"aaaa","Names":["/web","/other/web","/web@n1"],"Labels":{"a":"b","flocker.backend":"n1"},"X":1.50}"#,
            ),
            (
                r#"{"Id":"0123456789abcdef","Names":[],"Labels":null}"#,
                r#"{"Id":"0123456789abcdef","Names":["/0123456789ab@n1"],"Labels":{"flocker.backend":"n1"}}"#,
            ),
        ] {
            let container: Container<'_> = serde_json::from_str(item).unwrap();
            assert_eq!(mark(item, &container, "n1"), expected);
        }
    }

    #[test]
    fn one_image_on_two_backends_is_one_row() {
        let mut image: Image =
            serde_json::from_str(r#"{"Id":"x","RepoTags":["<none>:<none>"],"Containers":-1}"#)
                .unwrap();
        let other: Image =
            serde_json::from_str(r#"{"Id":"x","RepoTags":["a:1"],"Containers":2}"#).unwrap();
        assert!(image.join(other));
        assert_eq!(image.repo_tags.unwrap(), ["a:1"]);
        assert_eq!(image.containers, 2);
    }

    #[test]
    fn filters_are_read_in_both_forms() {
        assert_eq!(filter_values(r#"{"before":{"x":true}}"#, "before"), ["x"]);
        assert_eq!(filter_values(r#"{"before":["x"]}"#, "before"), ["x"]);
        assert!(filter_values("", "before").is_empty());
        assert_eq!(
            without_filter(r#"{"before":["x"],"label":["y"]}"#, "before"),
            r#"{"label":["y"]}"#
        );
    }
}
