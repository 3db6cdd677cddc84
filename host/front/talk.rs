//! When a client's connection rests: every answer is written, no request is begun, and HTTP keeps nothing of worth.
//!
//! hyper keeps its buffers as long as its connection. So a connection that rests is taken from hyper, waits as a bare
//! socket, and is given to a new one when the client speaks again. That it can rest at all takes that requests are read to
//! their end, also those that nobody wanted to read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, timeout},
};

use crate::{
    docker::{Body, BodyError},
    socket::Socket,
};

/// How much of a request that nobody wants is read away, and how long that may take.
const AWAY: usize = 256 << 10;
const AWAY_TIME: Duration = Duration::from_secs(1);

/// How long a client is silent before its connection rests.
const PAUSE: Duration = Duration::from_millis(20);

/// What is going on over a connection.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// How many calls have begun.
    calls: AtomicUsize,
    /// How many requests and answers are not at their end.
    open: AtomicUsize,
    /// A request was not read to its end: what the client sends next may still belong to it.
    is_spoiled: AtomicBool,
    /// Nothing is open, and all that was said is written.
    is_over: AtomicBool,
    /// The call that began last has its answer.
    is_answered: AtomicBool,
    /// What nobody has read of that call's request, until it has its answer.
    unread: Mutex<Option<Incoming>>,
}

impl Talk {
    /// Of a connection that rests in a while unless a call begins; with `is_over` false, only after a call. tokio takes an
    /// accepted socket for readable before anything has come, so one that is silent from the begin gets here, too.
    pub(super) fn new(is_over: bool) -> Self {
        Self {
            is_over: is_over.into(),
            ..Self::default()
        }
    }

    /// Reads away what nobody wanted of the request, if it is not much, as daemons do: a client that sends all of it
    /// before it reads would lose the answer, and its connection.
    pub(super) async fn read_away(&self) {
        let unread = {
            let mut unread = self.unread();
            self.is_answered.store(true, Ordering::Release);
            unread.take()
        };
        if let Some(body) = unread
            && timeout(AWAY_TIME, is_little(body)).await == Ok(true)
        {
            self.is_spoiled.store(false, Ordering::Release);
        }
    }

    fn unread(&self) -> MutexGuard<'_, Option<Incoming>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when what the client sends next may still belong to a request that nobody reads.
    pub(super) fn is_spoiled(&self) -> bool {
        self.is_spoiled.load(Ordering::Acquire)
    }

    fn flushed(&self) {
        let rests = self.open.load(Ordering::Acquire) == 0 && !self.is_spoiled();
        if rests && self.calls.load(Ordering::Acquire) > 0 {
            self.is_over.store(true, Ordering::Release);
        }
    }
}

/// Reads a body; true when all of it has come and it was not long.
async fn is_little(mut body: Incoming) -> bool {
    let mut room = AWAY;
    while let Some(frame) = body.frame().await {
        let length = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
        match length.ok().and_then(|length| room.checked_sub(length)) {
            Some(less) => room = less,
            None => return false,
        }
    }
    true
}

/// A request or an answer, until this is dropped.
struct Open(Arc<Talk>);

impl Open {
    fn new(talk: &Arc<Talk>) -> Self {
        talk.open.fetch_add(1, Ordering::AcqRel);
        Self(talk.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer that is being made, and then written.
pub(super) struct Answering(Open);

impl Answering {
    pub(super) fn new(talk: &Arc<Talk>) -> Self {
        talk.calls.fetch_add(1, Ordering::AcqRel);
        talk.is_over.store(false, Ordering::Release);
        talk.is_answered.store(false, Ordering::Release);
        Self(Open::new(talk))
    }

    pub(super) fn with(self, body: Body) -> Answer {
        Answer {
            body,
            _open: self.0,
        }
    }
}

/// An answer's body.
pub(super) struct Answer {
    body: Body,
    _open: Open,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body.
pub(super) struct Asked {
    /// None when it has been dropped.
    body: Option<Incoming>,
    /// Its client sends it when it is wanted only (RFC 9110, 10.1.1).
    is_awaited: bool,
    ended: bool,
    open: Open,
}

impl Asked {
    pub(super) fn new(body: Incoming, is_awaited: bool, talk: &Arc<Talk>) -> Self {
        Self {
            ended: body.is_end_stream(),
            body: Some(body),
            is_awaited,
            open: Open::new(talk),
        }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let ended = frame.is_none() || body.is_end_stream();
        self.ended |= ended;
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let talk = &self.open.0;
        talk.is_spoiled.store(true, Ordering::Release);
        let mut unread = talk.unread();
        if !self.is_awaited && !talk.is_answered.load(Ordering::Acquire) {
            *unread = self.body.take();
        }
    }
}

/// Ready when a connection has rested for a while. What it waits for happens where the connection is polled, so it is
/// polled after that and wakes nobody but for the time.
pub(super) struct Pause {
    talk: Arc<Talk>,
    sleep: Pin<Box<Sleep>>,
    /// How many calls there were when the sleep began.
    since: Option<usize>,
}

impl Pause {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        Self {
            talk,
            sleep: Box::pin(sleep(PAUSE)),
            since: None,
        }
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while self.talk.is_over.load(Ordering::Acquire) {
            let calls = self.talk.calls.load(Ordering::Acquire);
            if self.since.is_none() {
                self.sleep.as_mut().reset(Instant::now() + PAUSE);
                self.since = Some(calls);
            }
            ready!(self.sleep.as_mut().poll(cx));
            if self.since.take() == Some(calls) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// A client's socket that notes when all is written.
pub(super) struct Watched {
    socket: Socket,
    /// What was read from the socket before.
    early: Bytes,
    talk: Arc<Talk>,
}

impl Watched {
    pub(super) fn new(socket: Socket, early: Bytes, talk: Arc<Talk>) -> Self {
        Self {
            socket,
            early,
            talk,
        }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let length = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..length]);
        self.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes the socket when it has written all of its own buffer.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.talk.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
