//! A JSON object whose fields are read when they are asked for: most plugins look at one or two of many.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::Error;

/// The fields of an object by their names. Of a field that comes twice the last counts.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Fields(BTreeMap<String, Field>);

#[derive(Clone)]
enum Field {
    /// As it came, and what it says once somebody has asked.
    Written(Box<RawValue>, OnceLock<Value>),
    Set(Value),
}

impl Fields {
    /// Reads an object, and makes sure that every field can be read.
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        if is_odd(json) {
            serde_json::from_str::<Value>(json)?;
        }
        let texts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json)?;
        let fields = texts.into_iter().map(|(name, text)| (name, text.into()));
        Ok(Self(fields.collect()))
    }

    /// Returns a field's text and takes the field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|field| field.text())
    }

    /// Puts in a field as text, which is JSON.
    pub(crate) fn put(&mut self, name: &str, json: String) -> Result<(), Error> {
        let text = RawValue::from_string(json)?;
        self.0.insert(name.into(), text.into());
        Ok(())
    }

    /// Finds a field in any case, as Docker's daemon does.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        Some(self.0.get(self.spelling(name)?)?.value())
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let name = self.spelling(name)?.to_owned();
        Some(self.0.get_mut(&name)?.value_mut())
    }

    /// The same; one that is not there is made, and is null.
    pub(crate) fn slot(&mut self, name: &str) -> &mut Value {
        let name = self.spelling(name).unwrap_or(name).to_owned();
        let field = self.0.entry(name).or_insert(Field::Set(Value::Null));
        field.value_mut()
    }

    /// How the client spelt a field.
    fn spelling<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.0.contains_key(name) {
            return Some(name);
        }
        let mut names = self.0.keys();
        names
            .find(|key| key.eq_ignore_ascii_case(name))
            .map(String::as_str)
    }
}

impl Field {
    fn value(&self) -> &Value {
        match self {
            Self::Written(text, value) => value.get_or_init(|| read(text)),
            Self::Set(value) => value,
        }
    }

    fn value_mut(&mut self) -> &mut Value {
        if let Self::Written(text, value) = self {
            let value = value.take().unwrap_or_else(|| read(text));
            *self = Self::Set(value);
        }
        match self {
            Self::Set(value) => value,
            Self::Written(..) => unreachable!("it has just been set"),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Written(text, _) => text.get().to_owned(),
            Self::Set(value) => value.to_string(),
        }
    }
}

fn read(text: &RawValue) -> Value {
    serde_json::from_str(text.get()).expect("it was found to be readable")
}

impl From<Box<RawValue>> for Field {
    fn from(text: Box<RawValue>) -> Self {
        Self::Written(text, OnceLock::new())
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Written(text, _) => text.serialize(serializer),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        let values = |fields: &Self| -> Vec<(String, Value)> {
            let all = fields.0.iter();
            all.map(|(name, field)| (name.clone(), field.value().clone()))
                .collect()
        };
        values(self) == values(other)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.iter().map(|(name, field)| (name, field.value()));
        f.debug_map().entries(values).finish()
    }
}

/// Deeper than this it may be nested when it has more brackets.
const SHALLOW: usize = 100;
/// A number of fewer digits is within every bound.
const DIGITS: usize = 300;

/// Whether reading may fail where looking for a value's end does not: at half a character in an escape, a number beyond
/// all bounds, brackets nested too deep. What is plain need not be read to know.
fn is_odd(json: &str) -> bool {
    let (mut before, mut digits, mut brackets) = (0, 0, 0);
    for byte in json.bytes() {
        match byte {
            b'0'..=b'9' if digits == DIGITS => return true,
            b'0'..=b'9' => digits += 1,
            b'e' | b'E' if digits > 0 => return true,
            b'u' if before == b'\\' => return true,
            _ => {
                digits = 0;
                brackets += usize::from(matches!(byte, b'[' | b'{'));
            }
        }
        before = byte;
    }
    brackets > SHALLOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_later_is_refused_at_once() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for json in [
            r#"{"a":"\ud800"}"#,
            r#"{"a":{"b":[1e999]}}"#,
            &format!(r#"{{"a":{}}}"#, "9".repeat(400)),
            r#"{"\ud800":1}"#,
            &deep,
            "[]",
            "null",
            "{",
            "",
        ] {
            let refused = serde_json::from_str::<serde_json::Map<String, Value>>(json).is_err();
            assert!(refused && Fields::parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn fields_are_written_as_they_came_until_they_change() {
        let json = r#"{"a":1.50,"b":{"c":"\u0041"},"d":1}"#;
        let mut fields = Fields::parse(json).expect("test data is json");
        assert_eq!(fields.get("B"), Some(&serde_json::json!({"c": "A"})));
        let text = |fields: &Fields| serde_json::to_string(fields).expect("it is json");
        assert_eq!(text(&fields), json);
        *fields.slot("D") = Value::from(2);
        *fields.slot("e") = Value::from(true);
        fields
            .get_mut("A")
            .map(Value::take)
            .expect("the field is there");
        let changed = r#"{"a":null,"b":{"c":"\u0041"},"d":2,"e":true}"#;
        assert_eq!(text(&fields), changed);
        assert_eq!(Fields::parse(changed).expect("it is json"), fields);
    }

    #[test]
    fn the_last_of_two_counts() {
        let fields = Fields::parse(r#"{"a":1,"a":2}"#).expect("test data is json");
        assert_eq!(fields.get("a"), Some(&Value::from(2)));
    }
}
