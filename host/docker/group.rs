//! Groups: objects that one label says belong together, and that must therefore live on one backend.

use std::sync::Arc;

use serde::Deserialize;

/// A group by the label that names it: `com.docker.compose.project=shop`.
pub type Group = Arc<str>;

/// The labels that name a group, the first one that is there counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Labels {
    #[serde(rename = "com.docker.compose.project")]
    compose: Option<String>,
    #[serde(rename = "com.docker.stack.namespace")]
    stack: Option<String>,
    #[serde(rename = "org.testcontainers.session-id")]
    testcontainers: Option<String>,
}

impl Labels {
    /// The group that these labels name, if they name one.
    pub fn group(&self) -> Option<Group> {
        let named = [
            ("com.docker.compose.project", &self.compose),
            ("com.docker.stack.namespace", &self.stack),
            ("org.testcontainers.session-id", &self.testcontainers),
        ];
        named.into_iter().find_map(|(label, value)| {
            let value = value.as_deref().filter(|value| !value.is_empty())?;
            Some(format!("{label}={value}").into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_that_is_there_names_the_group() {
        for (labels, group) in [
            ("{}", None),
            (r#"{"a":"b"}"#, None),
            (r#"{"com.docker.compose.project":""}"#, None),
            (
                r#"{"org.testcontainers.session-id":"1","com.docker.compose.project":"shop","x":"y"}"#,
                Some("com.docker.compose.project=shop"),
            ),
            (
                r#"{"com.docker.stack.namespace":"s"}"#,
                Some("com.docker.stack.namespace=s"),
            ),
        ] {
            let labels: Labels = serde_json::from_str(labels).unwrap();
            assert_eq!(labels.group().as_deref(), group);
        }
    }
}
