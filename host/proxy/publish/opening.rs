//! One forwarded port: a listener, and what it accepts joined with the container's host.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    proxy::splice::{End, Pipes, join},
    shutdown::Shutdown,
    socket::Socket,
};

/// The pause after a failed accept: the process is out of descriptors, and some may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where accepted connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// An IP address or a name.
    pub(super) host: String,
    pub(super) port: u16,
}

/// What every forwarded connection needs.
#[derive(Clone)]
pub(super) struct Means {
    /// How long the target may take to answer.
    pub(super) limit: Duration,
    pub(super) pipes: Arc<Pipes>,
    pub(super) shutdown: Shutdown,
}

/// A forwarded port that listens until this is dropped. Connections that it has accepted go on.
pub(super) struct Opening {
    target: Arc<Target>,
    stop: DropGuard,
    closed: CancellationToken,
}

impl Opening {
    /// Begins to accept; a connection is given up when its target does not answer in time.
    pub(super) fn new(listener: TcpListener, target: Target, means: Means) -> Self {
        let (stop, closed) = (CancellationToken::new(), CancellationToken::new());
        let opening = Self {
            target: Arc::new(target),
            stop: stop.clone().drop_guard(),
            closed: closed.clone(),
        };
        let (target, shutdown) = (opening.target.clone(), means.shutdown.clone());
        let ended = shutdown.clone();
        shutdown.spawn("forwarded port", async move {
            // Dropped after the listener, whatever ends this task.
            let _closed = closed.drop_guard();
            tokio::select! {
                () = accept(listener, target, means) => {}
                () = stop.cancelled() => {}
                () = ended.cancelled() => {}
            }
        });
        opening
    }

    pub(super) fn leads_to(&self, host: &str, port: u16) -> bool {
        (self.target.host.as_str(), self.target.port) == (host, port)
    }

    /// Ends listening; when this returns the port is free.
    pub(super) async fn close(self) {
        drop(self.stop);
        self.closed.cancelled().await;
    }
}

async fn accept(listener: TcpListener, target: Arc<Target>, means: Means) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let carried = carry(client, target.clone(), means.clone());
                means.shutdown.spawn("forwarded connection", carried);
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Joins a client with the target. One that cannot be reached shows as a reset, the nearest thing to a refusal.
async fn carry(client: TcpStream, target: Arc<Target>, means: Means) {
    match dial(&target, means.limit).await {
        Ok(far) => {
            let joined = join(end(client), end(far), &means.pipes).await;
            tracing::debug!(?target, ?joined, "forwarded connection ended");
        }
        Err(error) => {
            tracing::debug!(?target, %error, "cannot forward a connection");
            // Only a socket that is already dead refuses.
            let _ = rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
        }
    }
}

async fn dial(target: &Target, limit: Duration) -> io::Result<TcpStream> {
    let dial = TcpStream::connect((target.host.as_str(), target.port));
    timeout(limit, dial)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn end(stream: TcpStream) -> End {
    End {
        socket: Socket::tcp(stream),
        early: Bytes::new(),
        pause: Duration::ZERO,
    }
}
