//! Small chunks of a daemon's answer, made into large ones before HTTP sees them.
//!
//! A daemon sends every line of a log as a chunk, and each would be a frame, a wakeup and a write of its own. While such
//! lines come faster than they are read, what one read brings goes on as one chunk. Nothing waits for more to come, and
//! what the reader behind this knows of the chunk that it is in is always true, so merging begins and ends at any read.
//!
//! A stream of JSON keeps its chunks: there are clients that take each for a message.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use super::{ReadSize, answer::Answer, chunks::Chunks};
use crate::socket::Socket;

/// How much is read at once to be merged.
const READ_SIZE: usize = 64 << 10;
/// A read that brings less shows that the reader keeps up.
const BULK: usize = 4 << 10;
/// Chunks that are shorter than this on average are merged.
const SMALL: usize = 4 << 10;

/// A daemon's socket whose answers have no small chunks when they come in bulk.
#[derive(Debug)]
pub(super) struct Merged {
    socket: Take<Socket>,
    reads: Reads,
    answer: Answer,
    /// What is merged and not yet read.
    merged: Bytes,
    /// The last read brought many small chunks.
    is_bulk: bool,
}

impl Merged {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket: socket.take(u64::MAX),
            reads: Reads::default(),
            answer: Answer::default(),
            merged: Bytes::new(),
            is_bulk: false,
        }
    }

    /// The socket of a connection that has left HTTP; such an answer is never merged.
    pub(super) fn into_socket(self) -> Socket {
        self.socket.into_inner()
    }

    /// Where it is said how much is read at once.
    pub(super) fn reads(&self) -> Reads {
        self.reads.clone()
    }

    fn poll_merge(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Answer::Chunked(chunks) = &mut self.answer else {
            return Poll::Ready(Ok(()));
        };
        self.socket.set_limit(READ_SIZE as u64);
        let mut space = Box::new_uninit_slice(READ_SIZE);
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        self.merged = chunks.merge(read.filled()).into();
        self.is_bulk = is_bulk(chunks, read.filled().len());
        self.answer.end();
        Poll::Ready(Ok(()))
    }

    /// Reads past the merging, and follows what was read.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        self.socket.set_limit(self.reads.most());
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        self.answer.follow(read);
        if let Answer::Chunked(chunks) = &mut self.answer {
            self.is_bulk = is_bulk(chunks, read.len());
        }
        Poll::Ready(Ok(()))
    }
}

/// How much of an answer is read at once, as whoever waits for it wants it.
#[derive(Debug, Clone)]
pub(super) struct Reads(Arc<AtomicUsize>);

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Reads {
    /// Lets one read bring no more than that.
    pub(super) fn limit(&self, size: Option<ReadSize>) {
        let most = size.map_or(usize::MAX, |ReadSize(most)| most);
        self.0.store(most, Ordering::Relaxed);
    }

    fn most(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// True when a read of so many bytes brought many chunks.
fn is_bulk(chunks: &mut Chunks, read: usize) -> bool {
    let count = chunks.counted();
    chunks.may_merge && read >= BULK && count * SMALL > read
}

impl AsyncRead for Merged {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.merged.is_empty() {
            if !(this.is_bulk && matches!(this.answer, Answer::Chunked(_))) {
                return this.poll_pass(cx, buf);
            }
            ready!(this.poll_merge(cx))?;
        }
        let length = this.merged.len().min(buf.remaining());
        buf.put_slice(&this.merged[..length]);
        this.merged.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Merged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.socket.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.socket.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket.get_mut()).poll_shutdown(cx)
    }
}
