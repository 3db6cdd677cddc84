//! The ids of containers, in half the space of their text.

use std::iter;

/// How every engine writes an id, or whatever else somebody calls so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// 64 lower-case hex digits.
    Digits([u8; 32]),
    Text(Box<str>),
}

impl Id {
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Digits(bytes) => *text.as_bytes() == digits(bytes),
            Self::Text(own) => **own == *text,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Digits(bytes) => String::from_utf8(digits(bytes).into()).unwrap_or_default(),
            Self::Text(text) => text.to_string(),
        }
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        parse(text).map_or_else(|| Self::Text(text.into()), Self::Digits)
    }
}

/// The first eight digits of an id, in their order: what is missing counts as `fill`, what is no digit as zero.
pub(super) fn short(text: &str, fill: u8) -> u32 {
    let digits = text.bytes().map(|byte| value(byte).unwrap_or(0));
    let digits = digits.chain(iter::repeat(fill)).take(8);
    digits.fold(0, |short, digit| short << 4 | u32::from(digit))
}

/// Written without a branch: this is most of what a lookup computes.
fn digits(bytes: &[u8; 32]) -> [u8; 64] {
    let digit = |half: u8| half + b'0' + u8::from(half > 9) * (b'a' - b'9' - 1);
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    text
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_they_were_read() {
        let long = "0123456789abcdef".repeat(4);
        for (text, is_short) in [
            (long.as_str(), true),
            (&long.to_uppercase(), false),
            (&long[1..], false),
            (&"x".repeat(64), false),
            ("", false),
        ] {
            let id = Id::from(text);
            assert_eq!(matches!(id, Id::Digits(_)), is_short, "{text}");
            assert_eq!(id.text(), text);
            assert!(id.is(text));
            assert!(!id.is("f"));
        }
    }

    #[test]
    fn a_prefix_encloses_the_short_ids_that_begin_with_it() {
        let ids = ["abc12345678", "abc", "abcx", "abc-1", "abf"];
        let within = |prefix| {
            let range = short(prefix, 0)..=short(prefix, 15);
            ids.map(|id| range.contains(&short(id, 0)))
        };
        assert_eq!(within("abc"), [true, true, true, true, false]);
        assert_eq!(within("abc1"), [true, false, false, false, false]);
        assert_eq!(within("abc12345678"), [true, false, false, false, false]);
        assert_eq!(within("ab"), [true; 5]);
    }
}
