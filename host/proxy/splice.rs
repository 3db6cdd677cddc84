//! Joining two sockets: bytes go from one to the other inside the kernel, through a pipe, by splice(2).
//!
//! This file owns all that is known of splicing. A pipe is drained before it is filled again, so that "would block"
//! while filling always means that the source is empty. `SPLICE_F_MORE` is not given: it corks TCP for up to 200 ms.
//! Where no pipe can be had (the process or its user has run out of them) the direction is copied.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use bytes::Bytes;
use rustix::{
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::{io::Interest, task::coop::consume_budget};

use crate::socket::Socket;

/// How much one pipe holds, if its user may have so much; 64 KiB otherwise.
const PIPE_SIZE: usize = 256 << 10;
/// The buffer of a direction that is copied.
const COPY_SIZE: usize = 64 << 10;

/// One of the two sockets, with what was read from it before it left HTTP.
pub struct End {
    pub socket: Socket,
    pub early: Bytes,
}

/// Joins two sockets until both directions have ended. Each side's end of file becomes the other's. A side that takes
/// no more bytes ends its direction only: what it still has to say is heard to the end.
///
/// Returns the bytes that went from `a` to `b` and from `b` to `a`.
///
/// # Errors
/// The first error of reading from either side; both sockets are closed then.
pub async fn join(a: End, b: End) -> io::Result<(u64, u64)> {
    let (from_a, from_b) = (a.early, b.early);
    let (a, b) = (a.socket, b.socket);
    tokio::try_join!(one_way(from_a, &a, &b), one_way(from_b, &b, &a))
}

/// Moves everything from one socket to the other and then ends the other's input.
async fn one_way(early: Bytes, from: &Socket, to: &Socket) -> io::Result<u64> {
    let mut moved = early.len() as u64;
    let is_open = write_all(to, &early).await;
    // Few bytes can hold a large buffer.
    drop(early);
    if is_open {
        from.ready(Interest::READABLE).await?;
        moved += match Pipe::new() {
            Ok(pipe) => pipe.carry(from, to).await?,
            Err(_) => copy(from, to).await?,
        };
    }
    // Fails only when the other side has gone already: then there is nobody left to tell.
    let _ = to.shutdown_write();
    Ok(moved)
}

/// Writes bytes; false when the socket takes no more.
async fn write_all(to: &Socket, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match until_ready(to, Interest::WRITABLE, || Ok(rustix::io::write(to, bytes)?)).await {
            Ok(written @ 1..) => bytes = &bytes[written..],
            _ => return false,
        }
    }
    true
}

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    fn new() -> rustix::io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Over its user's limit the pipe stays as small as it is.
        let _ = fcntl_setpipe_size(&writer, PIPE_SIZE);
        Ok(Self { reader, writer })
    }

    async fn carry(&self, from: &Socket, to: &Socket) -> io::Result<u64> {
        let mut moved = 0;
        loop {
            let fill = || once(from, &self.writer, PIPE_SIZE);
            let filled = until_ready(from, Interest::READABLE, fill).await?;
            if filled == 0 || !self.drain(to, filled).await {
                return Ok(moved);
            }
            moved += filled as u64;
        }
    }

    /// Empties the pipe into a socket; false when the socket takes no more.
    async fn drain(&self, to: &Socket, mut rest: usize) -> bool {
        while rest > 0 {
            match until_ready(to, Interest::WRITABLE, || once(&self.reader, to, rest)).await {
                Ok(written @ 1..) => rest -= written,
                _ => return false,
            }
        }
        true
    }
}

fn once(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, length, flags)?)
}

/// Moves everything through memory.
async fn copy(from: &Socket, to: &Socket) -> io::Result<u64> {
    let mut buffer = vec![0; COPY_SIZE];
    let mut moved = 0;
    loop {
        let read = || Ok(rustix::io::read(from, &mut buffer[..])?);
        let read = until_ready(from, Interest::READABLE, read).await?;
        if read == 0 || !write_all(to, &buffer[..read]).await {
            return Ok(moved);
        }
        moved += read as u64;
    }
}

/// Makes a system call whenever the socket is ready, until it does not block.
async fn until_ready<R>(
    socket: &Socket,
    interest: Interest,
    mut call: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    loop {
        // Sockets that are always ready must let other tasks run too.
        consume_budget().await;
        socket.ready(interest).await?;
        match socket.try_io(interest, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream, UnixStream},
    };

    use super::*;

    async fn tcp() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (Socket::tcp(listener.accept().await.unwrap().0), far)
    }

    fn end(socket: Socket, early: &'static str) -> End {
        End {
            socket,
            early: early.into(),
        }
    }

    #[tokio::test]
    async fn both_directions_flow_and_half_close_passes() {
        let (near, mut client) = tcp().await;
        let (unix, mut daemon) = UnixStream::pair().unwrap();
        let joined = tokio::spawn(join(end(near, "early "), end(Socket::Unix(unix), "hello ")));
        client.write_all(b"stdin").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        daemon.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "early stdin");
        daemon
            .write_all(b"answer after the end of input")
            .await
            .unwrap();
        drop(daemon);
        heard.clear();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello answer after the end of input");
        assert_eq!(joined.await.unwrap().unwrap(), (11, 35));
    }

    #[tokio::test]
    async fn more_than_a_pipe_holds_arrives_whole() {
        let ((near, mut client), (far, mut daemon)) = (tcp().await, tcp().await);
        tokio::spawn(join(end(near, ""), end(far, "")));
        let sent: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut heard = Vec::new();
        daemon.read_to_end(&mut heard).await.unwrap();
        assert!(heard == expected);
        drop(writer.await.unwrap());
    }

    #[tokio::test]
    async fn a_direction_without_a_pipe_is_copied() {
        let ((near, mut client), (far, mut daemon)) = (tcp().await, tcp().await);
        let copied = tokio::spawn(async move { copy(&near, &far).await });
        client.write_all(&[7; 300_000]).await.unwrap();
        let mut heard = vec![0; 300_000];
        daemon.read_exact(&mut heard).await.unwrap();
        drop(client);
        assert_eq!(copied.await.unwrap().unwrap(), 300_000);
    }
}
