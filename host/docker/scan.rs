//! One pass over the bytes of a JSON object or list that finds where its items and some of their members are.
//!
//! Brackets and strings are followed, 64 bytes at a time; what stands between them is not looked at, so an answer that is
//! cut or is no JSON is noticed, and a wrong number deep inside an item is not. A list may come in parts.

mod marks;
mod names;
mod object;
#[cfg(test)]
mod tests;

pub use names::Names;
use object::Scan;

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

fn past_blanks(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    from + blanks.count()
}

fn broken(what: &'static str, at: usize) -> Broken {
    Broken { what, at }
}
