//! The bytes that are sent: known at every offset, so that the far end can tell what is missing or in the wrong place.

use anyhow::{Result, ensure};

/// How long a byte stays the same.
const RUN: usize = 4096;
/// How many different bytes follow each other. A prime, so that no power of two hides a displacement.
const BYTES: usize = 251;

/// An endless text, by offset.
pub(crate) struct Pattern {
    /// One period, and the longest slice more.
    period: Vec<u8>,
}

impl Pattern {
    const PERIOD: usize = RUN * BYTES;
    /// The longest slice that is given out at once.
    pub(crate) const SLICE: usize = 256 << 10;

    pub(crate) fn new() -> Self {
        let period = (0..Self::PERIOD + Self::SLICE).map(byte).collect();
        Self { period }
    }

    /// The bytes from an offset on, at most so many.
    pub(crate) fn slice(&self, offset: u64, length: u64) -> &[u8] {
        let begin = (offset % Self::PERIOD as u64) as usize;
        let length = length.min(Self::SLICE as u64) as usize;
        &self.period[begin..begin + length]
    }

    /// Compares the first and the last byte of what came at an offset: reading is to be measured, not comparing.
    ///
    /// # Errors
    /// When they are not what stands there.
    pub(crate) fn check(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Ok(());
        };
        let end = offset + bytes.len() as u64 - 1;
        let right = |offset: u64| byte((offset % Self::PERIOD as u64) as usize);
        ensure!(
            (*first, *last) == (right(offset), right(end)),
            "wrong bytes between {offset} and {end}"
        );
        Ok(())
    }
}

fn byte(offset: usize) -> u8 {
    (offset / RUN % BYTES) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_displacement_is_seen() {
        let pattern = Pattern::new();
        for offset in [0, 1, RUN as u64, Pattern::PERIOD as u64 - 1, 1 << 40] {
            let slice = pattern.slice(offset, 1 << 20);
            assert_eq!(slice.len(), Pattern::SLICE);
            pattern.check(offset, slice).expect("what was asked for");
            assert!(pattern.check(offset + RUN as u64, slice).is_err());
        }
    }
}
