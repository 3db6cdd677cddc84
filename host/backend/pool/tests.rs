//! Which connections are kept, and for how long.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::stream;
use http::StatusCode;
use http_body_util::StreamBody;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A pool before a daemon that answers every request as soon as its head has come.
async fn pool(answer: &'static str) -> Pool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = Vec::new();
                while client.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
                    if heard.windows(4).any(|end| end == b"\r\n\r\n") {
                        heard.clear();
                        client.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    Pool::new(address, Duration::from_secs(5))
}

/// How many connections lie idle after a request was answered.
async fn idle_after(pool: &Pool, body: Body) -> usize {
    let mut request = Request::new(body);
    *request.method_mut() = Method::PUT;
    let response = pool.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let said = docker::collect(response.into_body(), 1 << 10).await;
    assert_eq!(said.unwrap(), "no");
    pool.idle.lock().len()
}

/// Tells when it is dropped.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_kept_with_its_connection() {
    let pool = pool("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;
    let gone = Arc::new(AtomicBool::new(false));
    let told = Told(gone.clone());
    let endless = stream::unfold(told, |told| async move {
        std::future::pending::<()>().await;
        Some((
            Ok::<Frame<Bytes>, Infallible>(Frame::data(Bytes::new())),
            told,
        ))
    });
    let body = StreamBody::new(endless).map_err(|never| match never {});
    assert_eq!(idle_after(&pool, body.boxed_unsync()).await, 0);
    assert!(gone.load(Ordering::Acquire));
    assert_eq!(idle_after(&pool, docker::full("all of it")).await, 1);
    assert_eq!(idle_after(&pool, docker::empty()).await, 1);
}

#[tokio::test]
async fn a_connection_that_the_daemon_closes_is_not_kept() {
    for answer in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nno",
        "HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    ] {
        assert_eq!(idle_after(&pool(answer).await, docker::empty()).await, 0);
    }
}

#[tokio::test]
async fn what_nobody_needs_grows_old_beside_what_is_used() {
    let pool = pool("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;
    assert_eq!(idle_after(&pool, docker::empty()).await, 1);
    let old = pool.idle.lock().pop().unwrap();
    let since = Instant::now().checked_sub(IDLE_TIME * 2).unwrap();
    pool.idle.lock().push((old.0, since));
    let second = Wire::new(pool.dial().await.unwrap()).await.unwrap();
    pool.idle.put(Box::new(second));
    let idle = pool.idle.lock();
    assert!(idle.len() == 1 && idle[0].1 > since);
}
