//! The addresses, names and labels an operator may write, checked before anything connects.

use std::collections::BTreeMap;

use super::{BackendConfig, Problem};
use crate::address::Address;

/// The longest name of a backend or plugin, in bytes.
const NAME_LIMIT: usize = 64;

/// Reads where to listen: `tcp://host:port` (port 0: any free one) or `unix:///path`.
pub(super) fn listener(text: &str) -> Result<Address, Problem> {
    let has_scheme = text.starts_with("tcp://") || text.starts_with("unix://");
    text.parse().ok().filter(|_| has_scheme).ok_or_else(|| {
        Problem::new(
            format!("`{text}` is not an address to listen on"),
            "write tcp://host:port or unix:///path",
        )
    })
}

/// Reads the address of a backend.
pub(super) fn backend_address(text: &str) -> Result<Address, Problem> {
    let address: Option<Address> = text.parse().ok();
    address
        .filter(|address| address.port() != Some(0))
        .ok_or_else(|| {
            Problem::new(
                format!("`{text}` is not the address of a backend"),
                "write tcp://host:port, host:port, unix:///path or /path",
            )
        })
}

/// Reads `[NAME=]ADDRESS[,label=value...]`.
pub(super) fn backend(text: &str) -> Result<BackendConfig, Problem> {
    let mut parts = text.split(',');
    let (given, address) = named(parts.next().unwrap_or_default());
    let address = backend_address(address)?;
    let mut labels = BTreeMap::new();
    for part in parts {
        let (key, value) = label(part)?;
        if labels.insert(key.clone(), value).is_some() {
            return Err(Problem::new(
                format!("the label `{key}` is given twice"),
                "give each label once",
            ));
        }
    }
    Ok(BackendConfig {
        name: name(given.unwrap_or(address.default_name()))?,
        address,
        labels,
    })
}

/// Checks the name of a backend or plugin.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if (1..=NAME_LIMIT).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not a name"),
        format!("use at most {NAME_LIMIT} letters, digits, `.`, `_`, `-` and `:`"),
    ))
}

/// Checks a label that a file gives as key and value.
pub(super) fn label_pair(key: &str, value: &str) -> Result<(String, String), Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !key.is_empty() && key.chars().all(allowed) && !value.chars().any(char::is_control) {
        return Ok((key.to_owned(), value.to_owned()));
    }
    Err(Problem::new(
        format!("`{key}={value}` is not a label"),
        "write key=value, the key of letters, digits, `.`, `_`, `-` and `/`",
    ))
}

fn label(text: &str) -> Result<(String, String), Problem> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| Problem::new(format!("`{text}` is not a label"), "write key=value"))?;
    label_pair(key, value)
}

/// Splits `NAME=ADDRESS`; a `/` or `:` before the first `=` belongs to an address.
fn named(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, address)) if !name.contains(['/', ':']) => (Some(name), address),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> String {
        let backend = backend(text).unwrap();
        let labels: Vec<_> = backend
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        format!("{} {} {}", backend.name, backend.address, labels.join(" "))
            .trim_end()
            .to_owned()
    }

    #[test]
    fn backends_are_written_in_many_ways() {
        let cases = [
            ("tcp://10.0.0.1:2375", "10.0.0.1 tcp://10.0.0.1:2375"),
            ("10.0.0.1:2375", "10.0.0.1 tcp://10.0.0.1:2375"),
            ("http://node-1.lan:80", "node-1.lan tcp://node-1.lan:80"),
            ("tcp://[::1]:2375", "::1 tcp://[::1]:2375"),
            ("unix:///run/docker.sock", "local unix:///run/docker.sock"),
            ("/run/docker.sock", "local unix:///run/docker.sock"),
            ("/run/a=b.sock", "local unix:///run/a=b.sock"),
            ("n1=10.0.0.1:2375", "n1 tcp://10.0.0.1:2375"),
            ("n1=/run/a=b.sock,z=1", "n1 unix:///run/a=b.sock z=1"),
            (
                "n1=tcp://h:1,zone=eu,example.com/gpu=a=b,none=",
                "n1 tcp://h:1 example.com/gpu=a=b none= zone=eu",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(described(text), expected, "{text}");
        }
    }

    #[test]
    fn backends_that_cannot_be_meant_are_refused() {
        let address = "is not the address of a backend";
        let cases = [
            ("", address),
            ("n1=", address),
            ("node1", address),
            ("tcp://node1", address),
            ("tcp://:2375", address),
            ("tcp://node1:0", address),
            ("tcp://node1:+1", address),
            ("tcp://node1:65536", address),
            ("tcp://node1:2375/", address),
            ("https://node1:2376", address),
            ("ssh://node1", address),
            ("unix://run/docker.sock", address),
            ("unix:///", address),
            ("::1:2375", address),
            ("tcp://[node1]:1", address),
            ("=h:1", "is not a name"),
            ("a b=h:1", "is not a name"),
            ("h:1,", "is not a label"),
            ("h:1,zone", "is not a label"),
            ("h:1,=eu", "is not a label"),
            ("h:1,zone=a\tb", "is not a label"),
            ("h:1,zone=a,zone=b", "the label `zone` is given twice"),
        ];
        for (text, expected) in cases {
            let problem = backend(text).unwrap_err();
            assert!(problem.message.contains(expected), "{text}: {problem}");
            assert!(problem.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn listeners_say_their_scheme() {
        for text in [
            "tcp://127.0.0.1:0",
            "tcp://localhost:2375",
            "tcp://[::]:2375",
            "unix:///run/flockerd.sock",
        ] {
            assert_eq!(listener(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "127.0.0.1:2375",
            "/run/flockerd.sock",
            "http://h:1",
            "tcp://h",
            "unix://x",
        ] {
            let problem = listener(text).unwrap_err();
            assert_eq!(
                problem.message,
                format!("`{text}` is not an address to listen on")
            );
        }
    }

    #[test]
    fn names_have_a_length_limit() {
        assert!(name(&"n".repeat(64)).is_ok());
        assert!(name(&"n".repeat(65)).is_err());
        assert!(name("").is_err());
    }
}
