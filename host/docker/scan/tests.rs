//! What is found in JSON, and what is not taken for it.

use serde_json::{Value, json};

use super::*;

fn texts<'a, const N: usize>(text: &'a str, item: &Item<N>) -> (&'a str, [&'a str; N]) {
    let of = |span: Span| &text[span.start()..span.end()];
    (of(item.span), item.members.map(of))
}

#[test]
fn items_and_members_are_found_as_they_are_written() {
    let text = " [ {\"a\": 1.50, \"b\" : [ \"]\", {\"a\":2} ],\"c\":\"a\\\\\"} ,{\"b\":{\"a\":3},\"a\":\"\\\"a\\\":7\"},{}]\n";
    let found = list(text.as_bytes(), ["a", "b"]).unwrap();
    let found: Vec<_> = found.iter().map(|item| texts(text, item)).collect();
    assert_eq!(
        found,
        [
            (
                "{\"a\": 1.50, \"b\" : [ \"]\", {\"a\":2} ],\"c\":\"a\\\\\"}",
                ["1.50", "[ \"]\", {\"a\":2} ]"]
            ),
            (
                "{\"b\":{\"a\":3},\"a\":\"\\\"a\\\":7\"}",
                ["\"\\\"a\\\":7\"", "{\"a\":3}"]
            ),
            ("{}", ["", ""]),
        ]
    );
    assert_eq!(list("null\n".as_bytes(), ["a"]), Ok(Vec::new()));
    assert_eq!(list("[ ]".as_bytes(), ["a"]), Ok(Vec::new()));
    let one = r#" {"x":{"a":1},"a":null} "#;
    let item = object(one.as_bytes(), ["a"]).unwrap();
    assert_eq!(texts(one, &item), (one.trim(), ["null"]));
}

#[test]
fn what_is_cut_or_something_else_is_not_taken_for_a_list() {
    for text in [
        "",
        "nul",
        "<html>",
        "[",
        "[{\"Id\":",
        "[{\"Id\":\"a]",
        "[{}",
        "{}",
        "[[]]",
        "[1]",
        "[\"a\"]",
        "[{}{}]",
        "[{},]",
        "[,{}]",
        "[{},1]",
        "[{]}",
        "[{\"a\":[}]}]",
        "[] x",
        "x []",
        "[][]",
        "[{}]]",
    ] {
        let found = list(text.as_bytes(), ["Id"]);
        assert!(found.is_err(), "{text}: {found:?}");
    }
    for text in ["", "[]", "{} {}", "null", "{", "\"a\"", "{}}", "{},{}"] {
        assert!(object(text.as_bytes(), ["Id"]).is_err(), "{text}");
    }
    let deep = "[".repeat(1000);
    assert!(list(format!("[{{\"a\":{deep}").as_bytes(), ["a"]).is_err());
}

/// Items of every length end on either side of a block's edge, and so do their escapes.
#[test]
fn nothing_depends_on_where_blocks_end() {
    for length in 0..140 {
        for filling in ["x", "\\", "\"", "{", "]", "é", "\n"] {
            let item =
                json!({ "Id": filling.repeat(length), "N": { "Id": [filling, {}] }, "z": length });
            let text = format!("{}[{item},{item}]", " ".repeat(length % 7));
            let found = list(text.as_bytes(), ["Id", "N", "z"]).unwrap();
            assert_eq!(found.len(), 2, "{text}");
            for one in found {
                let (whole, members) = texts(&text, &one);
                let read = |text| serde_json::from_str::<Value>(text).unwrap();
                assert_eq!(read(whole), item);
                let expected = ["Id", "N", "z"].map(|name| item[name].clone());
                assert_eq!(members.map(read), expected, "{text}");
            }
            let cut = &text[..text.len() - 1];
            assert!(list(cut.as_bytes(), ["Id"]).is_err(), "{cut}");
        }
    }
}

/// Reads a list in parts of this length, as whoever receives it does.
fn in_parts(text: &str, length: usize) -> Result<Vec<String>, Broken> {
    let (mut list, mut begun, mut found) = (List::default(), Vec::new(), Vec::new());
    for part in text.as_bytes().chunks(length) {
        begun.extend_from_slice(part);
        let mut at = 0;
        while let Some(item) = list.next(&begun, &mut at, &Names::new(["Id"]))? {
            let member = String::from_utf8_lossy(item.members[0].of(&begun));
            found.push(member.into_owned());
        }
        begun.drain(..at);
    }
    list.end(&begun, 0)?;
    Ok(found)
}

#[test]
fn a_list_may_come_in_parts() {
    let text = " [ {\"x\":[\"]\"],\"Id\":\"a\\\"}\"} , {\"Id\":12,\"y\":{\"Id\":1}},{}\n]\n";
    for length in 1..=text.len() {
        let found = in_parts(text, length).unwrap();
        assert_eq!(found, ["\"a\\\"}\"", "12", ""], "{length}");
        assert_eq!(in_parts("null\n", length), Ok(Vec::new()));
        for broken in ["[{}", "[{}] x", "nul", "[{},]", "[{}{}]", "", "nil"] {
            assert!(in_parts(broken, length).is_err(), "{broken} by {length}");
        }
    }
}
