//! A call as the request that goes to a backend: the same bytes, with an explicit version and without hop headers.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::Turn;
use crate::{
    docker::{self, Body, call::Call},
    error::Error,
};

/// Headers that concern one connection only (RFC 9110, 7.6.1), and `Expect`, which hyper has answered already.
const HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// Removes the headers that end at flockerd.
pub(super) fn strip(headers: &mut HeaderMap) {
    for name in &HOP {
        headers.remove(name);
    }
}

/// The request for a call, its body streamed.
///
/// The version is always explicit: without a prefix, daemons of different age would answer in different shapes.
pub(super) fn request(turn: &Turn, mut call: Call) -> Result<Request<Body>, Error> {
    let uri = target(turn, &call)?;
    let body = call.take_body();
    let mut headers = call.headers;
    strip(&mut headers);
    drop_form(&mut headers);
    headers.insert(header::HOST, HeaderValue::from_static("docker"));
    let mut request = Request::new(body);
    *request.method_mut() = call.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn target(turn: &Turn, call: &Call) -> Result<Uri, Error> {
    if let Some(unchanged) = call.unchanged() {
        return Ok(unchanged.clone().into());
    }
    let version = call.version.unwrap_or_else(|| turn.flock.versions().max);
    uri(&format!("/v{version}{}", call.path), &call.query.0)
}

/// A daemon reads a form in the body before the query, which is what plugins and placement have seen. No endpoint takes
/// a form.
fn drop_form(headers: &mut HeaderMap) {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let form = kind.is_some_and(|kind| {
        kind.trim()
            .to_ascii_lowercase()
            .starts_with("application/x-www-form")
    });
    if form {
        headers.remove(header::CONTENT_TYPE);
    }
}

/// A request of flockerd's own, in the flock's version.
pub(super) fn own(
    turn: &Turn,
    method: Method,
    path: &str,
    query: &str,
) -> Result<Request<Body>, Error> {
    let version = turn.flock.versions().max;
    let mut request = Request::new(docker::empty());
    *request.method_mut() = method;
    *request.uri_mut() = uri(&format!("/v{version}{path}"), query)?;
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("docker"));
    Ok(request)
}

fn uri(path: &str, query: &str) -> Result<Uri, Error> {
    let text = match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    text.parse()
        .map_err(|reason| Error::Client(format!("the path cannot be forwarded: {reason}")))
}
