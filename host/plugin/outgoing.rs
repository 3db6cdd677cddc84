//! The HTTP requests of plugins: to granted hosts only, each over a connection of its own.
//!
//! The name of the host is checked, not the address behind it. Redirects are the plugin's business: where they lead is
//! another request, checked like the first.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{
    HeaderValue, Method, Request, Response, Uri,
    header::HOST,
    uri::{PathAndQuery, Scheme as UriScheme},
};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    net::{TcpStream, lookup_host},
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, ClientConfig, crypto::aws_lc_rs, pki_types::ServerName},
};
use tokio_util::either::Either;
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpHooks, p2::bindings::http::types::ErrorCode,
};

use crate::config::{Grants, Scheme};

mod errors;

use errors::{broken, insecure, too_long, unknown};

use super::{
    journal::Journal,
    limits::{CONNECTIONS, HTTP_BODY},
};

/// How long a connection takes at most, and how long a host may be silent. The plugin's own timeout is mostly shorter;
/// these end what a warm instance left behind.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// What a line of the log has besides the host, in bytes.
const LINE: usize = 200;

/// What drives a connection until its answer is read.
type Drive = Box<dyn Future<Output = Result<()>> + Send>;

/// A connection to a host.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// The requests of one plugin.
pub(super) struct Outgoing {
    plugin: Arc<str>,
    grants: Grants,
    /// Held by connections.
    seats: Arc<Semaphore>,
    /// Made for the first request that needs it: it reads all certificates of the system.
    tls: OnceCell<TlsConnector>,
}

/// What `wasi:http` of one instance asks.
pub(super) struct Requests {
    outgoing: Arc<Outgoing>,
    /// What goes wrong with requests is logged within the plugin's own budget.
    journal: Journal,
}

/// Where a request goes.
struct Target {
    scheme: Scheme,
    /// In lower case, an IPv6 address in brackets.
    host: String,
    port: u16,
}

impl Requests {
    pub(super) fn new(outgoing: Arc<Outgoing>, journal: Journal) -> Self {
        Self { outgoing, journal }
    }
}

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Drive)>> + Send> {
        let (outgoing, journal) = (Arc::clone(&self.outgoing), self.journal.clone());
        let options = options.unwrap_or_default();
        Box::new(async move { outgoing.send(request, options, &journal).await })
    }

    fn p2_error_from_connect(&mut self, error: &io::Error) -> ErrorCode {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
            io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            _ => ErrorCode::DestinationUnavailable,
        }
    }

    fn p2_error_from_tls(&mut self, _error: &io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }

    fn p2_error_from_hyper(&mut self, _error: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }
}

impl Outgoing {
    pub(super) fn new(plugin: Arc<str>, grants: &Grants) -> Self {
        Self {
            plugin,
            grants: grants.clone(),
            seats: Arc::new(Semaphore::new(CONNECTIONS)),
            tls: OnceCell::new(),
        }
    }

    async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
        journal: &Journal,
    ) -> Result<(Response<WasiBody>, Drive)> {
        let target = Target::of(request.uri())?;
        self.check(&target, request.method(), journal)?;
        let seats = Arc::clone(&self.seats);
        let seat = seats.acquire_owned().await;
        let seat = seat.map_err(|_| Error::ConnectionLimitReached)?;
        let exchanged = self.exchange(&target, request, options, seat).await;
        exchanged.inspect_err(|error| {
            let (plugin, host) = (&*self.plugin, target.to_string());
            if journal.admits(LINE + host.len()) {
                tracing::warn!(plugin, host, %error, "a plugin's request failed");
            }
        })
    }

    fn check(&self, target: &Target, method: &Method, journal: &Journal) -> Result<()> {
        // It asks a proxy for a tunnel, to whatever host.
        if method == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let Target { scheme, host, port } = target;
        if self.grants.allow(*scheme, host, *port) {
            return Ok(());
        }
        let grant = format!("http = [\"{host}:{port}\"]");
        let (plugin, host) = (&*self.plugin, target.to_string());
        if journal.admits(LINE + 2 * host.len()) {
            tracing::warn!(
                plugin,
                host,
                grant,
                "a plugin called a host that it is not granted"
            );
        }
        Err(Error::HttpRequestDenied)
    }

    async fn exchange(
        &self,
        target: &Target,
        request: Request<WasiBody>,
        options: RequestOptions,
        seat: OwnedSemaphorePermit,
    ) -> Result<(Response<WasiBody>, Drive)> {
        let patience = options.connect_timeout.unwrap_or(CONNECT);
        let connected = timeout(patience, self.connect(target, seat)).await;
        let (stream, seat) = connected.map_err(|_| Error::ConnectionTimeout)??;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(broken)?;
        // Dropped with the answer, and with the instance: the connection then ends.
        let driven = spawn(connection);
        let patience = options.first_byte_timeout.unwrap_or(SILENCE);
        let answered = timeout(patience, sender.send_request(origin_form(target, request)?)).await;
        let answer = answered
            .map_err(|_| Error::HttpResponseTimeout)?
            .map_err(broken)?;
        let patience = options.between_bytes_timeout.unwrap_or(SILENCE);
        let drive = async move {
            // What went wrong the body tells.
            let _ = driven.await;
            drop(seat);
            Ok(())
        };
        Ok((answer.map(|body| arriving(body, patience)), Box::new(drive)))
    }

    async fn connect(
        &self,
        target: &Target,
        seat: OwnedSemaphorePermit,
    ) -> Result<(Stream, OwnedSemaphorePermit)> {
        let name = target.host.trim_matches(['[', ']']);
        let (addresses, seat) = look_up(name, target.port, seat).await?;
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(Error::Connect)?;
        if target.scheme == Scheme::Http {
            return Ok((Either::Left(stream), seat));
        }
        let server = ServerName::try_from(name.to_owned());
        let server = server.map_err(|_| Error::HttpRequestUriInvalid)?;
        let tls = self.tls.get_or_try_init(trusting).await?;
        let secured = tls.connect(server, stream).await.map_err(insecure)?;
        Ok((Either::Right(secured), seat))
    }
}

impl Target {
    /// # Errors
    /// When the URI says more than a host and a port, such as a user.
    fn of(uri: &Uri) -> Result<Self> {
        let scheme = match uri.scheme() {
            Some(scheme) if *scheme == UriScheme::HTTP => Scheme::Http,
            Some(scheme) if *scheme == UriScheme::HTTPS => Scheme::Https,
            _ => return Err(Error::HttpRequestUriInvalid),
        };
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let host = authority.host();
        let plain = match authority.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        if host.is_empty() || plain != authority.as_str() {
            return Err(Error::HttpRequestUriInvalid);
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(scheme.port()),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{}://{host}:{port}", scheme.name())
    }
}

/// Finds the addresses of a host. Whoever stops waiting does not end the search, which keeps one of the threads that all of
/// flockerd shares until the resolver gives up: the seat is taken as long.
async fn look_up(
    name: &str,
    port: u16,
    seat: OwnedSemaphorePermit,
) -> Result<(Vec<SocketAddr>, OwnedSemaphorePermit)> {
    let name = name.to_owned();
    let looking = tokio::spawn(async move {
        let found = lookup_host((name, port)).await;
        (found.map(Iterator::collect), seat)
    });
    let (found, seat) = looking
        .await
        .map_err(|panic| Error::InternalError(Some(panic.to_string())))?;
    Ok((found.map_err(|error| unknown(&error))?, seat))
}

/// TLS that trusts what the system trusts.
async fn trusting() -> Result<TlsConnector> {
    let made = tokio::task::spawn_blocking(|| {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        Ok::<_, rustls::Error>(TlsConnector::from(Arc::new(config)))
    });
    let made = made.await.map_err(|panic| panic.to_string());
    let made = made.and_then(|made| made.map_err(|error| error.to_string()));
    made.map_err(|reason| Error::InternalError(Some(format!("there is no TLS: {reason}"))))
}

/// The request as it is written to the host itself, its body no longer than allowed.
fn origin_form(target: &Target, request: Request<WasiBody>) -> Result<Request<WasiBody>> {
    let (mut parts, body) = request.into_parts();
    let host = match target.port == target.scheme.port() {
        true => target.host.clone(),
        false => format!("{}:{}", target.host, target.port),
    };
    let host = HeaderValue::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    parts.headers.insert(HOST, host);
    let path = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let body = Limited::new(body, HTTP_BODY)
        .map_err(too_long)
        .boxed_unsync();
    Ok(Request::from_parts(parts, body))
}

/// The body of an answer as it comes, no longer than allowed, with no longer pauses than allowed.
fn arriving(body: Incoming, patience: Duration) -> WasiBody {
    let frames = stream::try_unfold((body, HTTP_BODY), move |(mut body, left)| async move {
        let frame = timeout(patience, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::ConnectionReadTimeout)? else {
            return Ok(None);
        };
        let frame = frame.map_err(broken)?;
        let length = frame.data_ref().map_or(0, Bytes::len);
        let left = left.checked_sub(length);
        let left = left.ok_or(Error::HttpResponseBodySize(Some(HTTP_BODY as u64)))?;
        Ok(Some((frame, (body, left))))
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_lookup_keeps_its_seat_when_nobody_waits_for_it_any_more() {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || held.recv());
            let seats = Arc::new(Semaphore::new(1));
            let seat = seats.clone().acquire_owned().await.unwrap();
            let looked = timeout(Duration::from_millis(20), look_up("localhost", 1, seat));
            assert!(looked.await.is_err());
            assert!(seats.try_acquire().is_err());
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            drop(seats.acquire().await.unwrap());
        });
    }
}
