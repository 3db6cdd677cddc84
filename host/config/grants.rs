//! What a plugin may do beyond computing: nothing, unless its `[[plugin]]` grants it.

use std::{fmt, net::Ipv6Addr, path::PathBuf};

use super::Problem;

/// What one plugin is granted. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The hosts it may call by HTTP.
    pub http: Vec<HostGrant>,
    /// The variables of the environment that it sees.
    pub env: Vec<EnvGrant>,
    /// The directory that it may read, as its `/`.
    pub dir: Option<PathBuf>,
    pub clocks: Reality,
    pub random: Reality,
}

impl Grants {
    /// Whether a request may go to this host: lower case, an IPv6 address in brackets.
    pub fn allow(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        let grants = self.http.iter();
        grants
            .into_iter()
            .any(|grant| grant.covers(scheme, host, port))
    }
}

/// Where time and random numbers come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reality {
    /// Made up, the same in every fresh instance.
    #[default]
    Fixed,
    Real,
}

/// A variable of the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvGrant {
    pub name: String,
    /// None: as in flockerd's own environment.
    pub value: Option<String>,
}

/// Without the value, which may be a secret.
impl fmt::Debug for EnvGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvGrant")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Hosts that may be called: `consul.internal:8500`, `https://vault.internal`, `*.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGrant {
    /// None: both.
    scheme: Option<Scheme>,
    /// In lower case.
    host: HostName,
    /// None: the scheme's own.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostName {
    One(String),
    /// Every name that ends so, dot included: `.example.org`.
    Below(String),
}

impl HostGrant {
    /// Reads one entry of `http`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        parse(text).ok_or_else(|| {
            Problem::new(
                format!("`{text}` is not a host that a plugin can be granted"),
                "write consul.internal:8500, https://vault.internal or *.example.org, without a path",
            )
        })
    }

    fn covers(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        let named = match &self.host {
            HostName::One(name) => name == host,
            HostName::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        };
        named
            && self.scheme.is_none_or(|granted| granted == scheme)
            && self.port.unwrap_or(scheme.port()) == port
    }
}

impl fmt::Display for HostGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.name())?;
        }
        match &self.host {
            HostName::One(name) => f.write_str(name)?,
            HostName::Below(suffix) => write!(f, "*{suffix}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<HostGrant> {
    let (scheme, authority) = match text.split_once("://") {
        Some(("http", rest)) => (Some(Scheme::Http), rest),
        Some(("https", rest)) => (Some(Scheme::Https), rest),
        Some(_) => return None,
        None => (None, text),
    };
    // A URL without a path is often written with a slash.
    let authority = match scheme {
        Some(_) => authority.strip_suffix('/').unwrap_or(authority),
        None => authority,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(number(port)?)),
        _ => (authority, None),
    };
    let host = host_name(&host.to_ascii_lowercase())?;
    Some(HostGrant { scheme, host, port })
}

fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

fn host_name(host: &str) -> Option<HostName> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(HostName::One(format!("[{address}]")));
    }
    match host.strip_prefix("*.") {
        Some(domain) => is_name(domain).then(|| HostName::Below(format!(".{domain}"))),
        None => is_name(host).then(|| HostName::One(host.to_owned())),
    }
}

fn is_name(host: &str) -> bool {
    let fits = |label: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.bytes().all(of_name)
    };
    host.split('.').all(fits)
}

/// Reads one entry of `env`: `KEY` or `KEY=value`.
pub(super) fn env(text: &str) -> Result<EnvGrant, Problem> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let fits = !name.is_empty() && !text.contains('\0') && !name.contains(char::is_whitespace);
    if !fits {
        return Err(Problem::new(
            format!("`{name}` is not the name of a variable"),
            "write KEY for flockerd's own, or KEY=value",
        ));
    }
    let name = name.to_owned();
    Ok(EnvGrant { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        let (scheme, authority) = url.split_once("://").unwrap();
        let scheme = match scheme {
            "http" => Scheme::Http,
            _ => Scheme::Https,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap()),
            _ => (authority, scheme.port()),
        };
        let http = vec![HostGrant::parse(grant).unwrap()];
        let grants = Grants {
            http,
            ..Grants::default()
        };
        grants.allow(scheme, host, port)
    }

    #[test]
    fn a_grant_covers_what_it_names_and_nothing_besides() {
        for (grant, granted, refused) in [
            (
                "consul",
                &["http://consul", "https://consul", "http://consul:80"][..],
                &[
                    "http://consul:8500",
                    "http://consul:443",
                    "http://consul.org",
                ][..],
            ),
            (
                "Consul.internal:8500",
                &[
                    "http://consul.internal:8500",
                    "https://consul.internal:8500",
                ],
                &["http://consul.internal", "http://consul.internal:85"],
            ),
            (
                "https://vault/",
                &["https://vault", "https://vault:443"],
                &["http://vault", "http://vault:443", "https://vault:8200"],
            ),
            (
                "http://vault:8200",
                &["http://vault:8200"],
                &["https://vault:8200", "http://vault"],
            ),
            (
                "*.example.org",
                &["https://a.example.org", "http://b.a.example.org"],
                &[
                    "https://example.org",
                    "https://badexample.org",
                    "https://.example.org:1",
                ],
            ),
            (
                "[0:0::1]:80",
                &["http://[::1]"],
                &["https://[::1]", "http://[::2]"],
            ),
            ("10.0.0.1", &["http://10.0.0.1"], &["http://10.0.0.10"]),
        ] {
            for url in granted {
                assert!(covers(grant, url), "{grant} {url}");
            }
            for url in refused {
                assert!(!covers(grant, url), "{grant} {url}");
            }
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a.*",
            "http://",
            "ftp://a",
            "a/path",
            "http://a/path",
            "a:0",
            "a:65536",
            "a:+1",
            "a:",
            "user@a",
            "a b",
            "::1",
            "[::g]",
            "a.",
        ] {
            let problem = HostGrant::parse(text).unwrap_err();
            assert!(problem.message.contains(&format!("`{text}`")), "{problem}");
        }
    }

    #[test]
    fn a_host_is_shown_as_it_can_be_written() {
        for text in [
            "consul:8500",
            "https://vault",
            "*.example.org",
            "http://[::1]:1",
        ] {
            assert_eq!(HostGrant::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_variable_is_named_or_given() {
        let read = |text: &str| env(text).map(|grant| (grant.name, grant.value));
        assert_eq!(read("A"), Ok(("A".to_owned(), None)));
        let given = ("A".to_owned(), Some("b=c d".to_owned()));
        assert_eq!(read("A=b=c d"), Ok(given));
        for text in ["", "=a", "A B", "A\0"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let shown = format!("{:?}", env("TOKEN=secret"));
        assert!(
            shown.contains("TOKEN") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
