//! Where a daemon or a listener is: a TCP address or a unix socket.

use std::{fmt, path::PathBuf, str::FromStr};

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`
    Tcp(String),
    Unix(PathBuf),
}

impl Address {
    /// The name for a backend that was given none: its host, or `local`.
    pub fn default_name(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority
                .rsplit_once(':')
                .map_or(authority, |(host, _)| host),
            Self::Unix(_) => "local",
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads `tcp://host:port`, `http://host:port`, `host:port`, `unix:///path` and a bare `/path`. A TCP address
    /// without a port means Docker's, 2375.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text
            .strip_prefix("unix://")
            .or(text.starts_with('/').then_some(text))
        {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(format!(
                    "\"{text}\" is not an absolute path of a unix socket"
                )),
            };
        }
        let authority = text
            .strip_prefix("tcp://")
            .or(text.strip_prefix("http://"))
            .unwrap_or(text);
        let authority = authority.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', ' ', '@', '=']) {
            return Err(format!(
                "\"{text}\" is not an address: write tcp://HOST:PORT or unix:///PATH"
            ));
        }
        with_port(authority).ok_or_else(|| format!("\"{text}\" has no valid port"))
    }
}

/// Adds Docker's port when there is none; none for a port that is not a number.
fn with_port(authority: &str) -> Option<Address> {
    let is_bare_v6 = authority.ends_with(']')
        || authority.matches(':').count() > 1 && !authority.starts_with('[');
    match authority.rsplit_once(':') {
        Some((host, port)) if !is_bare_v6 => port
            .parse::<u16>()
            .ok()
            .filter(|_| !host.is_empty())
            .map(|_| Address::Tcp(authority.to_owned())),
        _ => Some(Address::Tcp(format!("{authority}:2375"))),
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
        for (text, expected) in [
            ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376"),
            ("10.0.0.1:2375", "tcp://10.0.0.1:2375"),
            ("http://node1:2375/", "tcp://node1:2375"),
            ("node1", "tcp://node1:2375"),
            ("[::1]:2375", "tcp://[::1]:2375"),
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("/var/run/docker.sock", "unix:///var/run/docker.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "tcp://",
            "unix://relative",
            "tcp://h:port",
            "a b",
            "https://h:1",
            ":2375",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
