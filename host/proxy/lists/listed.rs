//! One container of a list: what is read of it, and how it is written with its marks.

use super::mark::{Edit, Mark};
use crate::docker::scan::{Item, Names, Span};

/// What is read of a listed container.
pub(super) const READ: Names<'static, 4> = Names::new(MEMBERS);
pub(super) const MEMBERS: [&str; 4] = ["Id", "Created", "Names", "Labels"];

/// The longest id, with its quotes: ids are remembered, and daemons have 64 digits.
const ID_MAX: usize = 130;

/// Where a container is in its text, and what is written into it.
pub(super) struct Listed {
    /// In seconds since the epoch.
    pub(super) created: i64,
    /// The first bytes of its id.
    pub(super) begin: u64,
    span: Span,
    /// Without its quotes.
    id: Span,
    /// What the added name begins with.
    name: Span,
    names: Edit,
    labels: Edit,
}

impl Listed {
    /// A container in a text.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn read(text: &[u8], item: &Item<4>) -> Result<Self, &'static str> {
        let [id, created, names, labels] = item.members;
        let quoted = id.of(text).starts_with(b"\"") && id.end() - id.start() > 1;
        if !quoted {
            return Err("a container without an id");
        }
        if id.end() - id.start() > ID_MAX {
            return Err("an id that is too long");
        }
        let id = Span::new(id.start() + 1, id.end() - 1);
        let (names, name) = Edit::name(text, item.span, names, id);
        Ok(Self {
            created: seconds(created.of(text)).ok_or("a container without a time")?,
            begin: begin(id.of(text)),
            span: item.span,
            id,
            name,
            names,
            labels: Edit::label(text, item.span, labels),
        })
    }

    pub(super) fn id<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        self.id.of(text)
    }

    pub(super) fn whole<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        self.span.of(text)
    }

    pub(super) fn length(&self) -> usize {
        self.span.end() - self.span.start()
    }

    /// Appends the container with its marks.
    pub(super) fn write(&self, text: &[u8], mark: &Mark, to: &mut Vec<u8>) {
        let name = [self.name.of(text), mark.at.as_bytes()];
        let (names, labels) = (
            (self.names, name),
            (self.labels, [mark.label.as_bytes(), b""]),
        );
        let in_order = match self.names.place.start() <= self.labels.place.start() {
            true => [names, labels],
            false => [labels, names],
        };
        let mut written = self.span.start();
        for (edit, [first, second]) in in_order {
            to.extend_from_slice(&text[written..edit.place.start()]);
            to.extend_from_slice(edit.around.0.as_bytes());
            to.extend_from_slice(first);
            to.extend_from_slice(second);
            to.extend_from_slice(edit.around.1.as_bytes());
            written = edit.place.end();
        }
        to.extend_from_slice(&text[written..self.span.end()]);
    }
}

/// The first bytes of an id, as a number that is in their order.
fn begin(id: &[u8]) -> u64 {
    let mut begin = [0; 8];
    let length = id.len().min(begin.len());
    begin[..length].copy_from_slice(&id[..length]);
    u64::from_be_bytes(begin)
}

/// A creation as it is written; an absent one is the oldest.
fn seconds(written: &[u8]) -> Option<i64> {
    match written {
        b"" => Some(0),
        written => std::str::from_utf8(written).ok()?.parse().ok(),
    }
}
