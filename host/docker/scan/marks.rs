//! The quotes and brackets of a block of JSON as bits of words, found many bytes at a time.

use wide::u8x16;

/// Bytes that are looked at together: a bit of a word for each.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block that matter.
pub(super) struct Marks {
    /// Both ends of strings.
    pub(super) quotes: u64,
    /// Brackets outside strings.
    pub(super) brackets: u64,
}

/// What a block leaves to the next.
#[derive(Default)]
pub(super) struct Strings {
    /// All bits are set inside a string, none outside.
    pub(super) inside: u64,
    /// The lowest bit is set when the next byte is escaped.
    escaped: u64,
}

impl Marks {
    #[inline(always)]
    pub(super) fn of(block: &[u8; BLOCK], strings: &mut Strings) -> Self {
        let (mut quotes, mut brackets) = (0, 0);
        let mut backslash = u8x16::ZERO;
        for (nth, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*bytes);
            let is = |bytes: u8x16, byte| bytes.simd_eq(u8x16::splat(byte));
            let bits = |found: u8x16| u64::from(found.to_bitmask() as u16) << (16 * nth);
            quotes |= bits(is(bytes, b'"'));
            backslash |= is(bytes, b'\\');
            // One bit tells square brackets from braces.
            let braced = bytes | u8x16::splat(b'{' ^ b'[');
            brackets |= bits(is(braced, b'{') | is(braced, b'}'));
        }
        if backslash.to_bitmask() != 0 || strings.escaped != 0 {
            quotes &= !strings.escaped(backslashes(block));
        }
        let inside = prefix_xor(quotes) ^ strings.inside;
        strings.inside = ((inside as i64) >> 63) as u64;
        Self {
            quotes,
            brackets: brackets & !inside,
        }
    }
}

/// Where the backslashes are; few blocks have any.
#[cold]
fn backslashes(block: &[u8; BLOCK]) -> u64 {
    let bits = block.iter().enumerate();
    bits.fold(0, |bits, (nth, byte)| {
        bits | u64::from(*byte == b'\\') << nth
    })
}

impl Strings {
    /// The bytes that a backslash takes the meaning from.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let mut escaped = self.escaped;
        let mut left = backslashes & !escaped;
        self.escaped = 0;
        while left != 0 {
            let next = (left & left.wrapping_neg()) << 1;
            self.escaped = u64::from(next == 0);
            escaped |= next;
            // That one, and the one it escapes.
            left &= (left - 1) & !next;
        }
        escaped
    }
}

/// Each bit is the parity of those up to it: set from an odd bit on until the next.
#[inline]
fn prefix_xor(bits: u64) -> u64 {
    (0..6).fold(bits, |parity, power| parity ^ parity << (1 << power))
}
