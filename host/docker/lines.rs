//! A streamed body of JSON objects, one a line, as daemons send events and progress.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use memchr::memchr;

use super::{Body, BodyError};

/// The longest line taken; a daemon that sends a longer one is not sending lines.
const LINE_MAX: usize = 4 << 20;

/// The lines of a body, without their line ends; empty ones are left out.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
}

impl Lines {
    pub fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
        }
    }

    /// The next line, none at the end.
    ///
    /// # Errors
    /// When the body breaks off or a line is longer than 4 MiB.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_MAX {
                return Err("a line is longer than 4 MiB".into());
            }
            match self.body.frame().await {
                Some(frame) => self.buffer.extend(frame?.into_data()),
                None => return Ok(self.take_rest()),
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        loop {
            let end = memchr(b'\n', &self.buffer)?;
            let mut line = self.buffer.split_to(end + 1);
            line.truncate(line.trim_ascii_end().len());
            if !line.is_empty() {
                return Some(line.freeze());
            }
        }
    }

    fn take_rest(&mut self) -> Option<Bytes> {
        let rest = self.buffer.split().freeze();
        (!rest.trim_ascii().is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_line_ends_only() {
        let chunks = ["{\"a\":", "1}\r\n\n{\"b\":2}\n{", "}"];
        let frames =
            chunks.map(|chunk| Ok::<_, BodyError>(hyper::body::Frame::data(Bytes::from(chunk))));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let mut lines = Lines::new(BodyExt::boxed_unsync(body));
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push(line);
        }
        assert_eq!(seen, ["{\"a\":1}", "{\"b\":2}", "{}"]);
    }
}
