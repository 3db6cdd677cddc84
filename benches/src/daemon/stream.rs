//! Long bodies: archives, logs, events.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

use super::host::{Host, id};
use crate::{http::Connection, pattern::Pattern};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/octet-stream\r\nOstype: linux\r\nServer: Docker/20.10.24 (linux)\r\nTransfer-Encoding: chunked\r\n\r\n";
const END: &[u8] = b"0\r\n\r\n";
/// An archive goes out in chunks of the buffer that daemons copy with.
const CHUNK: u64 = 32 << 10;
/// A line of a log, each a chunk of its own; a busy daemon's lines arrive many at a time.
const LINE: u64 = 128;
const LINES: usize = 256;
/// How often events are sent.
const TICK: Duration = Duration::from_millis(1);

/// Sends an archive.
pub(super) async fn export(
    connection: &mut Connection,
    bytes: u64,
    pattern: &Pattern,
) -> Result<()> {
    connection.send(HEAD).await?;
    chunks(connection, bytes, CHUNK, pattern).await?;
    connection.send(END).await
}

/// Sends a log.
pub(super) async fn logs(connection: &mut Connection, bytes: u64, pattern: &Pattern) -> Result<()> {
    connection.send(HEAD).await?;
    chunks(connection, bytes, LINE, pattern).await?;
    connection.send(END).await
}

/// Sends bytes in chunks of this size, many of them at once if they are small.
async fn chunks(
    connection: &mut Connection,
    bytes: u64,
    size: u64,
    pattern: &Pattern,
) -> Result<()> {
    let at_once = (LINES as u64 * LINE / size).max(1) * size;
    let mut buffer = Vec::new();
    let mut sent = 0;
    while sent < bytes {
        buffer.clear();
        let until = (sent + at_once).min(bytes);
        while sent < until {
            let chunk = pattern.slice(sent, size.min(bytes - sent));
            buffer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            buffer.extend_from_slice(chunk);
            buffer.extend_from_slice(b"\r\n");
            sent += chunk.len() as u64;
        }
        connection.send(&buffer).await?;
    }
    Ok(())
}

/// Passes a host's events on until the client goes.
pub(super) async fn events(connection: &mut Connection, host: &Host) -> Result<()> {
    let mut events = host.events.subscribe();
    connection.send(HEAD).await?;
    loop {
        match events.recv().await {
            Ok(event) => {
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                connection.send(chunk.as_bytes()).await?;
            }
            Err(RecvError::Closed) => return Ok(()),
            Err(RecvError::Lagged(lost)) => ensure!(lost == 0, "{lost} events are lost"),
        }
    }
}

/// Lets so many events happen, so many a second, at one host after the other.
pub(super) async fn emit(flock: Arc<Vec<Arc<Host>>>, count: u64, rate: u64) {
    let begun = Instant::now();
    let mut sent = 0;
    while sent < count {
        sleep_until(Instant::now() + TICK).await;
        let due = (begun.elapsed().as_micros() as u64 * rate / 1_000_000).min(count);
        while sent < due {
            let host = &flock[sent as usize % flock.len()];
            // Nobody may listen.
            let _ = host.events.send(event(host.number, sent));
            sent += 1;
        }
    }
}

fn event(host: usize, number: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (id, seconds, nanoseconds) = (id(host, 0), now.as_secs(), now.as_nanos());
    format!(
        r#"{{"status":"exec_start: true","id":"{id}","from":"busybox","Type":"container","Action":"exec_start: true","Actor":{{"ID":"{id}","Attributes":{{"execID":"{number:064x}","image":"busybox","name":"service-{host}-0"}}}},"scope":"local","time":{seconds},"timeNano":{nanoseconds}}}"#
    ) + "\n"
}
