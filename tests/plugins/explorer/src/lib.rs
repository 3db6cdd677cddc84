//! Tries what the body of `POST /explore` tells it to try, and answers what came of it: `{"ok": ...}` or `{"err": "..."}`.
//!
//! ```json
//! {"get": "http://10.0.0.1/"}                     the status and the body's length
//! {"post": {"url": "http://10.0.0.1/", "length": 9}}  with a body of so many bytes
//! {"env": "HOME"}                                 the value
//! {"read": "/file"}                               the text
//! {"write": "/file"}                              writes `x`
//! {"remove": "/file"}
//! {"list": "/"}                                   the names, sorted
//! {"time": 100}                                   unix time in milliseconds, and the milliseconds that sleeping 100 took
//! {"spin": 100}                                   waits for the clock to move on by 100 ms, without sleeping
//! {"random": null}                                two numbers
//! ```

use std::{
    collections::hash_map::RandomState,
    env,
    fmt::Display,
    fs,
    hash::{BuildHasher, Hasher},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use flocker_plugin::{Error, Request, Verdict, body, http, request};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Try {
    Get(String),
    Post { url: String, length: usize },
    Env(String),
    Read(String),
    Write(String),
    Remove(String),
    List(String),
    Time(u64),
    Spin(u64),
    Random(()),
}

struct Explorer;

impl Request for Explorer {
    fn handle(call: request::Call) -> Result<Verdict, Error> {
        if call.path != "/explore" {
            return Ok(Verdict::Proceed);
        }
        let told = body::read()?.unwrap_or_default();
        let answer = match explore(serde_json::from_str(&told)?) {
            Ok(found) => json!({"ok": found}),
            Err(reason) => json!({"err": reason}),
        };
        Verdict::json(200, &answer)
    }
}

flocker_plugin::export!(Explorer: Request);

fn explore(what: Try) -> Result<Value, String> {
    match what {
        Try::Get(url) => answered(http::get(url)),
        Try::Post { url, length } => answered(http::post(url).body(vec![b'x'; length])),
        Try::Env(name) => env::var(name).map(Value::from).map_err(words),
        Try::Read(path) => fs::read_to_string(path).map(Value::from).map_err(words),
        Try::Write(path) => fs::write(path, "x").map(Value::from).map_err(words),
        Try::Remove(path) => fs::remove_file(path).map(Value::from).map_err(words),
        Try::List(path) => list(&path).map(Value::from).map_err(words),
        Try::Time(sleep) => Ok(time(sleep)),
        Try::Spin(wait) => Ok(spin(wait)),
        Try::Random(_) => Ok(json!([random(), random()])),
    }
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn answered(request: http::Request) -> Result<Value, String> {
    let answer = request.send()?;
    Ok(json!([answer.status, answer.body.len()]))
}

fn list(path: &str) -> std::io::Result<Vec<String>> {
    let entries = fs::read_dir(path)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn time(sleep: u64) -> Value {
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(sleep));
    let slept = begun.elapsed().as_millis();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    json!([now as u64, slept as u64])
}

fn spin(wait: u64) -> Value {
    let begun = Instant::now();
    let mut looks = 1;
    while begun.elapsed() < Duration::from_millis(wait) {
        looks += 1;
    }
    looks.into()
}

/// The keys of a hash map are where Rust asks for random numbers.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
