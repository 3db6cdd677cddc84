//! One script of requests played to one daemon and to the flock, and what the answers have to have in common.
//!
//! A step's line, headers and JSON may name `{p}` (the prefix of the side's own names), `{test}` (the label that the scope
//! removes by), `{start}` and `{now}` (seconds since 1970) and whatever an earlier step kept.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Flockerd, Reply, Scope, Target,
    poll::{DEADLINE, holds},
    real_flock::flock,
};

mod compare;
mod plain;
mod wire;

use plain::Words;
pub(crate) use wire::tar;
use wire::{encode, now};

/// One request, and how its two answers are compared.
pub(crate) struct Step {
    status: u16,
    line: String,
    headers: Vec<(String, String)>,
    body: Body,
    kept: Vec<(String, String)>,
    kept_body: Option<String>,
    until: Option<Condition>,
    later: bool,
    rules: Rules,
}

/// What may differ, and what must not.
#[derive(Default)]
struct Rules {
    differs: Vec<String>,
    exact: Vec<String>,
    whole: bool,
    unordered: bool,
}

enum Body {
    Bytes(Vec<u8>),
    /// With the same words as the line.
    Filled(String),
    /// Made for the side whose names begin with this prefix.
    Made(Make),
    /// The body of the answer that was kept under this name.
    Kept(String),
}

/// Makes a body of a side's prefix.
type Make = Box<dyn Fn(&str) -> Vec<u8>>;

enum Condition {
    Json(String, Value),
    Text(String),
}

/// A request such as `GET /containers/{id}/json`, which one daemon answers with this status.
///
/// Both answers must have the same status, content type and keys at every level; strings and booleans must be equal once
/// ids, addresses and times are taken out, numbers need only be numbers. Lists of objects are compared by their first.
pub(crate) fn step(status: u16, line: &str) -> Step {
    Step {
        status,
        line: line.to_owned(),
        headers: Vec::new(),
        body: Body::Bytes(Vec::new()),
        kept: Vec::new(),
        kept_body: None,
        until: None,
        later: false,
        rules: Rules::default(),
    }
}

impl Step {
    pub(crate) fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    /// A body in which words are filled in.
    pub(crate) fn text(mut self, kind: &str, body: &str) -> Self {
        self.body = Body::Filled(body.to_owned());
        self.header("Content-Type", kind)
    }

    pub(crate) fn bytes(mut self, kind: &str, body: &[u8]) -> Self {
        self.body = Body::Bytes(body.to_vec());
        self.header("Content-Type", kind)
    }

    /// A body made for the side whose names begin with this prefix.
    pub(crate) fn made(mut self, kind: &str, make: impl Fn(&str) -> Vec<u8> + 'static) -> Self {
        self.body = Body::Made(Box::new(make));
        self.header("Content-Type", kind)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves HTTP, sends nothing more and reads to the end.
    pub(crate) fn upgrade(self, protocol: &str) -> Self {
        self.header("Connection", "Upgrade")
            .header("Upgrade", protocol)
    }

    /// Keeps a string of the answer for later steps, found by its JSON pointer.
    pub(crate) fn keep(mut self, name: &str, pointer: &str) -> Self {
        self.kept.push((name.to_owned(), pointer.to_owned()));
        self
    }

    pub(crate) fn keep_body(mut self, name: &str) -> Self {
        self.kept_body = Some(name.to_owned());
        self
    }

    /// Sends the body of an earlier answer.
    pub(crate) fn send_kept(mut self, kind: &str, name: &str) -> Self {
        self.body = Body::Kept(name.to_owned());
        self.header("Content-Type", kind)
    }

    /// Waits for another second, because a list tells apart what was made in different ones.
    pub(crate) fn later(mut self) -> Self {
        self.later = true;
        self
    }

    /// Asks again until the answer has this value.
    pub(crate) fn until(mut self, pointer: &str, value: Value) -> Self {
        self.until = Some(Condition::Json(pointer.to_owned(), value));
        self
    }

    /// Asks again until the answer has this text.
    pub(crate) fn until_text(mut self, text: &str) -> Self {
        self.until = Some(Condition::Text(text.to_owned()));
        self
    }

    /// Paths whose values may differ, though not in type; by their last keys, `*` for any one: `State/Pid`, `Ports/*`.
    pub(crate) fn differs(mut self, paths: &[&str]) -> Self {
        self.rules
            .differs
            .extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    /// Paths whose numbers must be equal.
    pub(crate) fn exact(mut self, paths: &[&str]) -> Self {
        self.rules
            .exact
            .extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    /// Lists must be of one length and are compared element by element.
    pub(crate) fn whole(mut self) -> Self {
        self.rules.whole = true;
        self
    }

    /// As `whole`, for answers that have no order; elements are sorted first.
    pub(crate) fn unordered(mut self) -> Self {
        self.rules.unordered = true;
        self.whole()
    }
}

/// Plays the script to `node1` itself and to flockerd, and fails with every difference.
#[track_caller]
pub(crate) fn same_as_one_daemon(flockerd: &Flockerd, scope: &Scope, script: &[Step]) {
    let one = Player::new(flock().nodes[0].api(), scope, "one");
    let all = Player::new(flockerd.api(), scope, "all");
    let found = differences(one, all, script);
    assert!(
        found.is_empty(),
        "the flock (-) is not as one daemon (+):\n{}",
        found.join("\n")
    );
}

/// What differs between the answers of two sides, one line each beneath the request's line.
pub(crate) fn differences(mut one: Player, mut all: Player, script: &[Step]) -> Vec<String> {
    let mut found = Vec::new();
    for step in script {
        let expected = one.play(step);
        if expected.status != step.status {
            found.push(format!(
                "the script expects {} of one daemon for {}",
                step.status, step.line
            ));
            found.push(format!("    + {} {}", expected.status, expected.text()));
        }
        let seen = all.play(step);
        let differing = compare::replies(step, (&expected, &one.words), (&seen, &all.words));
        if !differing.is_empty() {
            found.push(step.line.clone());
            found.extend(differing.into_iter().map(|line| format!("    {line}")));
        }
    }
    found
}

/// One side of the comparison.
pub(crate) struct Player {
    target: Target,
    words: Words,
    bodies: BTreeMap<String, Vec<u8>>,
}

impl Player {
    /// A side whose names begin with the scope's prefix and this word.
    pub(crate) fn new(target: Target, scope: &Scope, side: &str) -> Self {
        let (_, test) = scope.label().split_once('=').map(own).expect("key=value");
        Self::with_words(
            target,
            &[("p", &scope.name(side)), ("test", &test), ("start", &now())],
        )
    }

    pub(crate) fn with_words(target: Target, words: &[(&str, &str)]) -> Self {
        let mut player = Self {
            target,
            words: Words::default(),
            bodies: BTreeMap::new(),
        };
        for (name, value) in words {
            player.words.set(name, value);
        }
        player
    }

    fn play(&mut self, step: &Step) -> Reply {
        let second = || now().split('.').next().map(str::to_owned);
        let before = second();
        if step.later {
            holds(|| second() != before, DEADLINE);
        }
        let mut reply = self.ask(step);
        if let Some(condition) = &step.until {
            holds(
                || {
                    reply = self.ask(step);
                    condition.holds(&reply)
                },
                DEADLINE,
            );
        }
        let json = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        for (name, pointer) in &step.kept {
            // What is missing stays as it is written, and the comparison tells.
            if let Some(value) = json.pointer(pointer).and_then(Value::as_str) {
                self.words.set(name, value);
            }
        }
        if let Some(name) = &step.kept_body {
            self.bodies.insert(name.clone(), reply.body.clone());
        }
        reply
    }

    fn ask(&mut self, step: &Step) -> Reply {
        self.words.set("now", &now());
        let (method, path) = step.line.split_once(' ').expect("METHOD PATH");
        let path = encode(&self.words.fill(path));
        let body = match &step.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Filled(text) => self.words.fill(text).into_bytes(),
            Body::Made(make) => make(&self.words.fill("{p}")),
            Body::Kept(name) => self.bodies.get(name).cloned().unwrap_or_default(),
        };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in &step.headers {
            head += &format!("{name}: {}\r\n", self.words.fill(value));
        }
        let mut connection = self.target.connect();
        connection.send(&[head.as_bytes(), b"\r\n", &body].concat());
        let mut reply = connection.reply_to(method);
        if reply.status == 101 {
            connection.half_close();
            reply.body = connection.until_closed();
        }
        reply
    }
}

impl Condition {
    fn holds(&self, reply: &Reply) -> bool {
        match self {
            Self::Json(pointer, value) => serde_json::from_slice::<Value>(&reply.body)
                .is_ok_and(|json| json.pointer(pointer) == Some(value)),
            Self::Text(text) => reply.text().contains(text),
        }
    }
}

fn own((one, two): (&str, &str)) -> (String, String) {
    (one.to_owned(), two.to_owned())
}
