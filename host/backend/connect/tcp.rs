//! Dialling over TCP.

use std::io;

use tokio::net::TcpStream;

use crate::socket::Socket;

pub(super) async fn dial(authority: &str) -> io::Result<Socket> {
    TcpStream::connect(authority).await.map(Socket::tcp)
}
