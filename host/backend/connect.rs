//! Dialling a backend; one file per transport.

mod tcp;
mod unix;

use std::io;

use crate::{address::Address, socket::Socket};

/// Opens a connection to a daemon.
pub(super) async fn dial(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp(authority) => tcp::dial(authority).await,
        Address::Unix(path) => unix::dial(path).await,
    }
}
