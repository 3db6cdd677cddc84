//! The items of backends' lists, as they are written.

use serde::Deserialize;

use crate::{
    docker::{
        edit,
        scan::{self, Item},
    },
    error::Error,
};

/// The items of a backend's list.
pub(super) fn parse<'a>(backend: &str, body: &'a [u8]) -> Result<Vec<&'a str>, Error> {
    edit::items(text(backend, body)?).map_err(|reason| bad(backend, reason))
}

/// Where the items of a backend's list are, and the members of these names.
pub(super) fn scan<const N: usize>(
    backend: &str,
    text: &str,
    names: [&str; N],
) -> Result<Vec<Item<N>>, Error> {
    scan::list(text.as_bytes(), names).map_err(|reason| bad(backend, reason))
}

/// What flockerd reads of one item.
pub(super) fn read<'a, T: Deserialize<'a>>(backend: &str, item: &'a str) -> Result<T, Error> {
    serde_json::from_str(item).map_err(|reason| bad(backend, reason))
}

/// A backend's answer as text.
pub(super) fn text<'a>(backend: &str, body: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(body).map_err(|reason| bad(backend, reason))
}

pub(super) fn bad(backend: &str, reason: impl ToString) -> Error {
    Error::BadAnswer {
        backend: backend.to_owned(),
        reason: reason.to_string(),
    }
}
