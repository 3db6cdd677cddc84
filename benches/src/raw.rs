//! Raw bytes through a hijacked stream, the same on the daemon's side and the client's.

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::pattern::Pattern;

/// The daemon's last byte: it has sent and seen everything.
pub(crate) const DONE: u8 = b'.';
/// How much is read at once.
const READ: usize = 128 << 10;

/// Sends so many bytes.
pub(crate) async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: u64,
    pattern: &Pattern,
) -> Result<()> {
    let mut sent = 0;
    while sent < bytes {
        let slice = pattern.slice(sent, (bytes - sent).min(READ as u64));
        writer.write_all(slice).await?;
        sent += slice.len() as u64;
    }
    Ok(())
}

/// Reads so many bytes and looks at them.
pub(crate) async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    bytes: u64,
    pattern: &Pattern,
) -> Result<()> {
    let mut buffer = vec![0; READ];
    let mut received = 0;
    while received < bytes {
        let room = (bytes - received).min(READ as u64) as usize;
        let read = reader.read(&mut buffer[..room]).await?;
        ensure!(
            read > 0,
            "the stream ended after {received} of {bytes} bytes"
        );
        pattern.check(received, &buffer[..read])?;
        received += read as u64;
    }
    Ok(())
}
