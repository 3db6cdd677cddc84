//! The Docker Engine API as flockerd sees it: the table of endpoints, calls, and the JSON it reads and edits.

pub mod action;
pub mod call;
pub mod client;
pub mod create;
pub mod described;
pub mod edit;
pub mod endpoint;
pub mod event;
pub mod filters;
pub mod group;
pub mod lines;
pub mod login;
pub mod message;
pub mod names;
pub mod query;
pub mod reference;
pub mod scan;
pub mod version;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Body as _;

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

/// How much room is made for a body before it comes, in bytes: its length is only promised.
const AHEAD: u64 = 1 << 20;

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// [`Error::Client`] when the body is longer or breaks off.
pub async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Error> {
    let expected = body.size_hint().lower().min(AHEAD);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|reason| Error::Client(format!("the body broke off: {reason}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(Error::Client(format!(
                "the body is longer than {limit} bytes"
            )));
        }
        if whole.is_empty() {
            // Most bodies come in one piece, which is handed on as it is.
            if body.is_end_stream() {
                return Ok(data);
            }
            whole.reserve(expected as usize);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
