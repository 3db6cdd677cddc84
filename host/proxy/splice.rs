//! Joining two sockets: bytes go from one to the other, copied while they are few, inside the kernel by splice(2) when
//! they are many.
//!
//! A direction waits with nothing but its future. What can be read is copied at once through a buffer on the stack; when a
//! read fills that, the direction carries bulk, and what comes next goes through a pipe that it takes from [`Pipes`] for
//! each turn and gives back when it is empty. A fill that brings little makes it copy again, and so does a budget that is
//! used up. After each turn that moved much, other streams have theirs.

mod limits;
mod pipes;

use std::{future::poll_fn, io, mem::MaybeUninit, sync::Arc, time::Duration};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::{io::Interest, task::yield_now, time::sleep};

use crate::socket::Socket;
use pipes::Pipe;
pub use pipes::Pipes;

/// What is copied at once; as much in one read is the beginning of bulk.
const BUFFER: usize = 64 << 10;
/// A fill that brings less is the end of bulk.
const LITTLE: usize = 8 << 10;
/// As many of them in a row end it.
const LITTLES: u8 = 3;
/// After a turn that moved so much, others have theirs.
const MUCH: usize = 512 << 10;

/// One of the two sockets, with what was read from it before it left HTTP.
pub struct End {
    pub socket: Socket,
    pub early: Bytes,
    /// How long what it says waits at first.
    pub pause: Duration,
}

/// Joins two sockets until both directions have ended. Each side's end of file becomes the other's. A side that takes
/// no more bytes ends its direction only: what it still has to say is heard to the end.
///
/// Returns the bytes that went from `a` to `b` and from `b` to `a`.
///
/// # Errors
/// The first error of reading from either side; both sockets are closed then.
pub async fn join(a: End, b: End, pipes: &Arc<Pipes>) -> io::Result<(u64, u64)> {
    tokio::try_join!(
        one_way(a.early, a.pause, &a.socket, &b.socket, pipes),
        one_way(b.early, b.pause, &b.socket, &a.socket, pipes)
    )
}

/// Moves everything from one socket to the other and then ends the other's input.
async fn one_way(
    early: Bytes,
    pause: Duration,
    from: &Socket,
    to: &Socket,
    pipes: &Arc<Pipes>,
) -> io::Result<u64> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let mut moved = early.len() as u64;
    let is_open = write_all(to, &early).await;
    // Few bytes can hold a large buffer.
    drop(early);
    if is_open {
        let (mut way, mut unyielded) = (Way::new(from, to), 0);
        while let Some(turn @ 1..) = way.turn(pipes).await? {
            moved += turn as u64;
            unyielded += turn;
            if unyielded >= MUCH {
                unyielded = 0;
                yield_now().await;
            }
        }
    }
    // Fails only when the other side has gone already: then there is nobody left to tell.
    let _ = to.shutdown_write();
    Ok(moved)
}

/// One direction.
struct Way<'a> {
    from: &'a Socket,
    to: &'a Socket,
    /// How many fills that bring little will end the bulk; none is under way at zero.
    bulk: u8,
}

impl<'a> Way<'a> {
    fn new(from: &'a Socket, to: &'a Socket) -> Self {
        let bulk = 0;
        Self { from, to, bulk }
    }

    /// Moves what can be read, at most a buffer or a pipe full of it. Returns how much: zero at the end, none when the
    /// other side takes no more.
    async fn turn(&mut self, pipes: &Arc<Pipes>) -> io::Result<Option<usize>> {
        loop {
            poll_fn(|context| self.from.poll_read_ready(context)).await?;
            let pipe = if self.bulk > 0 { pipes.take() } else { None };
            let moved = match pipe {
                Some(pipe) => self.splice(pipe).await,
                None => self.copy().await,
            };
            match moved {
                Err(error) if is_passing(&error) => {}
                moved => return moved,
            }
        }
    }

    async fn copy(&mut self) -> io::Result<Option<usize>> {
        let (read, rest) = copy(self.from, self.to)?;
        self.bulk = match read {
            BUFFER => LITTLES,
            _ => self.bulk.saturating_sub(1),
        };
        let is_open = match rest {
            Ok(rest) => write_all(self.to, &rest).await,
            Err(_) => false,
        };
        Ok(is_open.then_some(read))
    }

    async fn splice(&mut self, mut pipe: Pipe<'_>) -> io::Result<Option<usize>> {
        let filled = self
            .from
            .try_io(Interest::READABLE, || pipe.fill(self.from))?;
        self.bulk = match filled {
            LITTLE.. => LITTLES,
            _ => self.bulk - 1,
        };
        while !pipe.is_empty() {
            let Ok(1..) = written(self.to, || pipe.drain(self.to)).await else {
                return Ok(None);
            };
        }
        Ok(Some(filled))
    }
}

/// Reads once and writes at once. Returns how much was read, and what of it could not be written yet.
fn copy(from: &Socket, to: &Socket) -> io::Result<(usize, io::Result<Vec<u8>>)> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut copied = None;
    let read = from.try_io(Interest::READABLE, || {
        let (bytes, room) = rustix::io::read(from, &mut buffer[..])?;
        copied = Some((bytes.len(), write(to, bytes)));
        match bytes.is_empty() || room.is_empty() {
            true => Ok(()),
            // There is no more: to be told so by another call would cost as much as this one.
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    copied.map_or_else(
        || Err(read.err().unwrap_or_else(|| Errno::AGAIN.into())),
        Ok,
    )
}

/// Writes as much as a socket takes at once; returns the rest.
fn write(to: &Socket, bytes: &[u8]) -> io::Result<Vec<u8>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    match to.try_io(Interest::WRITABLE, || Ok(rustix::io::write(to, bytes)?)) {
        Ok(written) => Ok(bytes[written..].to_vec()),
        Err(error) if is_passing(&error) => Ok(bytes.to_vec()),
        Err(error) => Err(error),
    }
}

/// Writes bytes; false when the socket takes no more.
async fn write_all(to: &Socket, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match written(to, || Ok(rustix::io::write(to, bytes)?)).await {
            Ok(count @ 1..) => bytes = &bytes[count..],
            _ => return false,
        }
    }
    true
}

/// Makes a call that writes whenever there is room, until it does not block.
async fn written(to: &Socket, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        poll_fn(|context| to.poll_write_ready(context)).await?;
        match to.try_io(Interest::WRITABLE, &mut call) {
            Err(error) if is_passing(&error) => {}
            done => return done,
        }
    }
}

/// Whether the same call may succeed later.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
