//! Image references: `name[:tag][@digest]`, and the registry they lie in.

/// An image reference taken apart; every part is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// With the registry, when one was written: `10.0.0.1:5000/team/app`.
    pub name: &'a str,
    pub tag: Option<&'a str>,
    /// `sha256:...`
    pub digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart. A colon after the last slash begins the tag.
    pub fn parse(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        match rest[slash..].find(':') {
            Some(colon) => Self {
                name: &rest[..slash + colon],
                tag: Some(&rest[slash + colon + 1..]),
                digest,
            },
            None => Self {
                name: rest,
                tag: None,
                digest,
            },
        }
    }

    /// The registry's host, `docker.io` when none is written. A first component names a registry when it holds a dot
    /// or a colon or is `localhost`.
    pub fn registry(&self) -> &'a str {
        match self.name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => "docker.io",
        }
    }

    /// One spelling for all spellings of the same reference: `busybox` is `docker.io/library/busybox:latest`.
    pub fn canonical(&self) -> String {
        let registry = self.registry();
        let path = self
            .name
            .strip_prefix(registry)
            .map_or(self.name, |path| path.trim_start_matches('/'));
        let library = if registry == "docker.io" && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        match (self.digest, self.tag) {
            (Some(digest), _) => format!("{registry}/{library}{path}@{digest}"),
            (None, tag) => format!("{registry}/{library}{path}:{}", tag.unwrap_or("latest")),
        }
    }

    /// The reference as the daemon writes it in its messages: with a tag.
    pub fn familiar(&self) -> String {
        let name = self.name.strip_prefix("docker.io/").unwrap_or(self.name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        match (self.digest, self.tag) {
            (Some(digest), _) => format!("{name}@{digest}"),
            (None, tag) => format!("{name}:{}", tag.unwrap_or("latest")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_and_spelt_one_way() {
        for (text, registry, canonical, familiar) in [
            (
                "busybox",
                "docker.io",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            (
                "docker.io/library/busybox:1",
                "docker.io",
                "docker.io/library/busybox:1",
                "busybox:1",
            ),
            (
                "team/app:2",
                "docker.io",
                "docker.io/team/app:2",
                "team/app:2",
            ),
            (
                "10.0.0.1:5000/a/b",
                "10.0.0.1:5000",
                "10.0.0.1:5000/a/b:latest",
                "10.0.0.1:5000/a/b:latest",
            ),
            (
                "localhost/x:y",
                "localhost",
                "localhost/x:y",
                "localhost/x:y",
            ),
            (
                "a@sha256:00",
                "docker.io",
                "docker.io/library/a@sha256:00",
                "a@sha256:00",
            ),
        ] {
            let reference = Reference::parse(text);
            assert_eq!(reference.registry(), registry, "{text}");
            assert_eq!(reference.canonical(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
        }
    }
}
