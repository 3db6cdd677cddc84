//! The items of backends' lists, as they are written.

use serde::Deserialize;

use crate::{docker::edit, error::Error};

/// The items of a backend's list.
pub(super) fn parse<'a>(backend: &str, body: &'a [u8]) -> Result<Vec<&'a str>, Error> {
    edit::items(text(backend, body)?).map_err(|reason| bad(backend, reason))
}

/// What flockerd reads of one item.
pub(super) fn read<'a, T: Deserialize<'a>>(backend: &str, item: &'a str) -> Result<T, Error> {
    serde_json::from_str(item).map_err(|reason| bad(backend, reason))
}

/// A backend's answer as text.
pub(super) fn text<'a>(backend: &str, body: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(body).map_err(|reason| bad(backend, reason))
}

fn bad(backend: &str, reason: impl ToString) -> Error {
    Error::BadAnswer {
        backend: backend.to_owned(),
        reason: reason.to_string(),
    }
}
