//! Where somebody listens, and a connection to there: TCP or unix.

use std::{fmt, fs::File, io, os::fd::OwnedFd, path::PathBuf};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// A kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `127.0.0.1:2375`
    Tcp(String),
    Unix(PathBuf),
}

/// A connected socket of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The same for a thread that waits in its calls.
    fn into_blocking(self: Box<Self>) -> io::Result<File>;
}

impl Stream for TcpStream {
    fn into_blocking(self: Box<Self>) -> io::Result<File> {
        let stream = self.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(OwnedFd::from(stream).into())
    }
}

impl Stream for UnixStream {
    fn into_blocking(self: Box<Self>) -> io::Result<File> {
        let stream = self.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(OwnedFd::from(stream).into())
    }
}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {
    fn into_blocking(self: Box<Self>) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Address {
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
