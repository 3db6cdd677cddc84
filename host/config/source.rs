//! Where a component comes from: a file, or a registry.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use oci_client::{ParseError, Reference};

use super::Problem;

/// How a reference to a registry begins.
const SCHEME: &str = "oci://";

/// Where a component lies. Displays as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSource {
    File(PathBuf),
    /// With a tag, or a SHA-256 digest, or both; then the digest counts.
    Registry(Reference),
}

impl PluginSource {
    /// Reads `oci://HOST/REPOSITORY[:TAG][@DIGEST]`, without tag and digest `latest`, or a path relative to `folder`.
    pub(super) fn parse(text: &Path, folder: &Path) -> Result<Self, Problem> {
        match text.to_str().and_then(|text| text.strip_prefix(SCHEME)) {
            Some(rest) => reference(rest).map(Self::Registry),
            None if text.as_os_str().is_empty() => Err(Problem::new(
                "the path of the component is empty",
                "give a file, or oci://host/repository:tag",
            )),
            None => Ok(Self::File(folder.join(text))),
        }
    }

    /// Returns the path of a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Registry(_) => None,
        }
    }

    /// Returns what a plugin from here is called: the name of the file without its extension, or the last part of the
    /// repository.
    pub(super) fn stem(&self) -> String {
        match self {
            Self::File(path) => {
                let stem = path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            }
            Self::Registry(reference) => {
                let repository = reference.repository();
                let last = repository.rsplit('/').next().unwrap_or(repository);
                last.to_owned()
            }
        }
    }
}

impl From<PathBuf> for PluginSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Display for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Registry(reference) => write!(f, "{SCHEME}{reference}"),
        }
    }
}

/// Reads a reference. Unlike in docker's short form the registry is always written, for it is the host of a URL.
fn reference(text: &str) -> Result<Reference, Problem> {
    let wrong = |reason: &str| {
        Problem::new(
            format!("`{SCHEME}{text}` is not a reference to a registry: {reason}"),
            "write oci://ghcr.io/me/route:1.2 or oci://ghcr.io/me/route@sha256:...",
        )
    };
    let (host, rest) = text.split_once('/').unwrap_or((text, ""));
    if !is_host(host) {
        return Err(wrong("it must begin with the registry's host"));
    }
    // Any host will do for the parser, which takes one without a dot for a part of the repository.
    let parsed = Reference::try_from(format!("localhost/{rest}"));
    let parsed = parsed.map_err(|error| wrong(explain(&error, rest)))?;
    let (host, repository) = (host.to_owned(), parsed.repository().to_owned());
    let tag = parsed.tag().map(str::to_owned);
    match (tag, parsed.digest().map(str::to_ascii_lowercase)) {
        (_, Some(digest)) if !digest.starts_with("sha256:") => {
            Err(wrong("the digest must be a sha256"))
        }
        (None, Some(digest)) => Ok(Reference::with_digest(host, repository, digest)),
        (Some(tag), Some(digest)) => Ok(Reference::with_tag_and_digest(
            host, repository, tag, digest,
        )),
        (tag, None) => {
            let tag = tag.unwrap_or_else(|| "latest".to_owned());
            Ok(Reference::with_tag(host, repository, tag))
        }
    }
}

/// Reads the host of a registry, as references name it.
pub(super) fn registry(text: &str) -> Result<String, Problem> {
    if is_host(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not the host of a registry"),
        "write it as references do: registry.example.com or 10.0.0.1:5000",
    ))
}

fn is_host(text: &str) -> bool {
    let authority = text.parse::<http::uri::Authority>();
    authority.is_ok_and(|authority| !authority.host().is_empty()) && !text.contains('@')
}

fn explain(error: &ParseError, rest: &str) -> &'static str {
    let name = rest.split([':', '@']).next().unwrap_or(rest);
    match error {
        _ if name.is_empty() => "it has no repository",
        ParseError::DigestInvalidLength | ParseError::DigestInvalidFormat => {
            "the digest must be sha256: and 64 hexadecimal digits"
        }
        ParseError::DigestUnsupported => "the digest must be a sha256",
        _ if name.contains(|c: char| c.is_ascii_uppercase()) => {
            "the repository must be in lower case"
        }
        _ => "it must be HOST/REPOSITORY, then :TAG or @DIGEST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<PluginSource, Problem> {
        PluginSource::parse(Path::new(text), Path::new("/etc"))
    }

    #[test]
    fn references_are_read_with_any_host() {
        for (text, whole, name) in [
            ("ghcr.io/me/route:1.2", "ghcr.io/me/route:1.2", "route"),
            ("ghcr.io/me/route", "ghcr.io/me/route:latest", "route"),
            ("registry/route:1.2", "registry/route:1.2", "route"),
            ("10.0.0.1:5000/a/b-c", "10.0.0.1:5000/a/b-c:latest", "b-c"),
            ("[::1]:5000/a:v", "[::1]:5000/a:v", "a"),
            ("docker.io/me/route:1", "docker.io/me/route:1", "route"),
        ] {
            let source = parse(&format!("oci://{text}")).unwrap();
            assert_eq!(source.to_string(), format!("oci://{whole}"));
            assert_eq!((source.stem().as_str(), source.path()), (name, None));
        }
        for pinned in [format!("r/a@{DIGEST}"), format!("r/a:1@{DIGEST}")] {
            let pinned = format!("oci://{pinned}");
            assert_eq!(parse(&pinned).unwrap().to_string(), pinned);
        }
    }

    #[test]
    fn what_is_no_reference_is_explained() {
        for (text, reason) in [
            ("", "the registry's host"),
            ("/route", "the registry's host"),
            ("user@host/route", "the registry's host"),
            ("host", "no repository"),
            ("host/", "no repository"),
            ("host/:1", "no repository"),
            ("host/Route", "lower case"),
            ("host/route:1 2", "HOST/REPOSITORY"),
            ("host/route@sha256:12", "HOST/REPOSITORY"),
            (
                "host/route@sha256:0123456789012345678901234567890123456789",
                "64",
            ),
            ("host/route?tag=1", "HOST/REPOSITORY"),
        ] {
            let problem = parse(&format!("oci://{text}")).unwrap_err();
            assert!(problem.message.contains(reason), "{text}: {problem}");
        }
        let sha512 = format!("oci://host/route@sha512:{}", "0".repeat(128));
        assert!(parse(&sha512).unwrap_err().message.contains("a sha256"));
    }

    #[test]
    fn all_else_is_a_path() {
        for (text, path) in [
            ("a/route.wasm", "/etc/a/route.wasm"),
            ("/route.wasm", "/route.wasm"),
        ] {
            let source = parse(text).unwrap();
            assert_eq!(source.path(), Some(Path::new(path)));
            assert_eq!(
                (source.to_string(), source.stem()),
                (path.into(), "route".into())
            );
        }
    }
}
