//! Streams with something to be done at their end, before the client sees it.

use bytes::Bytes;
use http::{Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::docker::{Body, BodyError};

/// Streams an answer and, when it has come to its own end, does `last`; what that gives goes to the client as the last
/// bytes. An answer that breaks off, or that nobody reads to its end, drops `last` undone.
pub(super) fn before_end<F>(answer: Response<Body>, last: F) -> Response<Body>
where
    F: Future<Output = Option<Bytes>> + Send + 'static,
{
    let (mut head, body) = answer.into_parts();
    // With a known length nobody would ask for the end, and the end is what is waited for.
    head.headers.remove(header::CONTENT_LENGTH);
    let state = Some((body, Box::pin(last)));
    let frames = futures_util::stream::unfold(state, |state| async {
        let (mut body, last) = state?;
        match body.frame().await {
            Some(Ok(frame)) => Some((Ok::<_, BodyError>(frame), Some((body, last)))),
            Some(Err(reason)) => Some((Err(reason), None)),
            None => Some((Ok(Frame::data(last.await?)), None)),
        }
    });
    Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
}
