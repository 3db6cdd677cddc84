//! Dialling a unix socket.

use std::{io, path::Path};

use tokio::net::UnixStream;

use crate::socket::Socket;

pub(super) async fn dial(path: &Path) -> io::Result<Socket> {
    UnixStream::connect(path).await.map(Socket::Unix)
}
