//! Where a daemon or a listener is: a TCP address or a unix socket.

use std::{fmt, net::Ipv6Addr, path::PathBuf, str::FromStr};

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`; an IPv6 host in brackets.
    Tcp(String),
    /// An absolute path.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: write tcp://host:port, host:port, unix:///path or /path")]
pub struct BadAddress(String);

impl Address {
    /// The name for a backend that was given none: its host, or `local`.
    pub fn default_name(&self) -> &str {
        self.host().unwrap_or("local")
    }

    /// The TCP host, if there is one; an IPv6 address without its brackets.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp(authority) => {
                let host = authority
                    .rsplit_once(':')
                    .map_or(authority.as_str(), |(host, _)| host);
                Some(host.trim_start_matches('[').trim_end_matches(']'))
            }
            Self::Unix(_) => None,
        }
    }

    /// The TCP port, if there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(authority) => authority.rsplit_once(':')?.1.parse().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        parse(text).ok_or_else(|| BadAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.starts_with('/') {
        return (path.len() > 1).then(|| Address::Unix(path.into()));
    }
    let schemes = ["tcp://", "http://"];
    let authority = schemes
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    let (host, port) = authority.rsplit_once(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let valid = digits && port.parse::<u16>().is_ok() && is_host(host);
    valid.then(|| Address::Tcp(authority.to_owned()))
}

fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "tcp://{authority}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, expected, name) in [
            ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376", "10.0.0.1"),
            ("10.0.0.1:2375", "tcp://10.0.0.1:2375", "10.0.0.1"),
            ("http://node1:2375", "tcp://node1:2375", "node1"),
            ("[::1]:2375", "tcp://[::1]:2375", "::1"),
            (
                "unix:///run/docker.sock",
                "unix:///run/docker.sock",
                "local",
            ),
            ("/run/docker.sock", "unix:///run/docker.sock", "local"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.default_name()),
                (expected, name)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let texts = [
            "",
            "tcp://",
            "node1",
            "unix://relative",
            "unix:///",
            "tcp://h:port",
            "a b:1",
            "https://h:1",
        ];
        for text in texts
            .into_iter()
            .chain([":2375", "::1:2375", "h:65536", "h:1/"])
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
