//! How an answer differs from what was expected of it, line by line.

use serde_json::{Map, Value};

/// Texts that are for people: part of them is enough.
const TEXTS: [&str; 2] = ["refused.message", "failed"];

/// Adds a pair of lines for every value that is not as expected. An object may have more members than expected.
pub(super) fn differ(path: &str, expected: &Value, said: &Value, lines: &mut Vec<String>) {
    match (expected, said) {
        (Value::Object(expected), Value::Object(said)) => {
            for (key, expected) in expected {
                let path = format!("{path}.{key}");
                match said.get(key) {
                    Some(said) => differ(&path, expected, said, lines),
                    None => lines.extend([
                        format!("- {path} = {expected}"),
                        format!("+ {path} is absent"),
                    ]),
                }
            }
        }
        (Value::Array(expected), Value::Array(said)) if expected.len() == said.len() => {
            for (index, (expected, said)) in expected.iter().zip(said).enumerate() {
                differ(&format!("{path}[{index}]"), expected, said, lines);
            }
        }
        (Value::String(part), Value::String(said)) if TEXTS.contains(&path) => {
            if !said.contains(part) {
                lines.push(format!("- {path} contains {part:?}"));
                lines.push(format!("+ {path} = {said:?}"));
            }
        }
        (expected, said) if expected == said => {}
        (expected, said) => {
            lines.push(format!("- {path} = {expected}"));
            lines.push(format!("+ {path} = {said}"));
        }
    }
}

/// Everything that was said.
pub(super) fn all(told: &Map<String, Value>) -> Vec<String> {
    if told.is_empty() {
        return vec!["+ no opinion".to_owned()];
    }
    let lines = told.iter().map(|(key, value)| format!("+ {key} = {value}"));
    lines.collect()
}

/// Lists the members that changed: `-` before what was, `+` before what is.
pub(super) fn changes(path: &str, before: &Value, after: &Value) -> Vec<String> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        let pair = [
            format!("- {path} = {before}"),
            format!("+ {path} = {after}"),
        ];
        return pair.into_iter().filter(|_| before != after).collect();
    };
    let inner = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    let kept = old.iter().flat_map(|(key, before)| match new.get(key) {
        Some(after) => changes(&inner(key), before, after),
        None => vec![format!("- {} = {before}", inner(key))],
    });
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    let added = added.map(|(key, after)| format!("+ {} = {after}", inner(key)));
    kept.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_expected_is_compared() {
        let said =
            json!({"Image": "a", "Env": ["A=1"], "HostConfig": {"Memory": 1, "Privileged": true}});
        for (expected, lines) in [
            (json!({"HostConfig": {"Memory": 1}}), vec![]),
            (
                json!({"Image": "b"}),
                vec![r#"- body.Image = "b""#, r#"+ body.Image = "a""#],
            ),
            (
                json!({"Cmd": ["x"]}),
                vec![r#"- body.Cmd = ["x"]"#, "+ body.Cmd is absent"],
            ),
            (
                json!({"Env": ["A=2"]}),
                vec![r#"- body.Env[0] = "A=2""#, r#"+ body.Env[0] = "A=1""#],
            ),
            (
                json!({"Env": []}),
                vec!["- body.Env = []", r#"+ body.Env = ["A=1"]"#],
            ),
        ] {
            let mut found = Vec::new();
            differ("body", &expected, &said, &mut found);
            assert_eq!(found, lines, "{expected}");
        }
    }

    #[test]
    fn changes_are_told_by_member() {
        let before =
            json!({"Env": ["A=1"], "HostConfig": {"Memory": 1, "Init": true}, "Image": "a"});
        let after =
            json!({"Env": ["A=2"], "HostConfig": {"Memory": 1}, "Image": "a", "User": "me"});
        assert_eq!(
            changes("", &before, &after),
            [
                r#"- Env = ["A=1"]"#,
                r#"+ Env = ["A=2"]"#,
                "- HostConfig.Init = true",
                r#"+ User = "me""#
            ]
        );
    }

    #[test]
    fn part_of_a_message_is_enough() {
        let mut found = Vec::new();
        differ("failed", &json!("panic"), &json!("it panicked"), &mut found);
        assert_eq!(found, [""; 0]);
        differ("failed", &json!("trap"), &json!("it panicked"), &mut found);
        assert_eq!(
            found,
            [r#"- failed contains "trap""#, r#"+ failed = "it panicked""#]
        );
    }
}
