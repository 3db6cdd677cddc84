//! Two answers to one request, and where they differ.

use serde_json::Value;

use super::{Rules, Step, plain::Words};
use crate::harness::Reply;

/// An answer with the words of its side.
type Side<'a> = (&'a Reply, &'a Words);

/// The headers that both answers have or neither.
const HEADERS: [&str; 6] = [
    "cache-control",
    "connection",
    "location",
    "pragma",
    "upgrade",
    "x-docker-container-path-stat",
];
/// The headers that the flock has on every answer, and a daemon on those that it does not end early.
const GENERAL: [&str; 3] = ["api-version", "docker-experimental", "ostype"];

/// Compares the answer of one daemon with the answer of the flock.
pub(super) fn replies(step: &Step, one: Side, all: Side) -> Vec<String> {
    let mut found = Vec::new();
    if one.0.status != all.0.status {
        let (expected, seen) = (one.0, all.0);
        found.push(format!("+ {} {}", expected.status, start(&expected.text())));
        found.push(format!("- {} {}", seen.status, start(&seen.text())));
        return found;
    }
    let kind = |side: Side| side.0.header("content-type").map(str::to_owned);
    if kind(one) != kind(all) {
        found.push(format!("content-type: + {:?} - {:?}", kind(one), kind(all)));
    }
    for name in HEADERS.iter().chain(&GENERAL) {
        let has = |side: Side| side.0.header(name).is_some();
        let spare = GENERAL.contains(name) && has(all);
        if has(one) != has(all) && !spare {
            let header = (one.0.header(name), all.0.header(name));
            found.push(format!("{name}: + {:?} - {:?}", header.0, header.1));
        }
    }
    bodies(&step.rules, one, all, &mut found);
    found
}

fn bodies(rules: &Rules, one: Side, all: Side, found: &mut Vec<String>) {
    let kind = one.0.header("content-type").unwrap_or_default();
    if kind.contains("octet-stream") || kind.contains("x-tar") {
        let lengths = (one.0.body.len(), all.0.body.len());
        if (lengths.0 == 0) != (lengths.1 == 0) {
            found.push(format!("bytes: + {} - {}", lengths.0, lengths.1));
        }
        return;
    }
    match (lines(one), lines(all)) {
        (Some(one), Some(all)) => streams(rules, one, all, found),
        _ => {
            let text = |(reply, words): Side| words.plain(&reply.text());
            pair("text", &text(one), &text(all), found);
        }
    }
}

/// The values of a body of JSON, without the lines that tell how far something has come.
fn lines((reply, words): Side) -> Option<Vec<Value>> {
    reply
        .header("content-type")
        .filter(|kind| kind.starts_with("application/json"))?;
    let values = serde_json::Deserializer::from_slice(&reply.body).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<Result<_, _>>().ok()?;
    let steady = |value: &Value| {
        let detail = value["progressDetail"].as_object();
        // A daemon that is quick enough does not say these.
        let passing = ["Waiting", "Verifying Checksum"];
        detail.is_none_or(|detail| detail.is_empty())
            && !passing.iter().any(|status| value["status"] == *status)
    };
    Some(
        values
            .into_iter()
            .filter(steady)
            .map(|value| plain(value, words))
            .collect(),
    )
}

/// A value without what flockerd adds on purpose and what is never the same twice.
fn plain(value: Value, words: &Words) -> Value {
    match value {
        Value::String(text) => Value::String(words.plain(&text)),
        Value::Array(list) => {
            let own = |value: &Value| !value.as_str().is_some_and(is_at_host);
            let list = list.into_iter().filter(own);
            Value::Array(list.map(|value| plain(value, words)).collect())
        }
        Value::Object(object) => {
            let entries = object
                .into_iter()
                .filter(|(key, _)| key != "flocker.backend");
            Value::Object(
                entries
                    .map(|(key, value)| (words.plain(&key), plain(value, words)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// Whether this is the second name of a listed container, `/web@node1`.
fn is_at_host(name: &str) -> bool {
    name.starts_with('/') && name.contains("@node")
}

fn streams(rules: &Rules, one: Vec<Value>, all: Vec<Value>, found: &mut Vec<String>) {
    if one.len() != all.len() {
        found.push(format!("lines: + {} - {}", one.len(), all.len()));
        let show = |sign: char, values: &[Value], found: &mut Vec<String>| {
            found.extend(
                values
                    .iter()
                    .map(|value| format!("  {sign} {}", start(&value.to_string()))),
            );
        };
        show('+', &one, found);
        show('-', &all, found);
        return;
    }
    let (one, all) = (ordered(rules, &one), ordered(rules, &all));
    let single = one.len() == 1;
    for (number, (one, all)) in one.into_iter().zip(all).enumerate() {
        let mut path = if single {
            Vec::new()
        } else {
            vec![format!("line {number}")]
        };
        values(rules, &mut path, &one, &all, found);
    }
}

fn values(
    rules: &Rules,
    path: &mut Vec<String>,
    one: &Value,
    all: &Value,
    found: &mut Vec<String>,
) {
    let at = format!("/{}", path.join("/"));
    if kind(one) != kind(all) {
        pair(
            &at,
            &start(&one.to_string()),
            &start(&all.to_string()),
            found,
        );
        return;
    }
    if matching(&rules.differs, path) {
        return;
    }
    match (one, all) {
        (Value::Object(one), Value::Object(all)) => {
            for key in one.keys().filter(|key| !all.contains_key(*key)) {
                found.push(format!("{at}: + {key:?} is missing in the flock"));
            }
            for key in all.keys().filter(|key| !one.contains_key(*key)) {
                found.push(format!("{at}: - {key:?} is not in one daemon"));
            }
            for (key, value) in one {
                if let Some(other) = all.get(key) {
                    path.push(key.clone());
                    values(rules, path, value, other, found);
                    path.pop();
                }
            }
        }
        (Value::Array(one), Value::Array(all)) => lists(rules, path, one, all, found),
        (Value::Number(_), Value::Number(_)) if !matching(&rules.exact, path) => {}
        (one, all) => pair(&at, &one.to_string(), &all.to_string(), found),
    }
}

fn lists(
    rules: &Rules,
    path: &mut Vec<String>,
    one: &[Value],
    all: &[Value],
    found: &mut Vec<String>,
) {
    let simple = one
        .iter()
        .chain(all)
        .all(|value| !value.is_object() && !value.is_array());
    let whole = rules.whole || simple || one.is_empty() || all.is_empty();
    if whole && one.len() != all.len() {
        let at = format!(
            "/{} has {} - {} elements",
            path.join("/"),
            one.len(),
            all.len()
        );
        pair(&at, &shown(one), &shown(all), found);
        return;
    }
    let (one, all) = (ordered(rules, one), ordered(rules, all));
    let count = if whole { one.len() } else { 1 };
    for (number, (one, all)) in one.iter().zip(&all).take(count).enumerate() {
        path.push(number.to_string());
        values(rules, path, one, all, found);
        path.pop();
    }
}

fn ordered(rules: &Rules, list: &[Value]) -> Vec<Value> {
    let mut list = list.to_vec();
    if rules.unordered {
        list.sort_by_key(Value::to_string);
    }
    list
}

fn shown(list: &[Value]) -> String {
    start(&Value::Array(list.to_vec()).to_string())
}

fn pair(at: &str, one: &str, all: &str, found: &mut Vec<String>) {
    if one != all {
        found.push(format!("{at}:"));
        found.push(format!("  + {one}"));
        found.push(format!("  - {all}"));
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Whether one of the patterns is how the path ends.
fn matching(patterns: &[String], path: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        let keys: Vec<&str> = pattern.split('/').collect();
        let tail = path.len().checked_sub(keys.len()).map(|from| &path[from..]);
        tail.is_some_and(|tail| {
            keys.iter()
                .zip(tail)
                .all(|(key, part)| *key == "*" || key == part)
        })
    })
}

/// As much of a text as a message can bear.
fn start(text: &str) -> String {
    let mut start: String = text.trim_end().chars().take(400).collect();
    if start.len() < text.trim_end().len() {
        start += "...";
    }
    start
}
