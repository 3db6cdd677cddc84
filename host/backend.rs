//! One Docker daemon of the flock: its name and address, how it fares, and the way to send it a request.

mod answer;
mod chunks;
mod connect;
mod merged;
mod pool;
mod status;

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, uri::PathAndQuery};
use tokio::sync::{Mutex, Notify, watch};

use crate::{
    address::Address,
    docker::{Body, version::ApiVersion},
    error::Error,
    socket::Socket,
};

use pool::Pool;
pub use status::{Engine, Health, Status};

/// How long a daemon that was late counts as slow.
const SLOW: Duration = Duration::from_secs(10);

/// One Docker daemon. A backend whose address or labels change is a new `Backend` of the same name.
pub struct Backend {
    /// Unique in the flock. Never what the daemon calls itself: cloned machines share ids and names.
    pub name: Arc<str>,
    pub address: Address,
    pub labels: Vec<(String, String)>,
    /// When it was late with an answer last.
    late: std::sync::Mutex<Option<Instant>>,
    /// Held while its lists are read, so that an old list never follows a new one.
    pub listing: Mutex<()>,
    pool: Pool,
    /// Counts the changes of its engine, with those of others.
    engines: Arc<AtomicU64>,
    status: watch::Sender<Arc<Status>>,
    /// Ends the calls that wait for a head when it goes down.
    gone: Notify,
}

/// How much of an answer is read at once at most, in bytes; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct ReadSize(pub usize);

/// What became of a request that asked to leave HTTP.
pub enum Hijacked {
    /// The daemon answered 101; the socket carries raw bytes from here, `early` having come with the head.
    Left {
        head: http::response::Parts,
        socket: Socket,
        early: Bytes,
    },
    /// The daemon gave an ordinary answer.
    Stayed(Response<Body>),
}

impl Backend {
    pub fn new(
        name: &str,
        address: Address,
        labels: Vec<(String, String)>,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            name: name.into(),
            pool: Pool::new(address.clone(), connect_timeout),
            address,
            labels,
            late: std::sync::Mutex::default(),
            listing: Mutex::default(),
            engines: Arc::default(),
            status: watch::Sender::new(Arc::default()),
            gone: Notify::new(),
        }
    }

    /// Has the changes of the engine counted there.
    pub fn counting(self, engines: Arc<AtomicU64>) -> Self {
        Self { engines, ..self }
    }

    /// How the backend fares now.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Notes that the daemon did not answer in time.
    pub fn mark_late(&self) {
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// True for a daemon that was late within the last seconds: what others can answer need not wait for it.
    pub fn is_slow(&self) -> bool {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.is_some_and(|since| since.elapsed() < SLOW)
    }

    /// Notes that the daemon answers.
    pub fn mark_up(&self, engine: Engine) {
        let is_same = self.status().engine.as_deref() == Some(&engine);
        self.status.send_replace(Arc::new(Status {
            health: Health::Up,
            reason: String::new(),
            engine: Some(Arc::new(engine)),
        }));
        if !is_same {
            self.engines.fetch_add(1, Ordering::Release);
        }
    }

    /// Notes that the daemon does not answer; every call that waits for its head ends now.
    pub fn mark_down(&self, reason: &str) {
        self.pool.clear();
        let engine = self.status().engine.clone();
        self.status.send_replace(Arc::new(Status {
            health: Health::Down,
            reason: reason.to_owned(),
            engine,
        }));
        self.gone.notify_waiters();
    }

    /// Waits until the backend has been found up or down.
    pub async fn settled(&self) {
        self.reached(|health| health != Health::Unknown).await;
    }

    /// Waits until the backend is down and returns why.
    pub async fn down(&self) -> String {
        self.reached(|health| health == Health::Down).await;
        self.status().reason.clone()
    }

    async fn reached(&self, wanted: impl Fn(Health) -> bool) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self
            .status
            .subscribe()
            .wait_for(|status| wanted(status.health))
            .await;
    }

    /// Sends a request and returns the answer as soon as its head is there; the body is streamed.
    ///
    /// Dropping the answer before its end closes the connection, which is how a client's going away reaches the daemon.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend is down, goes down, or hangs up before the head.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        self.fit(&mut request);
        self.unless_down(self.pool.send(request)).await
    }

    /// The same without looking at the health, to find out about it.
    pub async fn probe(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        self.pool
            .send(request)
            .await
            .map_err(|reason| self.error(reason))
    }

    /// Sends a request that asks to leave HTTP, on a connection of its own.
    ///
    /// # Errors
    /// As [`Backend::send`].
    pub async fn hijack(&self, mut request: Request<Body>) -> Result<Hijacked, Error> {
        self.fit(&mut request);
        self.unless_down(async {
            let response = self.pool.send_alone(request).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Hijacked::Stayed(response.map(pool::plain)));
            }
            let (head, body) = response.into_parts();
            let upgraded = hyper::upgrade::on(Response::from_parts(head.clone(), body)).await?;
            let (socket, early) = pool::leave_http(upgraded)?;
            Ok(Hijacked::Left {
                head,
                socket,
                early,
            })
        })
        .await
    }

    /// Lowers a request's version to the newest that the daemon speaks: it may have joined after the client asked the
    /// flock what it speaks.
    fn fit(&self, request: &mut Request<Body>) {
        let status = self.status();
        let Some(newest) = status.engine.as_ref().map(|engine| engine.versions.max) else {
            return;
        };
        let path = request.uri().path_and_query().map(PathAndQuery::as_str);
        let split = path.and_then(|path| path.strip_prefix("/v")?.split_once('/'));
        let Some((version, rest)) = split else { return };
        if version
            .parse()
            .is_ok_and(|asked: ApiVersion| asked > newest)
            && let Ok(uri) = format!("/v{newest}/{rest}").parse()
        {
            *request.uri_mut() = uri;
        }
    }

    /// Runs a request until the backend goes down.
    async fn unless_down<T>(
        &self,
        request: impl Future<Output = Result<T, pool::SendError>>,
    ) -> Result<T, Error> {
        // Hears of what happens from here on, so nothing passes unheard after the look at the status.
        let gone = self.gone.notified();
        let status = self.status();
        if status.health == Health::Down {
            return Err(self.error(&status.reason));
        }
        tokio::select! {
            biased;
            answer = request => answer.map_err(|reason| match reason.is_from_the_client() {
                true => Error::Client("it went away before its body ended".into()),
                false => self.error(reason),
            }),
            () = gone => Err(match self.status() {
                status if status.health == Health::Down => self.error(&status.reason),
                // And came up again at once.
                _ => self.error("it went down"),
            }),
        }
    }

    fn error(&self, reason: impl ToString) -> Error {
        Error::backend(&self.name, reason)
    }
}
