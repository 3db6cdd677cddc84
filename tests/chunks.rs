//! Answers in many small chunks: nothing is lost, nothing waits, and whoever breaks off is noticed.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    eventually,
    harness::{Answer, Connection, FakeDocker, Flockerd, container},
};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n";
const LINES: usize = 100_000;
/// What two sockets' buffers can hold in the kernel, and some.
const BUFFERED: usize = 64 << 20;

/// flockerd before one daemon that answers the request for a log so.
fn logging(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> (Flockerd, FakeDocker) {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let talk = Answer::talk(move |_, stream| answer(stream));
    fake.on(
        &format!("GET /containers/{}/logs", "a".repeat(64)),
        talk.clone(),
    );
    fake.on("GET /containers/web/logs", talk);
    (Flockerd::over_fakes(&[&fake]).start(), fake)
}

fn ask(flockerd: &Flockerd) -> Connection {
    let mut connection = flockerd.api().connect();
    connection.send(b"GET /containers/web/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n");
    connection.head().expect(200);
    connection
}

fn line(number: usize) -> String {
    format!("line {number}{}\n", "x".repeat(number * 31 % 200))
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Many lines at once, each a chunk.
fn chunks() -> String {
    (0..LINES).map(|number| chunk(&line(number))).collect()
}

#[test]
fn a_flood_of_small_chunks_arrives_whole_in_few() {
    let (flockerd, _fake) = logging(|mut stream| {
        let answer = format!("{HEAD}{}0\r\nX-End: yes\r\n\r\n", chunks());
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let mut connection = ask(&flockerd);
    let chunks: Vec<_> = std::iter::from_fn(|| connection.chunk()).collect();
    let expected: String = (0..LINES).map(line).collect();
    assert!(chunks.concat() == expected.as_bytes());
    assert!(chunks.len() < LINES / 10, "{} chunks", chunks.len());
}

#[test]
fn a_chunk_that_nothing_follows_does_not_wait() {
    let (flockerd, fake) = logging(|mut stream| {
        let answer = format!("{HEAD}{}{}", chunks(), chunk("and then\n"));
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the client has gone.
        let _ = std::io::Read::read(&mut stream, &mut [0]);
    });
    let mut connection = ask(&flockerd);
    let mut heard = Vec::new();
    while !heard.ends_with(b"and then\n") {
        heard.extend(connection.chunk().unwrap());
    }
    drop((connection, fake));
}

#[test]
fn json_keeps_its_chunks() {
    let (flockerd, _fake) = logging(|mut stream| {
        let head = HEAD.replace("vnd.docker.raw-stream", "json");
        let answer = format!("{head}{}0\r\n\r\n", chunks());
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let mut connection = ask(&flockerd);
    let chunks = std::iter::from_fn(|| connection.chunk()).count();
    assert!(chunks >= LINES, "{chunks} chunks");
}

#[test]
fn a_daemon_that_breaks_off_in_a_flood_is_noticed() {
    let (flockerd, _fake) = logging(|mut stream| {
        stream
            .write_all(format!("{HEAD}{}", chunks()).as_bytes())
            .unwrap();
    });
    let heard = ask(&flockerd).until_closed();
    assert!(heard.len() > LINES);
    assert!(!heard.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_client_that_hangs_up_in_a_flood_ends_it() {
    let ended = Arc::new(AtomicUsize::new(0));
    let (flockerd, _fake) = logging({
        let ended = ended.clone();
        move |mut stream| {
            let mut answer = HEAD.to_owned();
            while stream.write_all(answer.as_bytes()).is_ok() {
                answer = chunks();
            }
            ended.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut connection = ask(&flockerd);
    connection.exactly(1 << 20);
    drop(connection);
    eventually!(ended.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_client_that_does_not_read_stops_the_daemon() {
    let written = Arc::new(AtomicUsize::new(0));
    let (flockerd, _fake) = logging({
        let written = written.clone();
        move |mut stream| {
            stream
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            let mut answer = HEAD.to_owned();
            let mut total = 0;
            while total < 2 * BUFFERED && stream.write_all(answer.as_bytes()).is_ok() {
                total += answer.len();
                answer = chunks();
            }
            written.store(total, Ordering::SeqCst);
        }
    });
    let connection = ask(&flockerd);
    eventually!(written.load(Ordering::SeqCst) > 0);
    assert!(written.load(Ordering::SeqCst) < BUFFERED);
    drop(connection);
}

#[test]
fn a_client_that_was_silent_is_heard_again() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut connection = flockerd.api().connect();
    let request = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n";
    connection.send(request);
    connection.reply().expect(200);
    // Longer than it takes to be silent.
    std::thread::park_timeout(Duration::from_millis(100));
    for half in request.chunks(12) {
        connection.send(half);
        std::thread::park_timeout(Duration::from_millis(50));
    }
    connection.reply().expect(200);
}

#[test]
fn a_client_whose_body_nobody_read_is_not_taken_for_silent() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut connection = flockerd.api().connect();
    connection.send(b"POST /nothing HTTP/1.1\r\nHost: d\r\nContent-Length: 90\r\n\r\n");
    connection.reply().expect(404);
    assert_eq!(connection.until_closed(), b"");
}
