//! One pass over the bytes of a JSON object or list that finds where its items and some of their members are.
//!
//! Brackets and strings are followed, 64 bytes at a time; what stands between them is not looked at, so an answer that is
//! cut or is no JSON is noticed, and a wrong number deep inside an item is not. A list may come in parts.

mod marks;
#[cfg(test)]
mod tests;

use marks::{BLOCK, Marks, Strings};

/// How deep brackets may be nested, as in serde.
const DEPTH_MAX: u32 = 128;

/// The bit that braces have and square brackets have not.
const BRACE: u8 = b'{' ^ b'[';
/// The bit that brackets have which open.
const OPENS: u8 = 0b10;

/// No place in a text.
const NONE: usize = usize::MAX;

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
    fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
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

/// The objects of a list, with the members of these names. `null` counts as an empty list.
///
/// # Errors
/// [`Broken`] when the text is not a list of objects.
pub fn list<const N: usize>(text: &[u8], names: [&str; N]) -> Result<Vec<Item<N>>, Broken> {
    if u32::try_from(text.len()).is_err() {
        return Err(broken("more than 4 GiB", 0));
    }
    let names = Names::new(names);
    let (mut list, mut at, mut found) = (List::default(), 0, Vec::new());
    while let Some(item) = list.next(text, &mut at, &names)? {
        found.push(item);
    }
    list.end(text, at)?;
    Ok(found)
}

/// An object, with the members of these names.
///
/// # Errors
/// [`Broken`] when the text is not an object.
pub fn object<const N: usize>(text: &[u8], names: [&str; N]) -> Result<Item<N>, Broken> {
    let start = past_blanks(text, 0);
    let item = Scan::new(text, start, &Names::new(names)).run()?;
    let item = item.ok_or(broken("the end", text.len()))?;
    let end = past_blanks(text, item.span.end());
    match end == text.len() {
        true => Ok(item),
        false => Err(broken("a second text", end)),
    }
}

/// How far one is in a list that comes in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum List {
    #[default]
    Begin,
    /// Behind the bracket.
    Opened,
    /// Behind an item.
    Item,
    /// Behind a comma.
    Comma,
    Over,
}

impl List {
    /// The next object of the part of a list that begins at `at`, which moves behind it. None when it has not come whole,
    /// or the list is over: what lies behind `at` belongs before the next part.
    ///
    /// # Errors
    /// [`Broken`] when this is not a list of objects.
    pub fn next<const N: usize>(
        &mut self,
        text: &[u8],
        at: &mut usize,
        names: &Names<'_, N>,
    ) -> Result<Option<Item<N>>, Broken> {
        loop {
            *at = past_blanks(text, *at);
            let Some(byte) = text.get(*at) else {
                return Ok(None);
            };
            *self = match (*self, byte) {
                (Self::Opened | Self::Comma, b'{') => {
                    let item = Scan::new(text, *at, names).run()?;
                    if let Some(item) = &item {
                        (*self, *at) = (Self::Item, item.span.end());
                    }
                    return Ok(item);
                }
                (Self::Begin, b'n') if b"null".starts_with(text[*at..].trim_ascii_end()) => {
                    return Ok(None);
                }
                (Self::Begin, b'[') => Self::Opened,
                (Self::Item, b',') => Self::Comma,
                (Self::Opened | Self::Item, b']') => Self::Over,
                _ => return Err(broken("what is no list of objects", *at)),
            };
            *at += 1;
        }
    }

    /// Checks that nothing is missing behind the last part.
    ///
    /// # Errors
    /// [`Broken`] when something is.
    pub fn end(&self, text: &[u8], at: usize) -> Result<(), Broken> {
        match (self, text[at..].trim_ascii()) {
            (Self::Over, b"") | (Self::Begin, b"null") => Ok(()),
            _ => Err(broken("the end", text.len())),
        }
    }
}

/// The scan of one object.
struct Scan<'a, const N: usize> {
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
    fn new(text: &'a [u8], start: usize, names: &'a Names<'a, N>) -> Self {
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
    fn run(mut self) -> Result<Option<Item<N>>, Broken> {
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

fn past_blanks(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    from + blanks.count()
}

fn broken(what: &'static str, at: usize) -> Broken {
    Broken { what, at }
}
