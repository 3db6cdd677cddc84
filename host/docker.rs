//! The Docker Engine API as flockerd sees it: the table of endpoints, calls, and the JSON it reads and edits.

pub mod call;
pub mod client;
pub mod create;
pub mod edit;
pub mod endpoint;
pub mod event;
pub mod lines;
pub mod message;
pub mod names;
pub mod query;
pub mod reference;
pub mod version;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};

use crate::error::Error;

/// Why a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a call or an answer, streamed frame by frame.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body of known bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of no bytes.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// [`Error::Client`] when the body is longer or breaks off.
pub async fn collect(body: Body, limit: usize) -> Result<Bytes, Error> {
    Limited::new(body, limit)
        .collect()
        .await
        .map(|collected| collected.to_bytes())
        .map_err(|reason| Error::Client(format!("the body cannot be read: {reason}")))
}
