//! HTTP/1.1 by hand, for the daemon's side and the client's: it costs little and hides nothing.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::socket::{Address, Stream};

/// How much is read at once.
const BUFFER: usize = 256 << 10;
/// What a connection begins with: ten thousand of them are idle.
const FIRST_BUFFER: usize = 4 << 10;

/// A connection, with what was read ahead.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

/// The head of a request or of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// `GET /_ping HTTP/1.1`, `HTTP/1.1 200 OK`
    pub(crate) line: String,
    /// The names of hosts that a list lacks.
    pub(crate) missing: Option<String>,
    /// Whether the connection ends with the answer.
    pub(crate) closes: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.split("\r\n");
        let mut head = Self {
            line: lines.next().unwrap_or_default().to_owned(),
            missing: None,
            closes: false,
            length: None,
            chunked: false,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let is = |expected: &str| name.eq_ignore_ascii_case(expected);
            if is("content-length") {
                head.length = Some(value.trim().parse().context("content-length")?);
            } else if is("transfer-encoding") {
                head.chunked = true;
            } else if is("connection") {
                head.closes = value.trim().eq_ignore_ascii_case("close");
            } else if is("flockerd-missing") {
                head.missing = Some(value.trim().to_owned());
            }
        }
        Ok(head)
    }

    /// # Errors
    /// When the answer has another status.
    pub(crate) fn expect(&self, status: u16) -> Result<()> {
        let right = self.line.split(' ').nth(1) == Some(&status.to_string());
        ensure!(right, "expected status {status}, got `{}`", self.line);
        Ok(())
    }
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            buffer: vec![0; FIRST_BUFFER],
            begin: 0,
            end: 0,
        }
    }

    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let stream = address.connect().await;
        Ok(Self::new(stream.with_context(|| format!("{address}"))?))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next head; none at the end of the connection.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>> {
        let mut seen = 0;
        loop {
            let waiting = &self.buffer[self.begin..self.end];
            if let Some(at) = find(&waiting[seen..], b"\r\n\r\n") {
                let length = seen + at;
                let head = Head::parse(std::str::from_utf8(&waiting[..length])?)?;
                self.begin += length + 4;
                return Ok(Some(head));
            }
            seen = waiting.len().saturating_sub(3);
            if self.fill().await? == 0 {
                ensure!(self.begin == self.end, "the connection ended within a head");
                return Ok(None);
            }
        }
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Head> {
        self.send(request).await?;
        self.head().await?.context("no answer")
    }

    /// Asks for a path and collects what comes.
    ///
    /// # Errors
    /// When the status is not 200, too.
    pub(crate) async fn get(&mut self, path: &str) -> Result<(Head, Vec<u8>)> {
        let head = self.ask(request("GET", path).as_bytes()).await?;
        head.expect(200)?;
        let mut body = Vec::new();
        self.body(&head, |part| {
            body.extend_from_slice(part);
            Ok(())
        })
        .await?;
        Ok((head, body))
    }

    /// Reads a body to its end, in parts; returns its length.
    pub(crate) async fn body(
        &mut self,
        head: &Head,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        if !head.chunked {
            let length = head.length.unwrap_or(0);
            self.exactly(length, &mut take).await?;
            return Ok(length);
        }
        let mut whole = 0;
        while let Some(size) = self.chunk().await? {
            self.exactly(size, &mut take).await?;
            self.line_end().await?;
            whole += size;
        }
        Ok(whole)
    }

    /// The size of the next chunk; none after the last one.
    pub(crate) async fn chunk(&mut self) -> Result<Option<u64>> {
        loop {
            let waiting = &self.buffer[self.begin..self.end];
            if let Some(at) = waiting.iter().position(|byte| *byte == b'\n') {
                let size = std::str::from_utf8(&waiting[..at])?.trim();
                let size = u64::from_str_radix(size, 16).context("the size of a chunk")?;
                self.begin += at + 1;
                if size > 0 {
                    return Ok(Some(size));
                }
                self.line_end().await?;
                return Ok(None);
            }
            ensure!(self.fill().await? > 0, "the connection ended within a body");
        }
    }

    /// Reads exactly so many bytes, in parts.
    pub(crate) async fn exactly(
        &mut self,
        mut length: u64,
        take: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while length > 0 {
            if self.begin == self.end && self.fill().await? == 0 {
                bail!("the connection ended {length} bytes too early");
            }
            let part = ((self.end - self.begin) as u64).min(length) as usize;
            take(&self.buffer[self.begin..self.begin + part])?;
            self.begin += part;
            length -= part as u64;
        }
        Ok(())
    }

    /// Reads the end of a chunk.
    pub(crate) async fn line_end(&mut self) -> Result<()> {
        while self.end - self.begin < 2 {
            ensure!(self.fill().await? > 0, "the connection ended within a body");
        }
        let end = &self.buffer[self.begin..self.begin + 2];
        ensure!(end == b"\r\n", "a chunk does not end where it should");
        self.begin += 2;
        Ok(())
    }

    /// Reads what there is; zero at the end of the connection.
    async fn fill(&mut self) -> Result<usize> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        } else if self.begin > 0 && self.end == self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(BUFFER.max(2 * self.buffer.len()), 0);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        // What fills it is more than a head: then it is worth a larger one.
        if self.end == self.buffer.len() && self.end < BUFFER {
            self.buffer.resize(BUFFER, 0);
        }
        Ok(read)
    }

    /// Takes the socket, when nothing was read ahead.
    pub(crate) fn into_stream(self) -> Result<Box<dyn Stream>> {
        ensure!(self.begin == self.end, "more came than was asked for");
        Ok(self.stream)
    }
}

/// A request without a body.
pub(crate) fn request(method: &str, path: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\n\r\n"
    )
}

/// Where a text begins in another.
pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn bodies_of_both_forms_follow_each_other() {
        let (near, mut far) = duplex(64);
        tokio::spawn(async move {
            let text = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n";
            far.write_all(text.as_bytes()).await
        });
        let mut connection = Connection::new(Box::new(near));
        let mut heard = Vec::new();
        for length in [3, 3] {
            let head = connection.head().await.expect("a head").expect("a head");
            head.expect(200).expect("its status");
            let taken = connection.body(&head, |part| {
                heard.extend_from_slice(part);
                Ok(())
            });
            assert_eq!(taken.await.expect("a body"), length);
        }
        assert_eq!(heard, b"abcdef");
        assert!(connection.head().await.expect("the end").is_none());
    }
}
