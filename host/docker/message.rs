//! The one place where an error becomes Docker's JSON answer.

use http::{HeaderValue, Response, StatusCode, header};

use super::{Body, full};
use crate::error::Error;

/// Clients compare this string exactly: with a charset the docker CLI prints raw JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer of JSON text.
pub fn json(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    streamed(status, full(text))
}

/// An answer of JSON text that is written while it is sent.
pub fn streamed(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// `{"message": ...}` with the error's status.
pub fn error(error: &Error) -> Response<Body> {
    let text = serde_json::json!({ "message": error.to_string() }).to_string();
    json(error.status(), text)
}
