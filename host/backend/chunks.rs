//! A body in chunks: which part of a chunk comes next, and many chunks made one.

/// The size line of a merged chunk, before its size is known.
const SIZE_LINE: &[u8] = b"0000000000000000\r\n";

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
    pub(super) fn new(may_merge: bool) -> Self {
        Self {
            place: Place::Start,
            begun: 0,
            may_merge,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    /// How many chunks have begun since this was asked last.
    pub(super) fn counted(&mut self) -> usize {
        std::mem::take(&mut self.begun)
    }

    /// Takes notice of bytes that pass; returns how many of them are of this body.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TRAILERS: &[u8] = b"X-End: yes\r\n\r\n";

    /// Numbers without an order.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % bound
        }
    }

    /// A body of chunks of all sizes, as the daemon sends it and as it is meant.
    fn body(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
        let (mut sent, mut meant) = (Vec::new(), Vec::new());
        for _ in 0..dice.below(60) {
            let bound = [2, 20, 300, 9_000][dice.below(4)];
            let data: Vec<u8> = (0..1 + dice.below(bound))
                .map(|_| b"\r\n0;a"[dice.below(5)])
                .collect();
            let line = match dice.below(4) {
                0 => format!("{:X};name=\"value\"\r\n", data.len()),
                1 => format!("000{:x} \r\n", data.len()),
                _ => format!("{:x}\r\n", data.len()),
            };
            sent.extend([line.as_bytes(), &data, b"\r\n"].concat());
            meant.extend(data);
        }
        sent.extend([b"0\r\n", TRAILERS].concat());
        (sent, meant)
    }

    /// Reads a body of chunks as strictly as can be; returns what it means and what follows its last chunk.
    fn read(mut body: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut meant = Vec::new();
        loop {
            let end = body.windows(2).position(|pair| pair == b"\r\n").unwrap();
            let line = std::str::from_utf8(&body[..end]).unwrap();
            let digits = line.split([';', ' ']).next().unwrap();
            let size = usize::from_str_radix(digits, 16).unwrap();
            body = &body[end + 2..];
            if size == 0 {
                return (meant, body);
            }
            meant.extend_from_slice(&body[..size]);
            assert_eq!(&body[size..size + 2], b"\r\n");
            body = &body[size + 2..];
        }
    }

    /// Passes or merges bytes in pieces of any size.
    fn relay(chunks: &mut Chunks, mut bytes: &[u8], largest: usize, dice: &mut Dice) -> Vec<u8> {
        let mut relayed = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((1 + dice.below(largest)).min(bytes.len()));
            if dice.below(3) > 0 {
                relayed.extend(chunks.merge(piece));
            } else {
                assert_eq!(chunks.follow(piece), piece.len());
                relayed.extend_from_slice(piece);
            }
            bytes = rest;
        }
        relayed
    }

    #[test]
    fn a_merged_body_means_the_same_wherever_it_is_cut() {
        let mut dice = Dice(7);
        for round in 0..4_000 {
            let mut chunks = Chunks::new(true);
            let (sent, meant) = body(&mut dice);
            let largest = [1, 7, 200, 70_000][round % 4];
            let relayed = relay(&mut chunks, &sent, largest, &mut dice);
            assert_eq!(read(&relayed), (meant, TRAILERS));
            assert!(chunks.is_over());
        }
    }

    #[test]
    fn noise_is_passed_on_and_never_followed_further() {
        let mut dice = Dice(11);
        for _ in 0..20_000 {
            let mut chunks = Chunks::new(true);
            let noise: Vec<u8> = (0..dice.below(40))
                .map(|_| b"0a3\r\n;x "[dice.below(8)])
                .collect();
            let mut followed = Chunks::new(true);
            let passed = followed.follow(&noise);
            let merged = chunks.merge(&noise);
            assert_eq!(
                chunks.place == Place::Broken,
                followed.place == Place::Broken || passed < noise.len()
            );
            assert_eq!(follow(&merged), followed.place);
        }
    }

    /// Where one is after these bytes.
    fn follow(bytes: &[u8]) -> Place {
        let mut chunks = Chunks::new(true);
        chunks.follow(bytes);
        chunks.place
    }

    #[test]
    fn many_chunks_become_one() {
        let sent = b"3\r\none\r\n3\r\ntwo\r\n5\r\nth";
        let mut chunks = Chunks::new(true);
        assert_eq!(chunks.merge(sent), b"000000000000000b\r\nonetwoth");
        assert_eq!(chunks.merge(b"ree\r\n0\r\n\r\n"), b"ree\r\n0\r\n\r\n");
        assert_eq!(chunks.place, Place::Over);
    }
}
