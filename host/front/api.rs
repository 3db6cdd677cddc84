//! The Docker API over TCP and unix sockets: one task a connection, HTTP/1.1, and out of it when a call is hijacked.

use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, Interest},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::Listener;
use crate::{
    docker::{Body, client::Client},
    proxy::{self, End, Hijack, Proxy, Reply},
    shutdown::Shutdown,
    socket::Socket,
};

/// The pause after a failed accept: the process is out of descriptors, and some may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a hijacked connection's head goes before what is there to follow it.
const HEAD_START: Duration = Duration::from_millis(1);

/// The Docker API's front door.
pub struct Api {
    proxy: Arc<Proxy>,
    shutdown: Shutdown,
    /// Makes connection ids unique over restarts.
    born: u128,
    connections: AtomicU64,
}

impl Api {
    pub fn new(proxy: Arc<Proxy>, shutdown: Shutdown) -> Self {
        Self {
            proxy,
            shutdown,
            born: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos(),
            connections: AtomicU64::new(0),
        }
    }

    /// Serves a listener until the shutdown begins.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let client = Arc::new(peer.client(self.next_connection()));
                    self.shutdown
                        .spawn("connection", self.clone().connection(socket, client));
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn next_connection(&self) -> Arc<str> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number}", self.born).into()
    }

    async fn connection(self: Arc<Self>, socket: Socket, client: Arc<Client>) {
        let _presence = Presence::enter(self.proxy.clone(), client.clone());
        match self.http(socket, client.clone()).await {
            Ok(None) => {}
            Ok(Some(tunnel)) => {
                let joined = tunnel.run().await;
                tracing::debug!(client.addr = %client.address, ?joined, "hijacked stream ended");
            }
            Err(error) => {
                tracing::debug!(client.addr = %client.address, %error, "connection ended")
            }
        }
    }

    /// Speaks HTTP until the client goes, or until a call leaves HTTP.
    ///
    /// hyper leaves HTTP on 101 only, and Docker's old hijack answers 200. So a hijacked call never answers: the
    /// connection is taken from hyper, with what it has read, and the head is written by hand.
    async fn http(&self, socket: Socket, client: Arc<Client>) -> hyper::Result<Option<Tunnel>> {
        let (hijack, mut hijacked) = mpsc::channel(1);
        let service = service_fn(|request| self.call(request, client.clone(), hijack.clone()));
        let mut connection = http1::Builder::new()
            .title_case_headers(true)
            .serve_connection(TokioIo::new(socket), service);
        let mut draining = false;
        let tunnel = loop {
            tokio::select! {
                ended = &mut connection => return ended.map(|()| None),
                Some(hijack) = hijacked.recv() => break hijack,
                () = self.shutdown.cancelled(), if !draining => {
                    draining = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        Ok(Some(Tunnel {
            hijack: tunnel,
            client: End {
                socket: parts.io.into_inner(),
                early: parts.read_buf,
            },
        }))
    }

    async fn call(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
        hijack: mpsc::Sender<Hijack>,
    ) -> Result<Response<Body>, Infallible> {
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        match self.proxy.handle(request, client).await {
            Reply::Http(response) => Ok(response),
            Reply::Hijack(call) => {
                // Fails only when the connection has ended, and then nobody waits for this either.
                let _ = hijack.send(call).await;
                pending().await
            }
        }
    }
}

/// A connection that has left HTTP.
struct Tunnel {
    client: End,
    hijack: Hijack,
}

impl Tunnel {
    async fn run(mut self) -> io::Result<(u64, u64)> {
        self.client.socket.write_all(&self.hijack.head).await?;
        self.head_start().await;
        let backend = End {
            socket: self.hijack.socket,
            early: self.hijack.early,
        };
        let joined = proxy::join(self.client, backend).await;
        drop(self.hijack.held);
        joined
    }
}

impl Tunnel {
    /// Lets the head arrive by itself when there is more to send already. Behind a daemon's head the rest comes a moment
    /// later, and clients such as docker-py throw away what they read together with it.
    async fn head_start(&self) {
        let readable = self.hijack.socket.ready(Interest::READABLE);
        let waits =
            !self.hijack.early.is_empty() || timeout(Duration::ZERO, readable).await.is_ok();
        if waits {
            sleep(HEAD_START).await;
        }
    }
}

/// A client connection that the proxy knows of, until this is dropped.
struct Presence {
    proxy: Arc<Proxy>,
    client: Arc<Client>,
}

impl Presence {
    fn enter(proxy: Arc<Proxy>, client: Arc<Client>) -> Self {
        proxy.connected(&client);
        Self { proxy, client }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.proxy.hung_up(&self.client);
    }
}
