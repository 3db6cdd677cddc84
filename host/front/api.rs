//! The Docker API over TCP and unix sockets: one task a connection, HTTP/1.1, and out of it when a call is hijacked.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, Interest},
    time::sleep,
};

use super::{
    Listener,
    talk::{Answer, Answering, Asked, Pause, Talk, Watched},
};
use crate::{
    docker::{self, client::Client},
    proxy::{self, End, Hijack, Proxy, Reply},
    shutdown::Shutdown,
    socket::Socket,
};

/// The pause after a failed accept: the process is out of descriptors, and some may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
                // In a box, for most connections never leave HTTP.
                let joined = Box::pin(tunnel.run()).await;
                tracing::debug!(client.addr = %client.address, ?joined, "hijacked stream ended");
            }
            Err(error) => {
                tracing::debug!(client.addr = %client.address, %error, "connection ended")
            }
        }
    }

    /// Speaks HTTP until the client goes, or until a call leaves HTTP. A client that is silent costs its socket only.
    async fn http(&self, mut socket: Socket, client: Arc<Client>) -> hyper::Result<Option<Tunnel>> {
        let mut early = Bytes::new();
        loop {
            if early.is_empty() && !self.is_heard(&socket).await {
                return Ok(None);
            }
            // In a box, for it is large and only there while the client speaks.
            match Box::pin(self.speak(socket, early, client.clone())).await? {
                Spoken::Ended => return Ok(None),
                Spoken::Left(tunnel) => return Ok(Some(tunnel)),
                Spoken::Rests(rests) => (socket, early) = (rests.socket, rests.early),
            }
        }
    }

    /// Waits until there is something to read; false when the shutdown begins before.
    async fn is_heard(&self, socket: &Socket) -> bool {
        tokio::select! {
            // What is wrong with the socket shows when it is read.
            _ = socket.ready(Interest::READABLE) => true,
            () = self.shutdown.cancelled() => false,
        }
    }

    /// Speaks HTTP until the client is silent.
    ///
    /// hyper leaves HTTP on 101 only, and Docker's old hijack answers 200. So a hijacked call never answers: the
    /// connection is taken from hyper, with what it has read, and the head is written by hand.
    async fn speak(
        &self,
        socket: Socket,
        early: Bytes,
        client: Arc<Client>,
    ) -> hyper::Result<Spoken> {
        let talk = Arc::new(Talk::new(early.is_empty()));
        let exit = Exit::default();
        let service = service_fn(|request: Request<Incoming>| {
            self.call(request, client.clone(), &talk, &exit)
        });
        let watched = Watched::new(socket, early, talk.clone());
        let mut connection = http1::Builder::new()
            .title_case_headers(true)
            .serve_connection(TokioIo::new(watched), service);
        let mut pause = Pause::new(talk.clone());
        let mut ending = pin!(self.shutdown.cancelled());
        let mut draining = false;
        let tunnel = loop {
            tokio::select! {
                biased;
                ended = &mut connection => return ended.map(|()| Spoken::Ended),
                hijack = exit.left() => break Some(hijack),
                () = &mut ending, if !draining => {
                    draining = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
                () = &mut pause, if !draining => break None,
            }
        };
        let parts = connection.into_parts();
        let client = End {
            socket: parts.io.into_inner().into_socket(),
            early: unheld(parts.read_buf),
            pause: Duration::ZERO,
        };
        Ok(match tunnel {
            Some(hijack) => Spoken::Left(Tunnel { client, hijack }),
            None => Spoken::Rests(client),
        })
    }

    async fn call(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
        talk: &Arc<Talk>,
        exit: &Exit,
    ) -> Result<Response<Answer>, Infallible> {
        let answering = Answering::new(talk);
        let is_awaited = request.headers().contains_key(header::EXPECT);
        let request = request.map(|body| match body.is_end_stream() {
            true => docker::empty(),
            false => Asked::new(body, is_awaited, talk).boxed_unsync(),
        });
        let reply = self.proxy.handle(request, client).await;
        talk.read_away().await;
        match reply {
            Reply::Http(mut response) => {
                if talk.is_spoiled() {
                    // hyper closes the connection then, and the client should know.
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok(response.map(|body| answering.with(body)))
            }
            Reply::Hijack(call) => {
                exit.take(call);
                pending().await
            }
        }
    }
}

/// Where a call goes that leaves HTTP. Calls are answered where the connection is polled, so nobody need be woken.
#[derive(Default)]
struct Exit(Mutex<Option<Hijack>>);

impl Exit {
    fn take(&self, hijack: Hijack) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(hijack);
    }

    /// The call that has left, as soon as it is looked for.
    async fn left(&self) -> Hijack {
        let left = || self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        poll_fn(|_| left().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// What was read ahead, without the buffer it was read into when it is nothing: empty `Bytes` keep theirs, too.
fn unheld(early: Bytes) -> Bytes {
    match early.is_empty() {
        true => Bytes::new(),
        false => early,
    }
}

/// Why a connection speaks HTTP no more.
enum Spoken {
    Ended,
    Left(Tunnel),
    /// The client is silent; it may speak again.
    Rests(End),
}

/// A connection that has left HTTP.
struct Tunnel {
    client: End,
    hijack: Hijack,
}

impl Tunnel {
    async fn run(mut self) -> io::Result<(u64, u64)> {
        self.client.socket.write_all(&self.hijack.head).await?;
        let backend = End {
            socket: self.hijack.socket,
            early: self.hijack.early,
            pause: self.hijack.head_start,
        };
        let joined = proxy::join(self.client, backend, &self.hijack.pipes).await;
        drop(self.hijack.held);
        joined
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
