//! `GET /containers/json`: every backend's list as one.

use std::cmp::Reverse;

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Proxy, Turn,
    fanout::{self, Answers},
    forward, items,
};
use crate::{
    docker::{Body, call::Call, edit, filters, message, query::Query},
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

/// A cut of a list at an object that not every backend knows.
pub(super) struct Cut {
    /// The object's creation, in seconds since the epoch.
    pub(super) created: i64,
    /// Keep what is older, else what is newer.
    pub(super) before: bool,
}

impl Proxy {
    /// `GET /containers/json` of all backends, newest first.
    pub(super) async fn container_list(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let asked = call.copy();
        let cuts = match self.cuts(turn, &mut call.query).await {
            // A daemon has words of its own for it.
            Err(error) if error.status() == StatusCode::NOT_FOUND => {
                return turn.home()?.send(forward::request(turn, asked)?).await;
            }
            cuts => cuts?,
        };
        let limit = call
            .query
            .get("limit")
            .and_then(|limit| limit.parse::<usize>().ok())
            .filter(|limit| *limit > 0);
        if !cuts.is_empty() && limit.is_some() {
            // The cut is made here, so the daemons must not limit before it. A limit implies all states.
            call.query = call.query.without("limit").with("all", "1");
        }
        let mut answers = self.ask_lists(turn, &mut call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut listed = Vec::new();
        for (backend, body) in &answers.ok {
            for item in items::parse(&backend.name, body)? {
                let container: Container<'_> = items::read(&backend.name, item)?;
                if cuts.iter().all(|cut| cut.keeps(container.created)) {
                    let marked = mark(item, &container, &backend.name);
                    listed.push((
                        Reverse(container.created),
                        container.id.clone(),
                        self.shown_listed(&container.id, marked),
                    ));
                }
            }
        }
        listed.sort_unstable();
        listed.dedup_by(|a, b| a.1 == b.1);
        listed.truncate(limit.unwrap_or(usize::MAX));
        let text = edit::array(listed.iter().map(|(.., item)| item.as_str()));
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    fn shown_listed(&self, id: &str, container: String) -> String {
        match &self.published {
            Some(published) => published.show_listed(id, container),
            None => container,
        }
    }

    /// Asks every backend that a call's filters concern for its list.
    pub(super) async fn ask_lists(&self, turn: &Turn, call: &mut Call) -> Result<Answers, Error> {
        let concerned = turn.selected(&mut call.query);
        let limit = self.settings.backend_timeout;
        fanout::ask(&concerned, limit, |_| forward::request(turn, call.copy())).await
    }

    /// Takes `before` and `since` out of a query: they name a container that one backend knows, the others would
    /// refuse. What they mean is done here.
    async fn cuts(&self, turn: &Turn, query: &mut Query) -> Result<Vec<Cut>, Error> {
        let mut cuts = Vec::new();
        for (name, before) in [("before", true), ("since", false)] {
            let mut references: Vec<String> = Vec::new();
            if let Some(reference) = query.filled(name).map(|name| name.into_owned()) {
                *query = query.without(name);
                references.push(reference);
            }
            references.extend(filters::take(query, name, |_| true));
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
        let listed = items::parse(&backend.name, &body)?
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
    pub(super) fn keeps(&self, created: i64) -> bool {
        if self.before {
            created < self.created
        } else {
            created > self.created
        }
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
        None => format!(
            "/{}@{backend}",
            container.id.get(..12).unwrap_or(&container.id)
        ),
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
}
