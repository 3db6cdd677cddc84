//! HTTP requests to the hosts that `http` in the plugin's configuration grants.
//!
//! ```
//! # use flocker_plugin::{Error, http};
//! # fn look() -> Result<(), Error> {
//! let answer = http::get("http://consul.internal:8500/v1/catalog/datacenters")
//!     .header("X-Consul-Token", "secret")
//!     .send()?
//!     .success()?;
//! let datacenters: Vec<String> = answer.json()?;
//! # Ok(())
//! # }
//! ```
//!
//! A request blocks the plugin and counts towards its `timeout`. Redirects are not followed. Bodies have at most 16 MiB.
//! Only a plugin that uses this module imports `wasi:http`.

use serde::de::DeserializeOwned;

use crate::Error;

#[cfg(target_family = "wasm")]
mod wire;
#[cfg(not(target_family = "wasm"))]
use crate::testing::host::http as wire;

/// Begins a GET request.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// Begins a POST request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// Begins a request with any method.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// Escapes a text for one segment of a path, or one value of a query.
pub fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// A request that has not been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Adds a header. `Host` and `Content-Length` are added by themselves.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body, with its `Content-Type`.
    pub fn json(self, value: &serde_json::Value) -> Self {
        let body = value.to_string();
        self.header("content-type", "application/json").body(body)
    }

    /// Sends it and waits for the whole answer, whatever its status is.
    ///
    /// # Errors
    /// Why there is no answer, in words: the host is not granted, cannot be reached, or breaks off.
    pub fn send(self) -> Result<Response, String> {
        let url = Url::parse(&self.url)?;
        wire::send(&self, &url).map_err(|reason| format!("{} {}: {reason}", self.method, self.url))
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Makes an answer, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Returns the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Fails unless the status is from 200 to 299.
    pub fn success(self) -> Result<Self, String> {
        match self.status {
            200..=299 => Ok(self),
            status => Err(format!("the answer has status {status}: {}", self.start())),
        }
    }

    /// Returns the body as text.
    pub fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.body).map_err(|error| format!("the answer is no text: {error}"))
    }

    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// What a message can show of the body.
    fn start(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.trim().chars().take(200).collect()
    }
}

/// The parts of a URL.
#[cfg_attr(
    not(target_family = "wasm"),
    allow(
        dead_code,
        reason = "the stand-in of the tests answers by the whole URL"
    )
)]
pub(crate) struct Url<'a> {
    pub(crate) secure: bool,
    pub(crate) authority: &'a str,
    /// With the query; at least `/`.
    pub(crate) path: String,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Result<Self, String> {
        let wrong = || format!("`{url}` is not a url: write http://host:port/path or https://...");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return Err(wrong());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            secure,
            authority,
            path: format!("{slash}{path}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_path() {
        let parts = |url| Url::parse(url).map(|url| (url.secure, url.authority, url.path));
        for (url, secure, authority, path) in [
            ("http://a", false, "a", "/"),
            ("https://a:1/b?c#d", true, "a:1", "/b?c"),
            ("http://[::1]:80?x=/y", false, "[::1]:80", "/?x=/y"),
        ] {
            assert_eq!(parts(url), Ok((secure, authority, path.to_owned())));
        }
        for url in ["a/b", "ftp://a", "http://", "http:///b"] {
            assert!(parts(url).is_err_and(|reason| reason.contains(url)));
        }
    }

    #[test]
    fn what_a_path_cannot_have_is_escaped() {
        assert_eq!(escape("a-b.c:5000/é"), "a-b.c%3A5000%2F%C3%A9");
    }

    #[test]
    fn an_answer_that_is_no_success_says_what_it_is() {
        assert!(Response::new(204, "").success().is_ok());
        let reason = Response::new(403, "no such token\n").success();
        assert_eq!(
            reason,
            Err("the answer has status 403: no such token".to_owned())
        );
    }
}
