//! Edits of JSON text in place: only the bytes that must change change, and nothing is parsed that is not looked at.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The items of a JSON array as they are written.
///
/// # Errors
/// What serde says of text that is not an array; `null` counts as an empty one, as daemons answer it.
pub fn items(array: &str) -> Result<Vec<&str>, serde_json::Error> {
    let items: Option<Vec<&RawValue>> = serde_json::from_str(array)?;
    Ok(items
        .unwrap_or_default()
        .into_iter()
        .map(RawValue::get)
        .collect())
}

/// One array of items as they are written.
pub fn array<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("[");
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text.push(']');
    text
}

/// Appends a value to an array, given as it is written.
pub fn push(array: &str, value: &str) -> String {
    let body = array.trim_end().strip_suffix(']').unwrap_or("[").trim_end();
    let comma = if body.ends_with('[') { "" } else { "," };
    format!("{body}{comma}{value}]")
}

/// Adds or replaces a member of an object, given as it is written. `null` becomes an object.
pub fn insert(object: &str, name: &str, value: &str) -> String {
    let key = serde_json::Value::from(name).to_string();
    if let Some(old) = member(object, name) {
        let start = offset(object, old);
        return format!(
            "{}{value}{}",
            &object[..start],
            &object[start + old.len()..]
        );
    }
    let body = object
        .trim_end()
        .strip_suffix('}')
        .unwrap_or("{")
        .trim_end();
    let comma = if body.ends_with('{') { "" } else { "," };
    format!("{body}{comma}{key}:{value}}}")
}

/// A member of an object as it is written; none when it is absent or the text is not an object.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    struct Find<'n>(&'n str);
    impl<'de> serde::de::DeserializeSeed<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;
        fn deserialize<D: serde::Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                let value: &RawValue = map.next_value()?;
                if key == self.0 {
                    found = Some(value);
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    serde::de::DeserializeSeed::deserialize(Find(name), &mut deserializer)
        .ok()
        .flatten()
        .map(RawValue::get)
}

/// Where `part`, a slice of `whole`, begins in it.
pub fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// A member of an object, read as a value.
pub fn read<'a, T: Deserialize<'a>>(object: &'a str, name: &str) -> Option<T> {
    serde_json::from_str(member(object, name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_as_they_are_written() {
        let text = r#"[ {"a": 1.0}, "x" ]"#;
        assert_eq!(items(text).unwrap(), [r#"{"a": 1.0}"#, r#""x""#]);
        assert_eq!(items("null").unwrap(), [""; 0]);
        assert!(items("{}").is_err());
        assert_eq!(array(["1", "2"].into_iter()), "[1,2]");
        assert_eq!(array([].into_iter()), "[]");
    }

    #[test]
    fn edits_touch_only_their_place() {
        for (object, name, value, expected) in [
            (r#"{"a":1, "b" : 2}"#, "b", "3", r#"{"a":1, "b" : 3}"#),
            (r#"{"a":{"b":1}}"#, "b", "2", r#"{"a":{"b":1},"b":2}"#),
            ("{}", "x", r#""y""#, r#"{"x":"y"}"#),
            ("null", "x", "1", r#"{"x":1}"#),
        ] {
            assert_eq!(insert(object, name, value), expected, "{object}");
        }
        assert_eq!(push("[]", "1"), "[1]");
        assert_eq!(push("[1 ]", "2"), "[1,2]");
        assert_eq!(push("null", "2"), "[2]");
    }

    #[test]
    fn members_are_found_at_the_top_only() {
        assert_eq!(member(r#"{"a":{"b":1},"b":[2]}"#, "b"), Some("[2]"));
        assert_eq!(member(r#"{"a":{"b":1}}"#, "b"), None);
        assert_eq!(member("[1]", "b"), None);
        assert_eq!(read::<i64>(r#"{"n":5}"#, "n"), Some(5));
    }
}
