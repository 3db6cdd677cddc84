//! One pass over the bytes of a JSON object or list that finds where its items and some of their members are.
//!
//! Brackets and strings are followed, 64 bytes at a time; what stands between them is not looked at, so an answer that is
//! cut or is no JSON is noticed, and a wrong number deep inside an item is not.

mod marks;
#[cfg(test)]
mod tests;

use marks::{BLOCK, Marks, Strings};

/// How deep brackets may be nested, as in serde.
const DEPTH_MAX: u32 = 128;

/// Where something stands in a text shorter than 4 GiB, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    pub fn start(self) -> usize {
        self.start as usize
    }

    pub fn end(self) -> usize {
        self.end as usize
    }

    /// True for a member that is absent.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// What stands there.
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start()..self.end()]
    }

    /// The same of text. It must begin and end with characters, as members do.
    pub fn within(self, text: &str) -> &str {
        &text[self.start()..self.end()]
    }

    /// The same in a text of which this one begins at an offset.
    pub fn moved(self, by: usize) -> Self {
        Self::new(self.start() + by, self.end() + by)
    }
}

/// An object and those of its members that were asked for; an absent one is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<const N: usize> {
    pub span: Span,
    pub members: [Span; N],
}

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} at byte {at}")]
pub struct Broken {
    what: &'static str,
    at: usize,
}

/// The objects of a list, with the members of these names. `null` counts as an empty list.
///
/// # Errors
/// [`Broken`] when the text is not a list of objects.
pub fn list<const N: usize>(text: &[u8], names: [&str; N]) -> Result<Vec<Item<N>>, Broken> {
    match text.trim_ascii() {
        b"null" => Ok(Vec::new()),
        _ => Scan::new(text, names, 2).run(),
    }
}

/// An object, with the members of these names.
///
/// # Errors
/// [`Broken`] when the text is not an object.
pub fn object<const N: usize>(text: &[u8], names: [&str; N]) -> Result<Item<N>, Broken> {
    let found = Scan::new(text, names, 1).run()?;
    found.into_iter().next().ok_or(Broken {
        what: "no object",
        at: 0,
    })
}

struct Scan<'a, const N: usize> {
    text: &'a [u8],
    names: [&'a str; N],
    /// How many brackets are open inside an item.
    level: u32,
    depth: u32,
    /// Which brackets are open: a set bit is a brace, the last opened is the lowest.
    open: u128,
    /// Where a string began that stands directly in an item.
    string: Option<usize>,
    /// The member whose value is awaited, and where that begins.
    awaited: Option<(usize, usize)>,
    /// Where the last thing ended that stands directly in the list.
    passed: usize,
    item: Item<N>,
    found: Vec<Item<N>>,
}

impl<'a, const N: usize> Scan<'a, N> {
    fn new(text: &'a [u8], names: [&'a str; N], level: u32) -> Self {
        Self {
            text,
            names,
            level,
            depth: 0,
            open: 0,
            string: None,
            awaited: None,
            passed: 0,
            item: Item {
                span: Span::default(),
                members: [Span::default(); N],
            },
            found: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Vec<Item<N>>, Broken> {
        if u32::try_from(self.text.len()).is_err() {
            return Err(broken("more than 4 GiB", 0));
        }
        let (blocks, rest) = self.text.as_chunks::<BLOCK>();
        let mut strings = Strings::default();
        for (nth, block) in blocks.iter().enumerate() {
            self.block(nth * BLOCK, Marks::of(block, &mut strings))?;
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block(blocks.len() * BLOCK, Marks::of(&last, &mut strings))?;
        let end = self.text.len();
        if self.depth > 0 || strings.inside != 0 || self.passed == 0 {
            return Err(broken("the end", end));
        }
        self.nothing_until(end)?;
        Ok(self.found)
    }

    /// Follows the marks of a block. Strings deep inside an item do not matter.
    fn block(&mut self, start: usize, marks: Marks) -> Result<(), Broken> {
        let mut ahead = u64::MAX;
        loop {
            let strings = if self.depth > self.level {
                0
            } else {
                marks.quotes
            };
            let next = (marks.brackets | strings) & ahead;
            if next == 0 {
                return Ok(());
            }
            self.mark(start + next.trailing_zeros() as usize)?;
            // All above the lowest set bit.
            ahead = !(next ^ (next - 1));
        }
    }

    fn mark(&mut self, at: usize) -> Result<(), Broken> {
        match self.text[at] {
            b'"' => self.quote(at),
            bracket @ (b'{' | b'[') => self.opens(at, bracket),
            bracket => self.closes(at, bracket),
        }
    }

    fn quote(&mut self, at: usize) -> Result<(), Broken> {
        if self.depth != self.level {
            return Err(broken("a string that is no object", at));
        }
        match self.string.take() {
            None => self.string = Some(at),
            Some(start) if self.awaited.is_some_and(|(_, value)| value == start) => {
                self.value_ends(at + 1);
            }
            Some(start) => self.key(start + 1, at),
        }
        Ok(())
    }

    /// Awaits the value of a member that was asked for. A string that no colon follows is a value.
    fn key(&mut self, start: usize, end: usize) {
        let key = &self.text[start..end];
        let named = |name: &&str| name.as_bytes() == key;
        let Some(member) = self.names.iter().position(named) else {
            return;
        };
        let colon = self.past_blanks(end + 1);
        if self.text.get(colon) != Some(&b':') {
            return;
        }
        let value = self.past_blanks(colon + 1);
        self.awaited = Some((member, value));
        if !matches!(self.text.get(value), Some(b'"' | b'{' | b'[')) {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            let length = self.text[value..].iter().position(ends);
            self.value_ends(value + length.unwrap_or_default());
        }
    }

    fn past_blanks(&self, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        from + rest.len() - rest.trim_ascii_start().len()
    }

    fn value_ends(&mut self, end: usize) {
        if let Some((member, start)) = self.awaited.take() {
            self.item.members[member] = Span::new(start, end);
        }
    }

    fn opens(&mut self, at: usize, bracket: u8) -> Result<(), Broken> {
        self.depth += 1;
        self.open = self.open << 1 | u128::from(bracket == b'{');
        if self.depth > DEPTH_MAX {
            return Err(broken("too many brackets", at));
        }
        if self.depth > self.level {
            return Ok(());
        }
        let is_item = self.depth == self.level;
        if is_item != (bracket == b'{') {
            return Err(broken("a bracket that is not expected", at));
        }
        if self.depth == 1 && self.passed > 0 {
            return Err(broken("a second text", at));
        }
        if is_item && !self.found.is_empty() {
            self.comma_until(at)?;
        } else {
            self.nothing_until(at)?;
        }
        self.passed = at + 1;
        self.item.span = Span::new(at, at);
        self.item.members = [Span::default(); N];
        Ok(())
    }

    fn closes(&mut self, at: usize, bracket: u8) -> Result<(), Broken> {
        let is_brace = self.open & 1 == 1;
        if self.depth == 0 || is_brace != (bracket == b'}') {
            return Err(broken("a bracket that is not expected", at));
        }
        if self.depth < self.level {
            self.nothing_until(at)?;
        }
        self.depth -= 1;
        self.open >>= 1;
        if self.depth == self.level {
            self.value_ends(at + 1);
        } else if self.depth < self.level {
            self.passed = at + 1;
            if is_brace {
                self.item.span = Span::new(self.item.span.start(), at + 1);
                self.found.push(self.item);
            }
        }
        Ok(())
    }

    fn nothing_until(&self, at: usize) -> Result<(), Broken> {
        match self.text[self.passed..at].trim_ascii() {
            b"" => Ok(()),
            _ => Err(broken("what is no object", self.passed)),
        }
    }

    fn comma_until(&self, at: usize) -> Result<(), Broken> {
        match self.text[self.passed..at].trim_ascii() {
            b"," => Ok(()),
            _ => Err(broken("no comma", self.passed)),
        }
    }
}

fn broken(what: &'static str, at: usize) -> Broken {
    Broken { what, at }
}
