//! Attached sessions, from the client's side.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use crate::{
    daemon::id,
    http::Connection,
    pattern::Pattern,
    raw::{DONE, receive, send},
    socket::{Address, Stream},
};

/// Where the bytes of a session go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Down,
    Up,
    Both,
    Echo,
    Idle,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Both => "both",
            Self::Echo => "echo",
            Self::Idle => "idle",
        }
    }
}

/// Attaches to the container of the first host, in the words of the docker CLI.
pub(crate) async fn attach(address: &Address, way: Way, bytes: u64) -> Result<Box<dyn Stream>> {
    let mut connection = Connection::open(address).await?;
    let (container, way) = (id(0, 0), way.name());
    let request = format!(
        "POST /v1.41/containers/{container}/attach?stderr=1&stdin=1&stdout=1&stream=1&way={way}&bytes={bytes} HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\nContent-Length: 0\r\nConnection: Upgrade\r\nContent-Type: text/plain\r\nUpgrade: tcp\r\n\r\n"
    );
    connection.ask(request.as_bytes()).await?.expect(101)?;
    connection.into_stream()
}

/// Lets the bytes flow, and reads the daemon's word that all have come.
pub(crate) async fn flow(
    stream: Box<dyn Stream>,
    way: Way,
    bytes: u64,
    pattern: &Pattern,
) -> Result<()> {
    let (mut reader, mut writer) = split(stream);
    writer.write_all(b"g").await?;
    match way {
        Way::Down => receive(&mut reader, bytes, pattern).await?,
        Way::Up => send(&mut writer, bytes, pattern).await?,
        _ => {
            tokio::try_join!(
                receive(&mut reader, bytes, pattern),
                send(&mut writer, bytes, pattern)
            )?;
        }
    }
    let last = reader.read_u8().await.context("the daemon's last byte")?;
    ensure!(last == DONE, "more came than was asked for");
    Ok(())
}
