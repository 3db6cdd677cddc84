//! The scan of one object: its brackets, and the strings that stand directly in it.

use super::{
    Broken, Item, Names, Span, broken,
    marks::{BLOCK, Marks, Strings},
    past_blanks,
};

/// How deep brackets may be nested, as in serde.
const DEPTH_MAX: u32 = 128;

/// The bit that braces have and square brackets have not.
const BRACE: u8 = b'{' ^ b'[';
/// The bit that brackets have which open.
const OPENS: u8 = 0b10;

/// No place in a text.
const NONE: usize = usize::MAX;

/// The scan of one object.
pub(super) struct Scan<'a, const N: usize> {
    text: &'a [u8],
    names: &'a Names<'a, N>,
    depth: u32,
    /// Which brackets are open: a set bit is a brace, the last opened is the lowest.
    open: u128,
    /// Where a string began that stands directly in the object.
    string: Option<usize>,
    /// Where the value begins that is awaited, and whose it is.
    value: usize,
    member: usize,
    /// How many members are not found yet.
    left: usize,
    item: Item<N>,
}

impl<'a, const N: usize> Scan<'a, N> {
    pub(super) fn new(text: &'a [u8], start: usize, names: &'a Names<'a, N>) -> Self {
        Self {
            text,
            names,
            depth: 0,
            open: 0,
            string: None,
            value: NONE,
            member: 0,
            left: N,
            item: Item {
                span: Span::new(start, start),
                members: [Span::default(); N],
            },
        }
    }

    /// The object, if all of it is there.
    pub(super) fn run(mut self) -> Result<Option<Item<N>>, Broken> {
        let mut start = self.item.span.start();
        if self.text.get(start).is_some_and(|byte| *byte != b'{') {
            return Err(broken("what is no object", start));
        }
        let (blocks, rest) = self.text[start..].as_chunks::<BLOCK>();
        let mut strings = Strings::default();
        for block in blocks {
            if self.block(start, Marks::of(block, &mut strings))? {
                return Ok(Some(self.item));
            }
            start += BLOCK;
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        let is_over = self.block(start, Marks::of(&last, &mut strings))?;
        Ok(is_over.then_some(self.item))
    }

    /// Follows the marks of a block; true when the object ends in it.
    #[inline(always)]
    fn block(&mut self, start: usize, marks: Marks) -> Result<bool, Broken> {
        let (mut brackets, mut quotes) = (marks.brackets, marks.quotes);
        while brackets != 0 {
            let bracket = brackets & brackets.wrapping_neg();
            brackets ^= bracket;
            let before = bracket - 1;
            self.strings(start, quotes & before);
            quotes &= !before;
            if self.bracket(start + bracket.trailing_zeros() as usize)? {
                return Ok(true);
            }
        }
        self.strings(start, quotes);
        Ok(false)
    }

    /// Follows the quotes between two brackets. Strings deep inside do not matter, and none does when all members are
    /// found.
    #[inline(always)]
    fn strings(&mut self, start: usize, mut quotes: u64) {
        if self.depth != 1 || self.left == 0 {
            return;
        }
        while quotes != 0 {
            let at = start + quotes.trailing_zeros() as usize;
            quotes &= quotes - 1;
            match self.string.take() {
                None => self.string = Some(at),
                Some(start) => self.string_ends(start, at),
            }
        }
    }

    /// A string that no colon follows is a value.
    #[inline(always)]
    fn string_ends(&mut self, start: usize, end: usize) {
        if self.value == start {
            return self.value_ends(end + 1);
        }
        let next = self.text.get(end + 1).copied().unwrap_or_default();
        if (next == b':' || next.is_ascii_whitespace())
            && let Some(member) = self.names.find(self.text, start + 1, end)
        {
            self.key(member, end);
        }
    }

    /// Awaits the value of a member that was asked for.
    fn key(&mut self, member: usize, end: usize) {
        let colon = past_blanks(self.text, end + 1);
        if self.text.get(colon) != Some(&b':') {
            return;
        }
        let value = past_blanks(self.text, colon + 1);
        (self.member, self.value) = (member, value);
        if !matches!(self.text.get(value), Some(b'"' | b'{' | b'[')) {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            let rest = self.text.get(value..).unwrap_or_default();
            let length = rest.iter().position(ends);
            self.value_ends(value + length.unwrap_or_default());
        }
    }

    #[inline(always)]
    fn value_ends(&mut self, end: usize) {
        let member = &mut self.item.members[self.member];
        self.left -= usize::from(member.is_empty());
        *member = Span::new(self.value, end);
        self.value = NONE;
    }

    /// Follows a bracket; true when it closes the object.
    #[inline(always)]
    fn bracket(&mut self, at: usize) -> Result<bool, Broken> {
        let bracket = self.text[at];
        let is_brace = bracket & BRACE != 0;
        if bracket & OPENS != 0 {
            self.depth += 1;
            self.open = self.open << 1 | u128::from(is_brace);
            return match self.depth > DEPTH_MAX {
                true => Err(broken("too many brackets", at)),
                false => Ok(false),
            };
        }
        if (self.open & 1 == 1) != is_brace {
            return Err(broken("a bracket that is not expected", at));
        }
        self.depth -= 1;
        self.open >>= 1;
        if self.depth == 1 && self.value != NONE {
            self.value_ends(at + 1);
        }
        if self.depth == 0 {
            self.item.span = Span::new(self.item.span.start(), at + 1);
        }
        Ok(self.depth == 0)
    }
}
