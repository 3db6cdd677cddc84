//! Misbehaves in one hook as its configuration says; in its other hooks it has no opinion.
//!
//! ```toml
//! [plugin.config]
//! hook = "route"          # request | route | map | start | event
//! behaviour = "loop"      # see `Behaviour`
//! ```

use std::hint::black_box;

use flocker_plugin::{
    Decision, Error, Event, Map, Request, Route, Start, Verdict, config, event, http, keyspace,
    log, map, request, route, start,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    hook: String,
    behaviour: Behaviour,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Never returns.
    Loop,
    /// Uses up the stack.
    Recurse,
    /// Allocates until it is stopped.
    Memory,
    /// Executes `unreachable`.
    Trap,
    /// Panics with the text `hostile panics`.
    Panic,
    /// Answers 64 MiB: of JSON, or as the response's body. Needs 80 MiB of `memory`, or it traps instead.
    Giant,
    /// Answers text that is not JSON.
    BadJson,
    /// Answers JSON that is not an object.
    ArrayJson,
    /// Names a backend that does not exist; as `request` answers with a status that does not exist. In `map` and
    /// `start`, which claim nothing, it gives no opinion.
    Lie,
    /// Fails with the text `hostile fails`.
    Fail,
    /// Refuses with 418 and the text `hostile refuses`.
    Refuse,
    /// Logs a gigabyte, a mebibyte at a time.
    Log,
    /// Prints 64 MiB: that goes 4 KiB at a time, and so is slow.
    Print,
    /// Asks a host that it is not granted, ten thousand times.
    Requests,
    /// Sets one key again and again.
    Keys,
    /// Sets one key after another until it may not any more, and fails with the reason.
    Fill,
    /// Sets the key `before` and traps; when it is set, does nothing.
    Midway,
    /// Asks for a key of 32 MiB.
    GiantKey,
    /// Sets a value of 32 MiB.
    GiantValue,
    /// Logs a message of 32 MiB.
    GiantMessage,
    /// Asks for a value of its configuration by a name of 32 MiB.
    GiantConfig,
    /// Fails with a reason of 12 MiB.
    GiantReason,
    /// Refuses with a reason of 12 MiB.
    GiantRefusal,
    /// Names a backend of 12 MiB; as `request` answers with a header's name of that length.
    GiantName,
    /// Answers with 100 000 headers, in `request` alone.
    Headers,
}

/// What a hook is to answer, when the behaviour leaves something to answer.
enum Answer {
    Nothing,
    Json(String),
    Lie,
    Name(String),
    Headers(usize),
}

struct Hostile;

impl Request for Hostile {
    fn handle(_call: request::Call) -> Result<Verdict, Error> {
        Ok(match misbehave("request")? {
            Answer::Nothing => Verdict::Proceed,
            Answer::Json(body) => respond(200, body),
            Answer::Lie => respond(42, String::new()),
            Answer::Name(name) => respond_with(vec![(name, "x".into())]),
            Answer::Headers(count) => respond_with(vec![("x".into(), "y".into()); count]),
        })
    }
}

impl Route for Hostile {
    fn place(_request: route::Request) -> Result<Decision, Error> {
        Ok(match misbehave("route")? {
            Answer::Nothing => Decision::no_opinion(),
            Answer::Json(body) => Decision::no_opinion().with_body(body),
            Answer::Lie => Decision::to("nowhere"),
            Answer::Name(name) => Decision::to(&name),
            Answer::Headers(_) => Decision::no_opinion(),
        })
    }
}

impl Map for Hostile {
    fn rewrite(_request: map::Request) -> Result<Option<String>, Error> {
        misbehave("map").map(Answer::json)
    }
}

impl Start for Hostile {
    fn rewrite(_request: start::Request) -> Result<Option<String>, Error> {
        misbehave("start").map(Answer::json)
    }
}

impl Event for Hostile {
    fn observe(_notices: Vec<event::Notice>) -> Result<(), Error> {
        misbehave("event").map(drop)
    }
}

flocker_plugin::export!(Hostile: Request, Route, Map, Start, Event);

impl Answer {
    fn json(self) -> Option<String> {
        match self {
            Self::Json(json) => Some(json),
            Self::Nothing | Self::Lie | Self::Name(_) | Self::Headers(_) => None,
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "standard output is a way to write a lot"
)]
fn misbehave(hook: &str) -> Result<Answer, Error> {
    let config: Config = config::table()?;
    if config.hook != hook {
        return Ok(Answer::Nothing);
    }
    match config.behaviour {
        Behaviour::Loop => endless(),
        Behaviour::Recurse => Ok(Answer::Json(deep(black_box(u64::MAX)).to_string())),
        Behaviour::Memory => hoard(),
        Behaviour::Trap => std::process::abort(),
        Behaviour::Panic => panic!("hostile panics"),
        Behaviour::Giant => giant().map(Answer::Json),
        Behaviour::BadJson => Ok(Answer::Json("{\"".into())),
        Behaviour::ArrayJson => Ok(Answer::Json("[]".into())),
        Behaviour::Lie => Ok(Answer::Lie),
        Behaviour::Fail => Err(Error::fail("hostile fails")),
        Behaviour::Refuse => Err(Error::refuse(418, "hostile refuses")),
        Behaviour::Log => Ok(chatter(1024, |text| log::info(text))),
        Behaviour::Print => Ok(chatter(64, |text| println!("{text}"))),
        Behaviour::Requests => Ok(knock()),
        Behaviour::Keys => hammer(),
        Behaviour::Fill => fill(),
        Behaviour::Midway => midway(),
        Behaviour::GiantKey => Ok(keyspace::get(&long(32)).map(|_| Answer::Nothing)?),
        Behaviour::GiantValue => {
            Ok(keyspace::set("k", long(32).as_bytes(), None).map(|()| Answer::Nothing)?)
        }
        Behaviour::GiantMessage => {
            log::info(long(32));
            Ok(Answer::Nothing)
        }
        Behaviour::GiantConfig => {
            config::get(&long(32));
            Ok(Answer::Nothing)
        }
        Behaviour::GiantReason => Err(Error::fail(long(12))),
        Behaviour::GiantRefusal => Err(Error::refuse(418, long(12))),
        Behaviour::GiantName => Ok(Answer::Name(long(12))),
        Behaviour::Headers => Ok(Answer::Headers(100_000)),
    }
}

fn long(mebibytes: usize) -> String {
    "x".repeat(mebibytes << 20)
}

fn chatter(times: usize, say: impl Fn(&str)) -> Answer {
    let text = long(1);
    for _ in 0..times {
        say(&text);
    }
    Answer::Nothing
}

fn knock() -> Answer {
    for _ in 0..10_000 {
        // That it is denied is the point.
        let _ = http::get("http://not.granted").send();
    }
    Answer::Nothing
}

fn hammer() -> Result<Answer, Error> {
    let mut number = 0_u64;
    loop {
        keyspace::set("k", &number.to_le_bytes(), None)?;
        number += 1;
    }
}

fn fill() -> Result<Answer, Error> {
    let value = long(1);
    for number in 0_u64.. {
        keyspace::set(&number.to_string(), value.as_bytes(), None)?;
    }
    Ok(Answer::Nothing)
}

fn midway() -> Result<Answer, Error> {
    if keyspace::get("before")?.is_some() {
        return Ok(Answer::Nothing);
    }
    keyspace::set("before", b"the trap", None)?;
    std::process::abort()
}

fn endless() -> ! {
    loop {
        black_box(());
    }
}

/// Needs nothing but the call stack: locals in memory would meet the end of the memory first.
fn deep(levels: u64) -> u64 {
    match levels {
        0 => 1,
        more => (deep(more - 1) ^ more).rotate_left(5),
    }
}

fn hoard() -> ! {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Makes a JSON object of 64 MiB, without a loop over its bytes: it should be too long, not too slow.
fn giant() -> Result<String, Error> {
    let mut json = vec![b'x'; 64 << 20];
    let (head, tail) = (b"{\"giant\":\"", b"\"}");
    let end = json.len() - tail.len();
    json[..head.len()].copy_from_slice(head);
    json[end..].copy_from_slice(tail);
    String::from_utf8(json).map_err(|error| Error::fail(error.to_string()))
}

fn respond_with(headers: Vec<(String, String)>) -> Verdict {
    Verdict::Respond(request::Response {
        status: 200,
        headers,
        body: Vec::new(),
    })
}

fn respond(status: u16, body: String) -> Verdict {
    Verdict::Respond(request::Response {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into(),
    })
}

#[cfg(test)]
mod tests {
    use flocker_plugin::testing;
    use serde_json::{Value, json};

    use super::*;

    fn route(behaviour: &str) -> Result<Decision, Error> {
        let config = json!({"hook": "route", "behaviour": behaviour});
        let mut flock = testing::Flock::new().config(config);
        flock.call(|| Hostile::place(testing::create("{}")))
    }

    #[test]
    fn what_can_be_seen_natively_misbehaves_as_told() {
        assert_eq!(route("lie"), Ok(Decision::to("nowhere")));
        assert_eq!(route("fail"), Err(Error::fail("hostile fails")));
        assert_eq!(route("refuse"), Err(Error::refuse(418, "hostile refuses")));
        for (behaviour, body) in [("bad-json", "{\""), ("array-json", "[]")] {
            let expected = Decision::no_opinion().with_body(body);
            assert_eq!(route(behaviour), Ok(expected));
        }
    }

    #[test]
    fn the_giant_is_an_object_of_64_mib() {
        let giant = giant().expect("it is ASCII");
        assert_eq!(giant.len(), 64 << 20);
        assert!(serde_json::from_str::<Value>(&giant).is_ok_and(|value| value.is_object()));
    }

    #[test]
    fn the_other_hooks_have_no_opinion() {
        let config = json!({"hook": "route", "behaviour": "panic"});
        let mut flock = testing::Flock::new().config(config);
        let verdict = flock.call(|| Hostile::handle(testing::call("GET", "/info")));
        assert_eq!(verdict, Ok(Verdict::Proceed));
    }
}
