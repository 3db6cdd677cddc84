//! JSON as Docker's daemon reads it, for policies: what the daemon would see, they must see.
//!
//! The daemon is written in Go, whose decoder finds a field under a name in any case (`hostconfig`, even `HoſtConfig`)
//! and merges a field that comes twice. A reader that takes one spelling, or the last of two, is a way around a policy.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::Error;

/// A JSON value that keeps every field of an object, also those that come twice.
///
/// ```
/// # use flocker_plugin::json::Tree;
/// let body = r#"{"HostConfig":{"Privileged":true},"hostconfig":{"CapAdd":["ALL","NET_ADMIN"]}}"#;
/// let tree = Tree::parse(body)?;
/// assert_eq!(tree.all("HostConfig.Privileged"), [&Tree::Bool(true)]);
/// assert_eq!(tree.texts("HostConfig.CapAdd"), ["ALL", "NET_ADMIN"]);
/// # Ok::<(), flocker_plugin::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    /// The fields in their order, names as they are written.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON text.
    pub fn parse(json: &str) -> Result<Self, Error> {
        Ok(serde_json::from_str(json)?)
    }

    /// Returns every value that the daemon could find at a path such as `HostConfig.Mounts.Source`.
    ///
    /// A list stands for its elements, and null for nothing.
    pub fn all(&self, path: &str) -> Vec<&Tree> {
        path.split('.').fold(self.elements(), |found, name| {
            let fields = found.into_iter().flat_map(|tree| tree.fields(name));
            fields.flat_map(Tree::elements).collect()
        })
    }

    /// Returns every string at a path.
    pub fn texts(&self, path: &str) -> Vec<&str> {
        self.all(path).into_iter().filter_map(Tree::text).collect()
    }

    /// Returns whether `true` is at a path.
    pub fn is_true(&self, path: &str) -> bool {
        self.all(path).contains(&&Tree::Bool(true))
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn fields<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Tree> {
        let fields = match self {
            Self::Object(fields) => fields.as_slice(),
            _ => &[],
        };
        let name = fold(name);
        let named = fields.iter().filter(move |(field, _)| fold(field) == name);
        named.map(|(_, value)| value)
    }

    fn elements(&self) -> Vec<&Tree> {
        match self {
            Self::Null => Vec::new(),
            Self::List(elements) => elements.iter().flat_map(Tree::elements).collect(),
            other => vec![other],
        }
    }
}

/// Folds case as Go does: by Unicode, where two letters beyond ASCII fold into ASCII.
fn fold(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    letters.collect()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_hides_a_field() {
        for body in [
            r#"{"HostConfig":{"Privileged":true}}"#,
            r#"{"hostconfig":{"PRIVILEGED":true}}"#,
            r#"{"HoſtConfig":{"Privileged":true}}"#,
            r#"{"Ho\u017ftConfig":{"Privileged":true}}"#,
            r#"{"HostConfig":{"Privileged":true},"HostConfig":{"Privileged":false}}"#,
            r#"{"HostConfig":{"Privileged":true,"privileged":false}}"#,
        ] {
            let tree = Tree::parse(body).expect("test data is json");
            assert!(tree.is_true("HostConfig.Privileged"), "{body}");
        }
    }

    #[test]
    fn a_list_stands_for_its_elements() {
        let tree = Tree::parse(r#"{"A":[{"B":"x"},{"b":["y",null]},{"B":1}],"C":"z","D":[]}"#);
        let tree = tree.expect("test data is json");
        assert_eq!(tree.texts("A.B"), ["x", "y"]);
        assert_eq!(tree.all("A.B").len(), 3);
        assert_eq!(tree.texts("C"), ["z"]);
        assert!(tree.all("D").is_empty());
        assert!(tree.all("C.D").is_empty());
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in ["", "{", "{} {}", r#"{"a":"\ud800"}"#] {
            assert!(Tree::parse(text).is_err(), "{text}");
        }
    }
}
