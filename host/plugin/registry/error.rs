//! Why a component could not be pulled, and what to do about it.

use std::{borrow::Cow, error::Error};

use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};

/// The characters that are told of what a registry says.
const LINE: usize = 1000;

/// Why a component could not be pulled. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// Of all, the one that may pass by itself.
    #[error("the registry is out of reach: {reason}")]
    Unreachable { reason: String },
    #[error("{registry} does not let it be pulled {}", if *.login { "with the credentials of the docker configuration" } else { "without credentials" })]
    Unauthorized { registry: String, login: bool },
    #[error("the registry does not have it")]
    NotFound,
    #[error("the registry refused: {reason}")]
    Refused { reason: String },
    /// It is something else.
    #[error("it is {what}, not a wasm component")]
    OtherKind { what: String },
    #[error("{0} does not match its digest")]
    Corrupt(&'static str),
    #[error("it has {size} bytes, which is more than {limit}")]
    TooLarge { size: u64, limit: usize },
}

impl PullError {
    /// Says what to do about it.
    pub fn hint(&self) -> Cow<'static, str> {
        let hint = match self {
            Self::Unreachable { .. } => {
                "check the registry's name and the network; one without TLS must be in `insecure_registries`"
            }
            Self::Unauthorized { registry, .. } => {
                return format!("`docker login {registry}` as the user that runs flockerd").into();
            }
            Self::NotFound => "check repository and tag",
            Self::Refused { .. } => "check that it is a registry",
            Self::OtherKind { .. } => {
                "push a component, with `wkg oci push REFERENCE FILE` or `oras push REFERENCE FILE:application/wasm`"
            }
            Self::Corrupt(_) => {
                "the registry, or something between, gives wrong bytes; do not trust it"
            }
            Self::TooLarge { .. } => "make the component smaller",
        };
        hint.into()
    }

    /// Understands an error of the client.
    pub(super) fn of(error: OciDistributionError, registry: &str, login: bool) -> Self {
        let unauthorized = || Self::Unauthorized {
            registry: registry.to_owned(),
            login,
        };
        match error {
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => unauthorized(),
            OciDistributionError::RegistryError { envelope, .. } => {
                Self::of_envelope(&envelope, unauthorized)
            }
            OciDistributionError::ServerError { code, .. } => match code {
                401 | 403 => unauthorized(),
                404 => Self::NotFound,
                429 | 500.. => Self::Unreachable {
                    reason: format!("it answers {code}"),
                },
                _ => Self::Refused {
                    reason: format!("it answers {code}"),
                },
            },
            OciDistributionError::DigestError(_) => Self::Corrupt("the manifest"),
            OciDistributionError::RequestError(error) => Self::Unreachable {
                reason: chain(&error),
            },
            other => Self::Refused {
                reason: chain(&other),
            },
        }
    }

    fn of_envelope(envelope: &OciEnvelope, unauthorized: impl Fn() -> Self) -> Self {
        use OciErrorCode as Code;
        let error = envelope.errors.first();
        let message = error.map_or("it does not say why", |error| &error.message);
        let reason = line(message);
        match error.map(|error| &error.code) {
            Some(Code::Unauthorized | Code::Denied) => unauthorized(),
            Some(
                Code::ManifestUnknown
                | Code::ManifestBlobUnknown
                | Code::BlobUnknown
                | Code::NameUnknown
                | Code::NotFound,
            ) => Self::NotFound,
            Some(Code::Toomanyrequests) => Self::Unreachable { reason },
            _ => Self::Refused { reason },
        }
    }
}

/// An error with all its causes in one line; what an error says of its cause itself is not repeated.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    line(&text)
}

/// What a registry says, as one line that does no harm to a log or a terminal.
pub(super) fn line(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_one_line_without_control_characters() {
        let text = format!(
            r#"{{"errors":[{{"code":"UNSUPPORTED","message":"a\n\u001b[2Jb{}"}}]}}"#,
            "c".repeat(1 << 20)
        );
        let envelope: OciEnvelope = serde_json::from_str(&text).unwrap();
        let url = "http://localhost/v2/".to_owned();
        let error = OciDistributionError::RegistryError { envelope, url };
        let said = PullError::of(error, "localhost", false).to_string();
        assert!(said.contains("refused: a[2Jbccc"), "{said}");
        assert!(said.len() < 2 * LINE, "{} bytes", said.len());
    }
}
