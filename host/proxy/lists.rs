//! `GET /containers/json`: every backend's list as one.

pub(super) mod mark;
mod merged;

use http::{Response, StatusCode};

use super::{
    Proxy, Turn,
    fanout::{self, Answers},
    forward, items,
};
use crate::{
    docker::{Body, call::Call, edit, filters, message, query::Query},
    error::Error,
};
use merged::Merged;

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
        let mut merged = Merged::default();
        for (backend, body) in std::mem::take(&mut answers.ok) {
            let kept = |created| cuts.iter().all(|cut| cut.keeps(created));
            merged.take(&backend.name, body, kept, |id, container| {
                self.published.as_ref()?.show_listed(id, container)
            })?;
        }
        let body = merged.body(limit.unwrap_or(usize::MAX));
        Ok(answers.mark(message::streamed(StatusCode::OK, body)))
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
