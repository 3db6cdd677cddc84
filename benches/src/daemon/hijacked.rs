//! Attached streams: raw bytes down, up, both ways, echoed, or none.

use std::{
    fs::File,
    io::{Read, Write},
    thread,
};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use super::answer::{Asked, Party};
use crate::{
    cpu::come_first,
    http::Connection,
    raw::{DONE, receive, send},
};

const HEAD: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// Leaves HTTP and does what the query says. Nothing begins before the client's first byte, and after all bytes one more
/// tells that the daemon has seen them.
pub(super) async fn run(
    mut connection: Connection,
    asked: &Asked<'_>,
    party: &Party,
) -> Result<()> {
    connection.send(HEAD).await?;
    let mut stream = connection.into_stream()?;
    let bytes = asked.number("bytes");
    match asked.parameter("way") {
        Some("echo") => {
            let stream = stream.into_blocking()?;
            thread::spawn(|| echo(stream));
            return Ok(());
        }
        Some("idle") => {
            // Its end, or its loss.
            let _ = stream.read(&mut [0]).await;
            return Ok(());
        }
        _ => stream.read_exact(&mut [0]).await?,
    };
    let (mut reader, mut writer) = split(stream);
    match asked.parameter("way") {
        Some("down") => send(&mut writer, bytes, &party.pattern).await?,
        Some("up") => receive(&mut reader, bytes, &party.pattern).await?,
        _ => {
            tokio::try_join!(
                send(&mut writer, bytes, &party.pattern),
                receive(&mut reader, bytes, &party.pattern)
            )?;
        }
    }
    writer.write_all(&[DONE]).await?;
    // The client ends the session.
    let _ = reader.read(&mut [0]).await;
    Ok(())
}

/// Sends every byte back at once, whatever else this CPU has to do.
fn echo(mut stream: File) -> Result<()> {
    // The load has said so where it may not.
    let _ = come_first();
    let mut byte = [0; 1];
    while stream.read(&mut byte)? == 1 {
        stream.write_all(&byte)?;
    }
    Ok(())
}
