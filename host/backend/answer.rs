//! Where one is in the bytes of a daemon's answers: in a head, in a body of known length, or in one of chunks.
//!
//! It follows what passes, for HTTP proper is hyper's. What it does not understand it lets pass from there on.

use httparse::{EMPTY_HEADER, Header, Response, Status};

use super::chunks::Chunks;

/// Longer heads are not followed.
const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;

/// What comes next.
#[derive(Debug)]
pub(super) enum Answer {
    /// A head, of which these bytes have come.
    Head(Vec<u8>),
    /// So many bytes of a body.
    Length(u64),
    Chunked(Chunks),
    /// Whatever there is until the connection ends.
    Unknown,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Answer {
    /// Takes notice of bytes that pass.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = match self {
                Self::Head(seen) => {
                    let before = seen.len();
                    let Some((length, next)) = extended(seen, bytes) else {
                        return;
                    };
                    *self = next;
                    length - before
                }
                Self::Length(rest) => {
                    let passed = bytes
                        .len()
                        .min(usize::try_from(*rest).unwrap_or(usize::MAX));
                    *rest -= passed as u64;
                    passed
                }
                Self::Chunked(chunks) => chunks.follow(bytes),
                Self::Unknown => return,
            };
            bytes = &bytes[passed..];
            self.end();
        }
    }

    /// Waits for the next head if the body is over.
    pub(super) fn end(&mut self) {
        match self {
            Self::Length(0) => *self = Self::default(),
            Self::Chunked(chunks) if chunks.is_over() => *self = Self::default(),
            Self::Chunked(chunks) if chunks.is_broken() => *self = Self::Unknown,
            _ => {}
        }
    }
}

/// The length of a head of which `seen` came before, and what follows it; none when it has not come whole.
fn extended(seen: &mut Vec<u8>, bytes: &[u8]) -> Option<(usize, Answer)> {
    if seen.is_empty()
        && let Some(whole) = head(bytes)
    {
        return Some(whole);
    }
    seen.extend_from_slice(bytes);
    head(seen)
}

/// The length of a head and what follows it; none when it has not come whole.
fn head(bytes: &[u8]) -> Option<(usize, Answer)> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(Status::Complete(length)) => Some((length, body(&response))),
        Ok(Status::Partial) if bytes.len() < HEAD_MAX => None,
        _ => Some((bytes.len(), Answer::Unknown)),
    }
}

/// What follows a head, unless it answers a HEAD.
fn body(response: &Response<'_, '_>) -> Answer {
    let only = |name: &str| {
        let mut found = response.headers.iter().filter(|header| is(header, name));
        let value = found.next().map(|header| header.value.trim_ascii());
        (value, found.next().is_some())
    };
    let bodiless = matches!(response.code, Some(100 | 102..=199 | 204 | 304));
    let coding = only("transfer-encoding");
    match (coding, only("content-length")) {
        _ if bodiless => Answer::default(),
        _ if response.code == Some(101) || response.version != Some(1) => Answer::Unknown,
        ((Some(coding), false), (None, _)) if coding.eq_ignore_ascii_case(b"chunked") => {
            let json = only("content-type").0.is_some_and(is_json);
            Answer::Chunked(Chunks::new(!json))
        }
        ((None, _), (Some(length), false)) => {
            number(length).map_or(Answer::Unknown, Answer::Length)
        }
        _ => Answer::Unknown,
    }
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn is_json(kind: &[u8]) -> bool {
    let json = b"application/json";
    kind.len() >= json.len() && kind[..json.len()].eq_ignore_ascii_case(json)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_follows() {
        let follows = |head: &str| {
            let mut answer = Answer::default();
            answer.follow(format!("{head}\r\n\r\n").as_bytes());
            format!("{answer:?}")
        };
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7", "Length(7)"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0", "Head([])"),
            ("HTTP/1.1 204 No Content", "Head([])"),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9", "Head([])"),
            ("HTTP/1.1 100 Continue", "Head([])"),
            ("HTTP/1.1 101 UPGRADED", "Unknown"),
            ("HTTP/1.1 200 OK", "Unknown"),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "Unknown"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
                "Unknown",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
                "Unknown",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3",
                "Unknown",
            ),
            ("not HTTP", "Unknown"),
        ];
        for (head, expected) in cases {
            assert_eq!(follows(head), expected, "{head}");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Type: ";
        assert!(follows(&format!("{chunked}application/json")).contains("may_merge: false"));
        assert!(follows(&format!("{chunked}text/plain")).contains("may_merge: true"));
    }
}
