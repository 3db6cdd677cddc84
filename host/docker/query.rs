//! Query strings: read by name, edited in place, forwarded as they came.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What must be escaped in a query value.
const VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?');

/// A raw query string, without the question mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(pub String);

impl Query {
    /// The pairs, decoded.
    pub fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.0
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The first value of a name, unless it is empty.
    pub fn filled(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Docker's reading of a boolean: only nothing, `0`, `no`, `false` and `none` are false.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            !matches!(
                value.trim().to_ascii_lowercase().as_str(),
                "" | "0" | "no" | "false" | "none"
            )
        })
    }

    /// The same query with one value replaced or, when the name is absent, added; the rest stays byte for byte.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut query = self.without(name);
        if !query.0.is_empty() {
            query.0.push('&');
        }
        query.0.push_str(name);
        query.0.push('=');
        query.0.extend(utf8_percent_encode(value, VALUE));
        query
    }

    /// The same query without a name.
    pub fn without(&self, name: &str) -> Self {
        let kept = self.0.split('&').filter(|pair| {
            let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
            !pair.is_empty() && decode(key) != name
        });
        Self(kept.collect::<Vec<_>>().join("&"))
    }
}

/// Decodes percent escapes and `+`.
fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_decoded() {
        let query = Query("name=a%2Fb&all=True&x&since=1+2".into());
        assert_eq!(query.get("name").as_deref(), Some("a/b"));
        assert_eq!(query.get("since").as_deref(), Some("1 2"));
        assert_eq!(query.get("x").as_deref(), Some(""));
        assert_eq!(query.filled("x"), None);
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn flags_read_as_the_daemon_reads_them() {
        for (text, expected) in [
            ("f", false),
            ("f=0", false),
            ("f=False", false),
            ("f=none", false),
            ("f=1", true),
            ("f=True", true),
            ("f=anything", true),
            ("", false),
        ] {
            assert_eq!(Query(text.into()).flag("f"), expected, "{text}");
        }
    }

    #[test]
    fn only_the_field_that_must_change_changes() {
        let query = Query("b=%20x&name=old&a=1".into());
        assert_eq!(query.with("name", "n w").0, "b=%20x&a=1&name=n%20w");
        assert_eq!(query.without("b").0, "name=old&a=1");
        assert_eq!(Query::default().with("name", "x").0, "name=x");
    }
}
