//! Sockets that listen: TCP and unix.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::{
    address::Address,
    docker::client::Client,
    socket::{self, Socket},
};

/// As the daemon's own socket: its owner and its group may speak.
const UNIX_MODE: u32 = 0o660;

/// How many clients may wait to be accepted, as far as the system permits (net.core.somaxconn). The runtime's own is 128
/// or 1,024, and whoever comes to a full queue tries again after a second.
const BACKLOG: i32 = 4096;

/// A bound listener.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Address),
}

/// What is known of a client from its connection.
pub(super) struct Peer {
    address: Arc<str>,
    identity: Option<Arc<str>>,
}

impl Listener {
    /// Binds an address. A unix socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The system's: the port is in use, the path cannot be written.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(authority) => {
                let listener = TcpListener::bind(authority).await?;
                // What it accepts has its options: no call for each connection.
                socket::set_options(&listener)?;
                rustix::net::listen(&listener, BACKLOG)?;
                Ok(Self::Tcp(listener))
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                rustix::net::listen(&listener, BACKLOG)?;
                fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
                Ok(Self::Unix(listener, address.clone()))
            }
        }
    }

    /// Where it really listens: the port that the system chose.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => Ok(Address::Tcp(listener.local_addr()?.to_string())),
            Self::Unix(_, address) => Ok(address.clone()),
        }
    }

    /// Waits for a client.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = Peer {
                    address: address.to_string().into(),
                    identity: None,
                };
                Ok((Socket::Tcp(stream), peer))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer {
                    address: "unix".into(),
                    identity: stream
                        .peer_cred()
                        .ok()
                        .map(|peer| format!("uid:{}", peer.uid()).into()),
                };
                Ok((Socket::Unix(stream), peer))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, Address::Unix(path)) = self {
            // Left behind, it only makes the next start look twice.
            let _ = fs::remove_file(path);
        }
    }
}

impl Peer {
    pub(super) fn client(self, connection: Arc<str>) -> Client {
        Client {
            connection,
            address: self.address,
            identity: self.identity,
        }
    }
}

/// Removes a socket whose listener is dead; a live one stays and makes the bind fail.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}
