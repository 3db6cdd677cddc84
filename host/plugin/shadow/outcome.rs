//! What came of a question, so that two answers can be compared and their difference be told.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    error::Error,
    plugin::{Verdict, failure::cut, registry_auth},
};

/// What a plugin, or the whole chain, decided.
#[derive(Debug, PartialEq)]
pub(in crate::plugin) enum Outcome {
    /// Nothing: somebody else may.
    Nothing,
    /// A backend, an answer, a refusal.
    Words(String),
    /// A JSON object, changed.
    Json(Map<String, Value>),
    /// A JSON object, left as it was.
    Unchanged(Map<String, Value>),
    Credentials {
        username: String,
        password: String,
        identity_token: Option<String>,
    },
}

impl Outcome {
    pub(super) fn refusal(status: StatusCode) -> Self {
        Self::Words(format!("refuse with {}", status.as_u16()))
    }

    /// What the chain decided; none when it failed.
    pub(in crate::plugin) fn of<T>(
        result: &Result<T, Error>,
        decided: impl FnOnce(&T) -> Self,
    ) -> Option<Self> {
        match result {
            Ok(answer) => Some(decided(answer)),
            Err(Error::Denied { status, .. }) => Some(Self::refusal(*status)),
            Err(_) => None,
        }
    }

    pub(in crate::plugin) fn verdict(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Proceed => Self::Nothing,
            Verdict::Respond(answer) => {
                Self::Words(format!("answer with {}", answer.status().as_u16()))
            }
        }
    }

    /// Changed JSON, as its checks left it.
    pub(in crate::plugin) fn json(text: Option<&String>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Json(object(text)))
    }

    /// What is sent when a hook changed JSON, or did not.
    pub(in crate::plugin) fn sent(changed: Option<&String>, original: Option<&String>) -> Self {
        match (changed, original) {
            (None, Some(original)) => Self::Unchanged(object(original)),
            (changed, _) => Self::json(changed),
        }
    }

    pub(in crate::plugin) fn credentials(found: Option<&registry_auth::Credentials>) -> Self {
        let credentials = |found: &registry_auth::Credentials| Self::Credentials {
            username: found.username.clone(),
            password: found.password.clone(),
            identity_token: found.identity_token.clone(),
        };
        found.map_or(Self::Nothing, credentials)
    }

    /// How an opinion differs from what was done, each side in words; none when it does not. Values of JSON and
    /// passwords may be secret: of them is told only where they are.
    pub(super) fn differs(&self, done: &Self) -> Option<(String, String)> {
        let keys = match (self, done) {
            (Self::Nothing, _) => return None,
            (Self::Json(said), Self::Json(done) | Self::Unchanged(done)) if said == done => {
                return None;
            }
            (Self::Json(said), Self::Json(done) | Self::Unchanged(done)) => {
                different(said, done).join(", ")
            }
            _ if self == done => return None,
            _ => String::new(),
        };
        Some((cut(self.told(&keys)), cut(done.told(&keys))))
    }

    fn told(&self, keys: &str) -> String {
        match self {
            Self::Nothing | Self::Unchanged(_) => "nothing".to_owned(),
            Self::Words(words) => words.clone(),
            Self::Json(_) if keys.is_empty() => "other JSON".to_owned(),
            Self::Json(_) => format!("another {keys}"),
            Self::Credentials { username, .. } => format!("credentials of {username}"),
        }
    }
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The keys whose values differ; those of `HostConfig`, where most of a container's configuration is, one by one.
fn different(said: &Map<String, Value>, done: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<_> = said.keys().chain(done.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| said.get(*key) != done.get(*key));
    let told = |key: &String| match (key.as_str(), said.get(key), done.get(key)) {
        ("HostConfig", Some(Value::Object(said)), Some(Value::Object(done))) => {
            let inner = different(said, done).into_iter();
            inner.map(|inner| format!("{key}.{inner}")).collect()
        }
        _ => vec![key.clone()],
    };
    keys.into_iter().flat_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Outcome {
        Outcome::json(Some(&text.to_owned()))
    }

    #[test]
    fn no_opinion_and_the_same_opinion_are_agreement() {
        let words = |text: &str| Outcome::Words(text.to_owned());
        assert_eq!(Outcome::Nothing.differs(&words("node1")), None);
        assert_eq!(words("node1").differs(&words("node1")), None);
        assert_eq!(
            json(r#"{"a":1,"b":2}"#).differs(&json(r#"{"b":2, "a":1}"#)),
            None
        );
        let difference = words("node2").differs(&Outcome::Nothing).unwrap();
        assert_eq!(difference, ("node2".to_owned(), "nothing".to_owned()));
    }

    #[test]
    fn of_changed_json_only_the_keys_are_told() {
        let said = json(r#"{"Env":["P=secret"],"HostConfig":{"Memory":1,"Init":true}}"#);
        let done = json(r#"{"Env":[],"HostConfig":{"Memory":2,"Init":true},"User":"u"}"#);
        let (said, _) = said.differs(&done).unwrap();
        let unchanged = Outcome::sent(None, Some(&r#"{"Env":[]}"#.to_owned()));
        let (_, chain) = json("{}").differs(&unchanged).unwrap();
        assert_eq!(chain, "nothing");
        assert_eq!(json(r#"{"Env":[]}"#).differs(&unchanged), None);
        assert_eq!(said, "another Env, HostConfig.Memory, User");
    }

    #[test]
    fn of_a_giant_only_the_beginning_is_told() {
        let giant = Outcome::Words("x".repeat(1 << 20));
        let (said, _) = giant.differs(&Outcome::Nothing).unwrap();
        assert!(said.len() < 10_000, "{} bytes", said.len());
    }

    #[test]
    fn other_passwords_differ_and_are_not_told() {
        let login = |password: &str| Outcome::Credentials {
            username: "me".to_owned(),
            password: password.to_owned(),
            identity_token: None,
        };
        let (said, done) = login("one").differs(&login("two")).unwrap();
        assert_eq!((said, done.as_str()), (done.clone(), "credentials of me"));
    }
}
