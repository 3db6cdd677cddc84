//! What tells a container's backend: a label, and in lists a name, put between the bytes that the daemon wrote.

use serde_json::Value;

use crate::docker::{edit, scan::Span};

/// The label by which a listed object tells its backend.
pub(in crate::proxy) const LABEL: &str = "flocker.backend";
/// How much of an id `docker ps` shows.
const SHORT: usize = 12;
const QUOTED: &str = "\"flocker.backend\"";

/// A backend as answers call it, ready to be written.
pub(in crate::proxy) struct Mark {
    /// A member of an object.
    pub(super) label: String,
    /// The end of a name.
    pub(super) at: String,
}

impl Mark {
    pub(in crate::proxy) fn new(backend: &str) -> Self {
        let quoted = Value::from(backend).to_string();
        Self {
            label: [QUOTED, ":", &quoted].concat(),
            at: ["@", quoted.trim_matches('"')].concat(),
        }
    }

    /// A text with its label.
    pub(in crate::proxy) fn labelled(&self, text: &[u8], edit: Edit) -> Vec<u8> {
        let (before, after) = edit.around;
        let inner = [before, self.label.as_str(), after].map(str::as_bytes);
        let (head, tail) = (&text[..edit.place.start()], &text[edit.place.end()..]);
        [&[head], &inner[..], &[tail]].concat().concat()
    }
}

/// Where something is written in place of what stands there, and what goes around it.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Edit {
    pub(super) place: Span,
    pub(super) around: &'static (&'static str, &'static str),
}

impl Edit {
    fn at(place: usize, around: &'static (&'static str, &'static str)) -> Self {
        Self {
            place: Span::new(place, place),
            around,
        }
    }

    /// Where the label goes in an object that may have labels.
    pub(in crate::proxy) fn label(text: &[u8], object: Span, labels: Span) -> Self {
        let (written, inside) = (labels.of(text), labels.end());
        if labels.is_empty() {
            let end = object.end() - 1;
            return match is_empty(object.of(text)) {
                true => Self::at(end, &(r#""Labels":{"#, "}")),
                false => Self::at(end, &(r#","Labels":{"#, "}")),
            };
        }
        if !written.starts_with(b"{") {
            return Self {
                place: labels,
                around: &("{", "}"),
            };
        }
        match known_label(written) {
            Some(known) => Self {
                place: known.moved(labels.start()),
                around: &("", ""),
            },
            None if is_empty(written) => Self::at(inside - 1, &("", "")),
            None => Self::at(inside - 1, &(",", "")),
        }
    }

    /// Where the name goes in a listed container, and what of its first name or its id begins it.
    pub(super) fn name(text: &[u8], container: Span, names: Span, id: Span) -> (Self, Span) {
        let written = names.of(text);
        let short = match id.of(text).get(..SHORT) {
            Some(short) if short.is_ascii() => Span::new(id.start(), id.start() + SHORT),
            _ => id,
        };
        if names.is_empty() {
            let edit = Self::at(container.end() - 1, &(r#","Names":["/"#, "\"]"));
            return (edit, short);
        }
        let whole = Self {
            place: names,
            around: &("[\"/", "\"]"),
        };
        if !written.starts_with(b"[") {
            return (whole, short);
        }
        let end = names.end() - 1;
        match first_string(written) {
            Some(first) => (Self::at(end, &(",\"", "\"")), first.moved(names.start())),
            None if is_empty(written) => (Self::at(end, &("\"/", "\"")), short),
            None => (Self::at(end, &(",\"/", "\"")), short),
        }
    }
}

/// True of `{}` and `[]`.
fn is_empty(written: &[u8]) -> bool {
    written[1..written.len() - 1].trim_ascii().is_empty()
}

/// The label that somebody else gave the container, name and value.
fn known_label(labels: &[u8]) -> Option<Span> {
    let labels = std::str::from_utf8(labels).ok()?;
    if !labels.contains(QUOTED) {
        return None;
    }
    let value = edit::member(labels, LABEL)?;
    let start = edit::offset(labels, value);
    let name = labels[..start].rfind(QUOTED)?;
    Some(Span::new(name, start + value.len()))
}

/// The first item of an array, without its quotes, if it is a string.
fn first_string(array: &[u8]) -> Option<Span> {
    let rest = array[1..].trim_ascii_start().strip_prefix(b"\"")?;
    let start = array.len() - rest.len();
    let mut escaped = false;
    let end = rest.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| Span::new(start, start + end))
}
