//! What flockerd wants of a create's body before it reads it.

use http::{HeaderMap, StatusCode, header};

use crate::error::Error;

/// True for what can be an image; anything else the daemon refuses, and it knows the words for it.
pub(super) fn is_reference(image: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    !image.is_empty() && image.chars().all(allowed) && !image.contains("..")
}

/// A JSON body as the hooks take it.
pub(super) fn text(body: &[u8]) -> Result<String, Error> {
    String::from_utf8(body.to_vec()).map_err(|_| Error::Client("the body is not UTF-8".into()))
}

/// The daemon's rule: anything but JSON is refused before it is read.
pub(super) fn json_only(headers: &HeaderMap) -> Result<(), Error> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(()),
        _ => Err(Error::refused(
            StatusCode::BAD_REQUEST,
            format!("Content-Type specified ({kind}) must be 'application/json'"),
        )),
    }
}
