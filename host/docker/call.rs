//! A call: one request of a client, classified against the table of endpoints.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use http::{HeaderMap, Method, Request, StatusCode, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode_str;
use sync_wrapper::SyncWrapper;

use super::{
    Body,
    client::Client,
    endpoint::{self, Endpoint},
    query::Query,
    version::ApiVersion,
};
use crate::error::Error;

/// One request, taken apart. What is forwarded is built from it again, unchanged but for the field that must change.
pub struct Call {
    pub method: Method,
    /// Cleaned, without the version prefix, percent escapes as the client wrote them.
    pub path: String,
    pub query: Query,
    /// The version prefix, if the client wrote one.
    pub version: Option<ApiVersion>,
    /// None for a path outside the API.
    pub endpoint: Option<&'static Endpoint>,
    /// What the client wrote.
    uri: Uri,
    /// Where in the path its parameter is.
    parameter: Option<Range<usize>>,
    pub headers: HeaderMap,
    pub client: Arc<Client>,
    /// Shared references to a call cross threads; its body does not let itself be shared.
    body: SyncWrapper<Body>,
}

impl Call {
    /// Takes a request apart.
    pub fn new(request: Request<Body>, client: Arc<Client>) -> Self {
        let (head, body) = request.into_parts();
        let cleaned = clean(head.uri.path());
        let (version, path) = split_version(&cleaned);
        let path = path.to_owned();
        let found = endpoint::find(&head.method, &path);
        Self {
            endpoint: found.map(|(row, _)| row),
            parameter: found.and_then(|(_, raw)| within(&path, raw?)),
            method: head.method,
            path,
            query: Query(head.uri.query().unwrap_or_default().to_owned()),
            uri: head.uri,
            version,
            headers: head.headers,
            client,
            body: SyncWrapper::new(body),
        }
    }

    /// What the path's parameter names, decoded, without a leading slash: a container, an exec, an image.
    pub fn reference(&self) -> Cow<'_, str> {
        let raw = self.raw_reference();
        if !raw.contains('%') {
            return Cow::Borrowed(raw.trim_start_matches('/'));
        }
        match percent_decode_str(raw).decode_utf8_lossy() {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('/')),
            Cow::Owned(text) => Cow::Owned(text.trim_start_matches('/').to_owned()),
        }
    }

    /// The path's parameter as the client wrote it.
    pub fn raw_reference(&self) -> &str {
        let parameter = self.parameter.clone();
        parameter.map_or("", |parameter| &self.path[parameter])
    }

    /// Puts another name into the path in place of the parameter.
    pub fn set_reference(&mut self, name: &str) {
        if let Some(parameter) = &mut self.parameter {
            self.path.replace_range(parameter.clone(), name);
            parameter.end = parameter.start + name.len();
        }
    }

    /// The client's own path and query, if they have a version and say the same as this call.
    pub fn unchanged(&self) -> Option<&PathAndQuery> {
        let uri = self.uri.path_and_query()?;
        let (version, path) = split_version(uri.path());
        let is_same = version.is_some() && version == self.version && path == self.path;
        (is_same && uri.query().unwrap_or_default() == self.query.0).then_some(uri)
    }

    /// Takes the body out, leaving an empty one.
    pub fn take_body(&mut self) -> Body {
        std::mem::replace(&mut self.body, SyncWrapper::new(super::empty())).into_inner()
    }

    /// Puts a streamed body in.
    pub fn put_body(&mut self, body: Body) {
        self.body = SyncWrapper::new(body);
    }

    /// Puts in a body that was read or changed.
    pub fn set_body(&mut self, body: impl Into<bytes::Bytes>) {
        self.headers = without_length(std::mem::take(&mut self.headers));
        self.put_body(super::full(body));
    }

    /// The same call without its body, for calls that go to several backends.
    pub fn copy(&self) -> Self {
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            version: self.version,
            endpoint: self.endpoint,
            uri: self.uri.clone(),
            parameter: self.parameter.clone(),
            headers: without_length(self.headers.clone()),
            client: self.client.clone(),
            body: SyncWrapper::new(super::empty()),
        }
    }

    /// The endpoint, or for a path outside the API the path, for the log and for messages.
    pub fn label(&self) -> Label {
        match self.endpoint {
            Some(row) => Label::Row(row),
            None => Label::Unknown(format!("{} {}", self.method, self.path)),
        }
    }
}

/// Where a part of a text is.
fn within(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(start..start + part.len())
}

/// What a call is called.
pub enum Label {
    Row(&'static Endpoint),
    Unknown(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) => row.fmt(f),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// Headers for another body than the one they came with.
fn without_length(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    headers
}

/// The daemon's answer to a path it does not know.
pub fn page_not_found() -> Error {
    Error::refused(StatusCode::NOT_FOUND, "page not found")
}

/// Joins doubled slashes and decodes what need not be escaped, and a slash that begins a segment. The daemon redirects
/// to the cleaned path; doing it here saves the client a round trip, and lets no policy be evaded by another spelling.
fn clean(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut cleaned = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let (character, length) = match escaped(rest) {
            Some(plain) if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => {
                (plain as char, 3)
            }
            Some(b'/') if cleaned.ends_with('/') => ('/', 3),
            _ => (first, first.len_utf8()),
        };
        if character != '/' || !cleaned.ends_with('/') {
            cleaned.push(character);
        }
        rest = &rest[length..];
    }
    Cow::Owned(cleaned)
}

/// The byte that an escape at the beginning of a text stands for.
fn escaped(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    u8::from_str_radix(digits, 16).ok()
}

/// Splits `/v1.41/containers/json` into version and rest.
fn split_version(path: &str) -> (Option<ApiVersion>, &str) {
    let split = path.strip_prefix("/v").and_then(|rest| {
        let slash = rest.find('/')?;
        let version = rest[..slash].parse().ok()?;
        Some((Some(version), &rest[slash..]))
    });
    split.unwrap_or((None, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, uri: &str) -> Call {
        let client = Client {
            connection: "1".into(),
            address: "unix".into(),
            identity: None,
        };
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(super::super::empty())
            .unwrap();
        Call::new(request, Arc::new(client))
    }

    #[test]
    fn paths_are_cleaned_and_taken_apart() {
        for (uri, path, version, reference) in [
            (
                "/v1.41/containers/web/json",
                "/containers/web/json",
                Some((1, 41)),
                "web",
            ),
            ("/containers//web/json", "/containers/web/json", None, "web"),
            (
                "/containers/%2Fweb/json",
                "/containers/web/json",
                None,
                "web",
            ),
            (
                "/containers/web%40node1/json",
                "/containers/web%40node1/json",
                None,
                "web@node1",
            ),
            (
                "/containers/%2F%2Fweb/json",
                "/containers/web/json",
                None,
                "web",
            ),
            (
                "/containers/%77eb/json",
                "/containers/web/json",
                None,
                "web",
            ),
            (
                "/containers/a%zz%/json",
                "/containers/a%zz%/json",
                None,
                "a%zz%",
            ),
            ("/images/a%2Fb/json", "/images/a%2Fb/json", None, "a/b"),
            ("/v1.41/_ping", "/_ping", Some((1, 41)), ""),
            ("/version", "/version", None, ""),
        ] {
            let call = call(Method::GET, uri);
            assert_eq!(call.path, path, "{uri}");
            assert_eq!(call.version.map(|v| (v.major, v.minor)), version, "{uri}");
            assert_eq!(call.reference(), reference, "{uri}");
        }
    }

    #[test]
    fn a_reference_is_replaced_in_place() {
        let mut call = call(Method::POST, "/v1.41/containers/web%40node1/start?x=1");
        call.set_reference("web");
        assert_eq!(call.path, "/containers/web/start");
        assert_eq!(call.query.0, "x=1");
    }
}
