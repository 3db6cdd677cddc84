//! `GET /containers/json`: every backend's list as one.

mod incoming;
mod listed;
pub(super) mod mark;
mod merged;

use std::sync::Arc;

use http::{Request, Response, StatusCode};

use super::{
    Proxy, Turn,
    fanout::{self, Answers},
    forward, items,
};
use crate::{
    backend::{Backend, ReadSize},
    docker::{Body, call::Call, edit, filters, message, query::Query},
    error::Error,
};
use incoming::{Incoming, Show, View};
use merged::Merged;

/// About how much is held of all lists together, in bytes, while they are merged.
const WINDOWS: usize = 1 << 20;
/// How much of one: smaller parts cost more than they save.
const WINDOW: std::ops::RangeInclusive<usize> = 16 << 10..=64 << 10;

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
        let view = View {
            cuts,
            show: self.show(),
        };
        let mut answers = self.open_lists(turn, call, view).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let lists = std::mem::take(&mut answers.ok).into_iter();
        let merged = Merged::new(
            lists.map(|(_, list)| list).collect(),
            limit.unwrap_or(usize::MAX),
            self.settings.backend_timeout,
        );
        Ok(answers.mark(message::streamed(StatusCode::OK, merged.body())))
    }

    /// Asks every backend that a call's filters concern for its list, and reads the first part of it.
    async fn open_lists(
        &self,
        turn: &Turn,
        mut call: Call,
        view: View,
    ) -> Result<Answers<Incoming>, Error> {
        let concerned = turn.selected(&mut call.query);
        let window = WINDOWS / concerned.len().max(1);
        let window = window.clamp(*WINDOW.start(), *WINDOW.end());
        let view = Arc::new(view);
        let request = |_: &Backend| -> Result<Request<Body>, Error> {
            let mut request = forward::request(turn, call.copy())?;
            request.extensions_mut().insert(ReadSize(window));
            Ok(request)
        };
        let limit = self.settings.backend_timeout;
        fanout::each(&concerned, limit, request, |backend, body| {
            Incoming::new(backend, body, view.clone()).fill(window)
        })
        .await
    }

    /// What shows published ports in lists.
    fn show(&self) -> Option<Box<Show>> {
        let published = self.published.clone()?;
        Some(Box::new(move |id, container| {
            published.show_listed(id, container)
        }))
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
