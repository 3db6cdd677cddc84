//! Idle connections to one backend, kept to be used again.
//!
//! Our own, and not hyper-util's client, because a hijacked connection must never come back, a socket's type must stay
//! known for splicing, and nothing may be repeated behind a client's back.

mod wire;

#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::{TrySendError, http1},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{connect, merged::Merged};
use crate::{
    address::Address,
    docker::{self, Body, BodyError},
    socket::Socket,
};
use wire::Wire;

/// How long a connection may lie idle.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// How many connections may lie idle.
const IDLE_MAX: usize = 256;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: Address, reason: io::Error },
    #[error("the connection broke before the answer: {}", cause(.0))]
    Http(#[from] hyper::Error),
    #[error("the connection left HTTP in an unknown form")]
    Upgrade,
}

impl SendError {
    /// True when it was the request's body that broke off, which is whose client sent it.
    pub(super) fn is_from_the_client(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_user())
    }
}

/// The innermost cause: hyper's own text says little.
fn cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The connections of one backend.
pub(super) struct Pool {
    address: Address,
    connect_timeout: Duration,
    idle: Arc<Idle>,
}

#[derive(Default)]
struct Idle(Mutex<Vec<(Box<Wire>, Instant)>>);

impl Pool {
    pub(super) fn new(address: Address, connect_timeout: Duration) -> Self {
        Self {
            address,
            connect_timeout,
            idle: Arc::default(),
        }
    }

    /// Forgets all idle connections.
    pub(super) fn clear(&self) {
        self.idle.lock().clear();
    }

    /// Sends a request over an idle connection or a new one.
    ///
    /// A daemon may close an idle connection at any moment. A request that such a connection did not take is sent
    /// again; one that it took only if asking twice is the same as asking once. A HEAD has a connection of its own:
    /// whether a body follows a head must show in the head (see [`Merged`]).
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        if request.method() == Method::HEAD {
            return Ok(self.send_alone(request).await?.map(plain));
        }
        let size = request.extensions().get().copied();
        while let Some(mut wire) = self.idle.take() {
            wire.reads.limit(size);
            let spare = spare(&request);
            match wire.send(request).await {
                Ok(response) => return Ok(self.lend(response, wire)),
                Err(mut failure) => match failure.take_message().or(spare) {
                    Some(unanswered) => request = unanswered,
                    None => return Err(failure.into_error().into()),
                },
            }
        }
        let mut wire = Box::new(Wire::new(self.dial().await?).await?);
        wire.reads.limit(size);
        let response = wire.send(request).await;
        let response = response.map_err(TrySendError::into_error)?;
        Ok(self.lend(response, wire))
    }

    /// Sends a request over a new connection that is never used again.
    pub(super) async fn send_alone(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let socket = Merged::new(self.dial().await?);
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // What goes wrong on the connection reaches whoever waits for an answer on it.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(sender.send_request(request).await?)
    }

    async fn dial(&self) -> Result<Socket, SendError> {
        let dial = timeout(self.connect_timeout, connect::dial(&self.address));
        match dial.await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(reason)) => Err(self.connect_error(reason)),
            Err(_) => Err(self.connect_error(io::ErrorKind::TimedOut.into())),
        }
    }

    fn connect_error(&self, reason: io::Error) -> SendError {
        SendError::Connect {
            address: self.address.clone(),
            reason,
        }
    }

    /// Ties the connection to the answer's body: when that ends, the connection is idle again.
    fn lend(&self, response: Response<Incoming>, wire: Box<Wire>) -> Response<Body> {
        response.map(|body| {
            let mut lent = Lent {
                body,
                wire: Some(wire),
                idle: self.idle.clone(),
                broken: None,
            };
            if lent.body.is_end_stream() {
                lent.give_back();
            }
            lent.boxed_unsync()
        })
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Vec<(Box<Wire>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection used last: the others can grow old and go.
    fn take(&self) -> Option<Box<Wire>> {
        loop {
            let (mut wire, since) = self.lock().pop()?;
            if since.elapsed() > IDLE_TIME {
                self.lock().clear();
                return None;
            }
            if wire.is_ready() {
                return Some(wire);
            }
        }
    }

    /// Keeps a connection whose answer has been read. Whether it is still open shows when it is taken.
    fn put(&self, mut wire: Box<Wire>) {
        if !wire.may_be_kept() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.lock();
        // The oldest are first, and nobody takes them while there are others.
        let old = idle.partition_point(|(_, since)| now.duration_since(*since) > IDLE_TIME);
        let old: Vec<_> = idle.drain(..old).collect();
        if idle.len() < IDLE_MAX {
            idle.push((wire, now));
        }
        drop(idle);
        drop(old);
    }
}

/// A copy of a request that only asks.
fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    let only_asks = *request.method() == Method::GET;
    (only_asks && request.body().is_end_stream()).then(|| {
        let mut spare = Request::new(docker::empty());
        *spare.method_mut() = request.method().clone();
        *spare.uri_mut() = request.uri().clone();
        *spare.headers_mut() = request.headers().clone();
        spare.headers_mut().remove(header::CONTENT_LENGTH);
        spare
    })
}

/// An answer's body that holds its connection until its end. Dropped before, it closes the connection.
struct Lent {
    body: Incoming,
    wire: Option<Box<Wire>>,
    idle: Arc<Idle>,
    /// How it broke off, to be told when what came before is on its way to the client.
    broken: Option<hyper::Error>,
}

impl Lent {
    fn give_back(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.idle.put(wire);
        }
    }

    /// The next frame that is there, or that the connection brings now.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(wire) = &mut self.wire {
            wire.drive(cx);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        let frame = ready!(self.next(cx));
        if let Some(Err(error)) = frame {
            self.broken = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A body of known length ends with its last frame, and nobody may ask for more; a chunked one ends with none.
        if frame.is_none() || self.body.is_end_stream() {
            self.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer whose connection is not used again.
pub(super) fn plain(body: Incoming) -> Body {
    body.map_err(Into::into).boxed_unsync()
}

/// Takes the socket out of HTTP, with what was read beyond the head.
pub(super) fn leave_http(upgraded: Upgraded) -> Result<(Socket, Bytes), SendError> {
    let parts = upgraded
        .downcast::<TokioIo<Merged>>()
        .map_err(|_| SendError::Upgrade)?;
    Ok((parts.io.into_inner().into_socket(), parts.read_buf))
}
