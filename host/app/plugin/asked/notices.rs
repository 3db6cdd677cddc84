//! What an `event` hook is told, as it stands in a cases file.

use std::sync::Arc;

use serde::Deserialize;

use super::Json;
use crate::plugin::{Notice, Told, What};

/// The notices of one call.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Written>")]
pub(crate) struct Notices(pub(super) Vec<Told>);

/// One of them. Without a time it has happened just now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    backend: String,
    what: Happened,
    time: Option<u64>,
    #[serde(default)]
    dropped: u64,
}

/// `"up"`, `{ down = "no route" }`, `{ docker = { Type = "container", ... } }`
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Happened {
    /// As `GET /events` gives it.
    Docker(Json),
    Joined,
    Up,
    Down(String),
    Left,
}

impl TryFrom<Vec<Written>> for Notices {
    type Error = &'static str;

    fn try_from(written: Vec<Written>) -> Result<Self, Self::Error> {
        let told: Result<_, _> = written.into_iter().map(Written::told).collect();
        told.map(Self)
    }
}

impl Written {
    fn told(self) -> Result<Told, &'static str> {
        let backend: Arc<str> = self.backend.into();
        let now = |what| Notice::now(backend.clone(), what);
        let mut notice = match self.what {
            Happened::Docker(Json(text)) => Notice::docker(backend, text.as_bytes())
                .ok_or("`docker` is no event as `GET /events` gives it")?,
            Happened::Joined => now(What::Joined),
            Happened::Up => now(What::Up),
            Happened::Down(reason) => now(What::Down(reason)),
            Happened::Left => now(What::Left),
        };
        notice.time = self.time.unwrap_or(notice.time);
        Ok(Told {
            notice: Arc::new(notice),
            dropped: self.dropped,
        })
    }
}
