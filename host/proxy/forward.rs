//! A call as the request that goes to a backend: the same bytes, with an explicit version and without hop headers.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::Turn;
use crate::{
    docker::{self, Body, call::Call},
    error::Error,
};

/// Removes the headers that end at flockerd.
pub(super) fn strip(headers: &mut HeaderMap) {
    // Most messages have none, and that is soon seen.
    let present: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop(name))
        .cloned()
        .collect();
    for name in present {
        headers.remove(name);
    }
}

/// Headers that concern one connection only (RFC 9110, 7.6.1), and `Expect`, which hyper has answered already.
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "transfer-encoding"
            | "upgrade"
            | "te"
            | "trailer"
            | "expect"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "keep-alive"
    )
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
    const FORM: &[u8] = b"application/x-www-form";
    // By its bytes: what follows may be no text, and is a form to the daemon all the same.
    let form = headers.get_all(header::CONTENT_TYPE).iter().any(|kind| {
        let kind = kind.as_bytes().trim_ascii();
        let begin = kind.get(..FORM.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(FORM))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_reaches_a_daemon() {
        for (kind, stays) in [
            (&b"application/x-www-form-urlencoded"[..], false),
            (b" Application/X-WWW-Form-URLencoded; a=\xff", false),
            (b"application/json", true),
            (b"application/x-tar", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(kind).unwrap());
            drop_form(&mut headers);
            assert_eq!(
                headers.contains_key(header::CONTENT_TYPE),
                stays,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn what_concerns_one_connection_ends_here() {
        let mut headers = HeaderMap::new();
        for name in [
            "connection",
            "keep-alive",
            "te",
            "upgrade",
            "x-registry-auth",
        ] {
            headers.append(name, HeaderValue::from_static("x"));
        }
        headers.append("te", HeaderValue::from_static("y"));
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-registry-auth"]);
    }
}
