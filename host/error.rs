//! The causes a call can fail for, who is to blame, and the status each becomes.

use http::StatusCode;

/// Why a call failed. The text is what the client reads in `{"message": ...}`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The answer a daemon would give, in the daemon's words.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
    /// A plugin said no.
    #[error("{message}")]
    Denied {
        plugin: String,
        status: StatusCode,
        message: String,
    },
    /// A plugin trapped, ran out of time or memory, or gave an answer that cannot be used.
    #[error("plugin {plugin} failed in its {hook} hook: {reason}")]
    Plugin {
        plugin: String,
        hook: &'static str,
        reason: String,
    },
    /// A backend cannot be reached, or hung up before it answered.
    #[error("backend {backend} is not available: {reason}")]
    Backend { backend: String, reason: String },
    /// A backend answered something that is not the Docker API.
    #[error("backend {backend} gave an answer that cannot be used: {reason}")]
    BadAnswer { backend: String, reason: String },
    /// No backend is up.
    #[error("flockerd: no backend is available")]
    NoBackend,
    /// The state store failed.
    #[error("state store: {0}")]
    State(String),
    /// The client went away or sent a body that broke off.
    #[error("client: {0}")]
    Client(String),
}

/// Whose fault an error is; the log level follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Client,
    Backend,
    Plugin,
    Flockerd,
}

impl Error {
    /// An answer in the daemon's words.
    pub fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Refused {
            status,
            message: message.into(),
        }
    }

    /// A backend failure; `reason` is usually an I/O error.
    pub fn backend(backend: &str, reason: impl ToString) -> Self {
        Self::Backend {
            backend: backend.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused { .. } | Self::Denied { .. } | Self::Client(_) => Blame::Client,
            Self::Plugin { .. } => Blame::Plugin,
            Self::Backend { .. } | Self::BadAnswer { .. } | Self::NoBackend => Blame::Backend,
            Self::State(_) => Blame::Flockerd,
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } | Self::Denied { status, .. } => *status,
            Self::Client(_) => StatusCode::BAD_REQUEST,
            Self::BadAnswer { .. } => StatusCode::BAD_GATEWAY,
            Self::Backend { .. } | Self::NoBackend => StatusCode::SERVICE_UNAVAILABLE,
            Self::Plugin { .. } | Self::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
