//! Dialling over TCP.

use std::{io, time::Duration};

use rustix::net::sockopt;
use tokio::net::TcpStream;

use crate::socket::Socket;

/// As the docker CLI sets it: a stream may stay silent for hours, a vanished host must be noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub(super) async fn dial(authority: &str) -> io::Result<Socket> {
    let stream = TcpStream::connect(authority).await?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
    Ok(Socket::tcp(stream))
}
