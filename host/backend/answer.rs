//! Where one is in the bytes of a daemon's answers: in a head, in a body of known length, or in which part of a chunk.
//!
//! It follows what passes, for HTTP proper is hyper's. What it does not understand it lets pass from there on.

use httparse::{EMPTY_HEADER, Header, Response, Status};

/// Longer heads are not followed.
const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;
/// The size line of a merged chunk, before its size is known.
const SIZE_LINE: &[u8] = b"0000000000000000\r\n";

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
            Self::Chunked(chunks) if chunks.place == Place::Over => *self = Self::default(),
            Self::Chunked(chunks) if chunks.place == Place::Broken => *self = Self::Unknown,
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

/// A body in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    place: Place,
    /// How many chunks have begun since it was asked.
    begun: usize,
    /// False for a body whose chunks have a meaning.
    pub(super) may_merge: bool,
}

/// The next byte's part in a body of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first digit of a size.
    Start,
    /// A further digit; the size as far as it is known.
    Size(u64),
    /// What follows a size in its line.
    Extension(u64),
    /// The end of a size line.
    SizeEnd(u64),
    /// So many bytes of data.
    Data(u64),
    DataCr,
    DataLf,
    /// The lines after the last chunk.
    Trailers {
        is_blank: bool,
    },
    Over,
    Broken,
}

impl Chunks {
    fn new(may_merge: bool) -> Self {
        Self {
            place: Place::Start,
            begun: 0,
            may_merge,
        }
    }

    /// How many chunks have begun since this was asked last.
    pub(super) fn counted(&mut self) -> usize {
        std::mem::take(&mut self.begun)
    }

    /// Takes notice of bytes that pass; returns how many of them are of this body.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !matches!(self.place, Place::Over | Place::Broken) {
            at += self.step(&bytes[at..]);
        }
        at
    }

    /// The same until a chunk begins.
    fn follow_to_start(&mut self, bytes: &[u8]) -> usize {
        let ends = [Place::Start, Place::Over, Place::Broken];
        let mut at = 0;
        while at < bytes.len() && !ends.contains(&self.place) {
            at += self.step(&bytes[at..]);
        }
        at
    }

    /// Passes one byte, or as much data as there is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if let Place::Data(rest) = self.place {
            let (passed, place) = take(rest, bytes.len());
            self.place = place;
            return passed;
        }
        self.place = self.place.after(bytes[0]);
        self.begun += usize::from(matches!(self.place, Place::Data(_)));
        1
    }

    /// Returns the same body with the chunks that begin in `bytes` made one. Whoever reads the result is where this is:
    /// the merged chunk ends where the last of its chunks does, be that in `bytes` or later.
    pub(super) fn merge(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut merged = Vec::with_capacity(bytes.len() + 2 * SIZE_LINE.len());
        let mut at = self.follow_to_start(bytes);
        merged.extend_from_slice(&bytes[..at]);
        let line = merged.len();
        merged.extend_from_slice(SIZE_LINE);
        let data = merged.len();
        let before = self.begun;
        while self.place == Place::Start
            && let Some((used, size)) = size_line(&bytes[at..])
        {
            let (taken, place) = take(size, bytes.len() - at - used);
            merged.extend_from_slice(&bytes[at + used..at + used + taken]);
            at += used + taken;
            (self.place, self.begun) = (place, self.begun + 1);
            if self.place == Place::DataCr && bytes[at..].starts_with(b"\r\n") {
                (self.place, at) = (Place::Start, at + 2);
            }
        }
        if self.begun == before {
            merged.truncate(line);
        } else {
            self.close(&mut merged, line, data);
        }
        merged.extend_from_slice(&bytes[at..]);
        let left = at + self.follow(&bytes[at..]);
        if left < bytes.len() {
            self.place = Place::Broken;
        }
        merged
    }

    /// Writes the size of a merged chunk, and its end if that has come.
    fn close(&self, merged: &mut Vec<u8>, line: usize, data: usize) {
        let rest = match self.place {
            Place::Data(rest) => rest,
            _ => 0,
        };
        let size = format!("{:016x}", (merged.len() - data) as u64 + rest);
        merged[line..line + size.len()].copy_from_slice(size.as_bytes());
        if self.place == Place::Start {
            merged.extend_from_slice(b"\r\n");
        }
    }
}

impl Place {
    /// Where one is after a byte that is not data.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start, _) => digit(byte).map_or(Self::Broken, Self::Size),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(size), b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(size), _) => longer(size, byte).map_or(Self::Broken, Self::Size),
            (Self::Extension(size), 0x20..) => Self::Extension(size),
            (Self::Extension(size), b'\t') => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') => Self::Trailers { is_blank: true },
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Start,
            (Self::Trailers { is_blank: true }, b'\n') => Self::Over,
            (Self::Trailers { .. }, b'\n') => Self::Trailers { is_blank: true },
            (Self::Trailers { is_blank }, b'\r') => Self::Trailers { is_blank },
            (Self::Trailers { .. }, _) => Self::Trailers { is_blank: false },
            _ => Self::Broken,
        }
    }
}

/// How much of `rest` bytes of data there is, and where one is after it.
fn take(rest: u64, there: usize) -> (usize, Place) {
    let taken = there.min(usize::try_from(rest).unwrap_or(usize::MAX));
    match rest - taken as u64 {
        0 => (taken, Place::DataCr),
        rest => (taken, Place::Data(rest)),
    }
}

/// The length of a whole and simple size line, and the size that it says, which is not zero.
fn size_line(bytes: &[u8]) -> Option<(usize, u64)> {
    let digits = bytes.iter().position(|byte| *byte == b'\r')?;
    let sizes = &bytes[..digits];
    let size = sizes.iter().try_fold(0, |size, byte| longer(size, *byte))?;
    let whole = bytes.get(digits + 1) == Some(&b'\n');
    (whole && size > 0).then_some((digits + 2, size))
}

/// A size with one more digit.
fn longer(size: u64, byte: u8) -> Option<u64> {
    size.checked_mul(16)?.checked_add(digit(byte)?)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
