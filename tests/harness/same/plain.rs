//! What a script's words stand for, and texts without what is never the same twice: ids, addresses, times.

use crate::harness::NODES;

/// Names and what they stand for, longest value first.
#[derive(Default)]
pub(super) struct Words(Vec<(String, String)>);

impl Words {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self.0
            .sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    }

    /// Puts values in the place of `{name}`.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    }

    /// Puts `{name}` in the place of values, and takes out what is never the same twice.
    pub(super) fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Where a host keeps its files.
        for number in 1..=NODES {
            text = text.replace(&format!("/node{number}/"), "/<node>/");
        }
        for (name, value) in &self.0 {
            text = text.replace(value.as_str(), &format!("{{{name}}}"));
            if value.len() == 64 {
                text = text.replace(&value[..12], &format!("{{{name} short}}"));
            }
        }
        timeless(&text)
    }
}

/// Takes out ids, addresses and times.
fn timeless(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    let mut inside = false;
    while let Some(first) = rest.chars().next() {
        let found = if inside { None } else { known(rest) };
        if let Some((length, name)) = found {
            plain += name;
            rest = &rest[length..];
            inside = true;
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
            inside = first.is_ascii_alphanumeric();
        }
    }
    plain
}

/// The length and the name of what the text begins with.
fn known(text: &str) -> Option<(usize, &'static str)> {
    let run = |accepted: fn(char) -> bool| text.find(|c| !accepted(c)).unwrap_or(text.len());
    let hex = run(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    let mixed = text[..hex].contains(|c: char| c.is_ascii_digit());
    let whole = !text[hex..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if whole && mixed && matches!(hex, 64 | 25 | 12) {
        return Some((hex, "<id>"));
    }
    let dotted = run(|c| c.is_ascii_digit() || c == '.');
    let address = text[..dotted].trim_end_matches('.');
    if address.split('.').count() == 4 {
        // A daemon takes a network's addresses from what nobody has yet, and with them the length of their prefix.
        let prefix = text[address.len()..].strip_prefix('/').map_or(0, |rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            1 + digits.unwrap_or(rest.len())
        });
        return Some((address.len() + prefix, "<ip>"));
    }
    let colons = run(|c| c.is_ascii_hexdigit() || c == ':');
    if colons == 17 && text[..colons].split(':').count() == 6 {
        return Some((colons, "<mac>"));
    }
    let time = run(|c| c.is_ascii_digit() || "-:.TZ+".contains(c));
    let stamp = &text[..time];
    (stamp.len() >= 20 && stamp.as_bytes()[10] == b'T' && !stamp.starts_with("0001"))
        .then_some((time, "<time>"))
}
