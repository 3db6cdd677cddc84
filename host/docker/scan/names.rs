//! The names of the members that are looked for, compared a word at a time.

/// The names of members that are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a, const N: usize> {
    names: [&'a str; N],
    /// Their first bytes, to compare them at once.
    begins: [u64; N],
}

impl<'a, const N: usize> Names<'a, N> {
    pub const fn new(names: [&'a str; N]) -> Self {
        let mut begins = [0; N];
        let mut nth = 0;
        while nth < N {
            let name = names[nth].as_bytes();
            let mut at = 0;
            while at < name.len() && at < 8 {
                begins[nth] |= (name[at] as u64) << (8 * at);
                at += 1;
            }
            nth += 1;
        }
        Self { names, begins }
    }

    /// Which of them stands there.
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        let begin = begin(text, start, end);
        let mut both = self.begins.iter().zip(&self.names);
        both.position(|(own, name)| *own == begin && name.as_bytes() == &text[start..end])
    }
}

/// The first bytes of what stands there.
#[inline]
fn begin(text: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    let bits = 64 - 8 * length.min(8) as u32;
    let ahead = text[start..].first_chunk().copied();
    let ahead = ahead.unwrap_or_else(|| {
        let mut few = [0; 8];
        few[..text.len() - start].copy_from_slice(&text[start..]);
        few
    });
    u64::from_le_bytes(ahead) & u64::MAX.checked_shr(bits).unwrap_or(0)
}
