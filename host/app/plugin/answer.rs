//! A hook's answer in a form that can be compared and printed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    error::Error,
    plugin::{Decision, Verdict, list, registry_auth},
};

/// A hook's answer.
pub(super) enum Answer {
    Verdict(Verdict),
    Decision(Decision),
    Changed(Option<String>),
    Listed(Vec<list::Entry>),
    Credentials(Option<registry_auth::Credentials>),
    Heard,
}

impl Answer {
    /// The body that takes the place of the one in the question.
    pub(super) fn body(&self) -> Option<String> {
        match self {
            Self::Decision(decision) => decision.body.clone(),
            Self::Changed(body) => body.clone(),
            Self::Verdict(_) | Self::Listed(_) | Self::Credentials(_) | Self::Heard => None,
        }
    }

    /// What was said, by the keys of an expectation; empty for no opinion.
    fn told(self) -> Map<String, Value> {
        let told = match self {
            Self::Verdict(Verdict::Proceed) | Self::Heard => json!({}),
            Self::Verdict(Verdict::Respond(response)) => {
                let body = String::from_utf8_lossy(response.body());
                let body = value(&body);
                json!({"response": {"status": response.status().as_u16(), "body": body}})
            }
            Self::Decision(decision) => {
                json!({"backend": decision.backend, "body": decision.body.as_deref().map(value)})
            }
            Self::Changed(body) => json!({"body": body.as_deref().map(value)}),
            Self::Listed(entries) => {
                json!({"backends": entries.iter().map(entry).collect::<Vec<_>>()})
            }
            Self::Credentials(credentials) => json!({"credentials": credentials.map(login)}),
        };
        let Value::Object(told) = told else {
            return Map::new();
        };
        told.into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect()
    }
}

/// What came of a question, by the keys of an expectation.
pub(super) fn told(answer: Result<Answer, Error>) -> Map<String, Value> {
    let (key, value) = match answer {
        Ok(answer) => return answer.told(),
        Err(Error::Denied {
            status, message, ..
        }) => (
            "refused",
            json!({"status": status.as_u16(), "message": message}),
        ),
        Err(Error::Plugin { reason, .. }) => ("failed", json!(reason)),
        Err(error) => ("failed", json!(error.to_string())),
    };
    Map::from_iter([(key.to_owned(), value)])
}

/// JSON as a value, other text as a string.
pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn entry(entry: &list::Entry) -> Value {
    let labels: BTreeMap<_, _> = entry.labels.iter().cloned().collect();
    json!({"name": entry.name, "address": entry.address, "labels": labels})
}

fn login(credentials: registry_auth::Credentials) -> Value {
    json!({"username": credentials.username, "password": credentials.password,
           "identity-token": credentials.identity_token})
}
