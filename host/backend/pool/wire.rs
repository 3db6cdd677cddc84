//! One connection to a backend, and one request at a time over it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http::{HeaderValue, Request, Response, Version, header};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;

use super::SendError;
use crate::{
    backend::merged::{Merged, Reads},
    docker::Body,
    socket::Socket,
};

/// A connection that whoever waits for its answer drives: one task a call, and nothing to wake between two.
pub(super) struct Wire {
    sender: SendRequest<Body>,
    connection: Connection<TokioIo<Merged>, Body>,
    pub(super) reads: Reads,
    is_open: bool,
    /// The last request had a body, which may still be on its way when the answer is read.
    has_sent: bool,
    /// The daemon closes it after this answer.
    is_last: bool,
}

impl Wire {
    pub(super) async fn new(socket: Socket) -> Result<Self, SendError> {
        let socket = Merged::new(socket);
        let reads = socket.reads();
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        Ok(Self {
            sender,
            connection,
            reads,
            is_open: true,
            has_sent: false,
            is_last: false,
        })
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        self.has_sent = !request.body().is_end_stream();
        let mut sending = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            // The request goes to the connection, out, and the answer comes back the same way.
            if let Poll::Ready(answer) = sending.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if self.is_open {
                // What goes wrong on the connection reaches whoever waits for an answer on it.
                self.is_open = Pin::new(&mut self.connection).poll(cx).is_pending();
            }
            sending.as_mut().poll(cx)
        })
        .await;
        self.is_last = answer.as_ref().is_ok_and(closes);
        answer
    }

    /// False for one that would hold what a client still sends, or that the daemon is about to close.
    pub(super) fn may_be_kept(&mut self) -> bool {
        !self.is_last && self.is_open && (!self.has_sent || self.is_ready())
    }

    /// Lets the connection work.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if self.is_open {
            self.is_open = Pin::new(&mut self.connection).poll(cx).is_pending();
        }
    }

    /// True when it can take a request: it is open, and no request's body is still on its way.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_open && self.sender.is_ready()
    }
}

/// True for an answer after which the daemon closes the connection (RFC 9112, 9.3).
fn closes<B>(answer: &Response<B>) -> bool {
    let options = answer.headers().get_all(header::CONNECTION);
    let closes = |value: &HeaderValue| {
        let mut options = value.as_bytes().split(|byte| *byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    answer.version() < Version::HTTP_11 || options.iter().any(closes)
}
