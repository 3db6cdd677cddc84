//! Why a plugin gave no usable answer, in words for its operator.

use http::StatusCode;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::{limits, types};

/// No usable answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The plugin said no; the status is from 400 to 599.
    Refused { status: StatusCode, message: String },
    /// The plugin was not asked, because it kept failing.
    Resting { reason: String },
    /// The plugin did not do its work; `trace` is where in its code, when that is known.
    Broken {
        reason: String,
        trace: Option<String>,
    },
}

impl Failure {
    pub(super) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken {
            reason: cut(reason.into()),
            trace: None,
        }
    }

    /// The reason alone.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Refused { message, .. } => message,
            Self::Broken { reason, .. } | Self::Resting { reason } => reason,
        }
    }
}

impl From<types::Error> for Failure {
    fn from(error: types::Error) -> Self {
        let refusal = match error {
            types::Error::Refused(refusal) => refusal,
            types::Error::Failed(reason) => return Self::broken(reason),
        };
        match StatusCode::from_u16(refusal.status) {
            Ok(status) if (400..=599).contains(&refusal.status) => Self::Refused {
                status,
                message: cut(refusal.message),
            },
            _ => Self::broken(format!(
                "it refused with status {}, which is not from 400 to 599: {}",
                refusal.status, refusal.message
            )),
        }
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Broken {
            reason: cut(reason(&error)),
            trace: Some(cut(format!("{error:?}"))),
        }
    }
}

/// What a plugin says goes into the log, to the client, and is kept as its last failure.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > limits::MESSAGE {
        text.truncate(text.floor_char_boundary(limits::MESSAGE));
        text += "...";
    }
    text
}

fn reason(error: &wasmtime::Error) -> String {
    if let Some(exhausted) = error.downcast_ref::<limits::Exhausted>() {
        return exhausted.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("it exited with code {code}");
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return "no room for another instance".to_owned();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => {
            "it panicked or aborted, its log may say why".to_owned()
        }
        Some(Trap::StackOverflow) => "its stack overflowed".to_owned(),
        Some(trap) => format!("it trapped: {trap}"),
        None => transfer(error).unwrap_or_else(|| format!("{error:#}")),
    }
}

/// The engine's error for this is private, its text is all there is.
fn transfer(error: &wasmtime::Error) -> Option<String> {
    let text = error.root_cause().to_string();
    text.contains("fuel allocated for hostcalls")
        .then(|| format!("it handed over more than {} bytes", limits::TRANSFER))
}
