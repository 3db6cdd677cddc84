//! `flockerd plugin status`: what the plugins of a running flockerd did so far.

use std::{env, fmt::Write, time::Duration};

use http::Request;
use serde::Deserialize;

use crate::{address::Address, backend::Backend, config::Problem, docker, proxy::STATUS};

/// How long the running flockerd may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_MAX: usize = 16 << 20;

/// What a running flockerd tells of a plugin.
#[derive(Deserialize)]
struct Told {
    name: String,
    hooks: Vec<String>,
    digest: String,
    source: String,
    pinned: Option<String>,
    calls: u64,
    failures: u64,
    rests_seconds: f64,
    shadowed: u64,
    disagreements: u64,
    events: u64,
    events_dropped: u64,
    last_failure: Option<Failure>,
}

/// What a daemon, or a plugin that refuses, says.
#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct Failure {
    hook: String,
    seconds_ago: u64,
    reason: String,
    trace: Option<String>,
}

/// Asks the flockerd at an address, by default where the docker CLI would go.
pub(super) async fn status(host: Option<&str>) -> Result<String, Problem> {
    let from_environment = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = host.map(str::to_owned).or(from_environment);
    let host = host.unwrap_or_else(|| "tcp://127.0.0.1:2375".to_owned());
    let wrong = |reason: String| {
        Problem::new(
            format!("{host}: {reason}"),
            "give the address of a running flockerd with --host",
        )
    };
    let address: Address = host.parse().map_err(|error| wrong(format!("{error}")))?;
    let flockerd = Backend::new("flockerd", address, Vec::new(), PATIENCE);
    let request = Request::get(STATUS).header("host", "docker");
    let request = request
        .body(docker::empty())
        .map_err(|error| wrong(error.to_string()))?;
    let asked = async {
        let answer = flockerd.probe(request).await?;
        let status = answer.status();
        let body = docker::collect(answer.into_body(), ANSWER_MAX).await?;
        Ok::<_, crate::error::Error>((status, body))
    };
    let late = |_| wrong(format!("no answer within {PATIENCE:?}"));
    let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(late)?;
    let (status, body) = answer.map_err(|error| wrong(error.to_string()))?;
    if !status.is_success() {
        let said = serde_json::from_slice::<Message>(&body).ok();
        let said = said.map_or("is it a flockerd?".to_owned(), |said| said.message);
        return Err(wrong(format!("it answered {status}: {said}")));
    }
    let plugins: Vec<Told> =
        serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
    Ok(plugins.iter().map(Told::describe).collect())
}

impl Told {
    fn describe(&self) -> String {
        let mut text = format!("{} ({})\n", self.name, self.hooks.join(", "));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  source   {}", self.source);
        if let Some(pinned) = &self.pinned {
            let _ = writeln!(text, "  pinned   {pinned}");
        }
        let _ = writeln!(text, "  sha256   {}", self.digest);
        let _ = writeln!(text, "  calls    {}, {} failed", self.calls, self.failures);
        if self.shadowed > 0 {
            let _ = writeln!(
                text,
                "  shadow   disagreed {} times of {}",
                self.disagreements, self.shadowed
            );
        }
        if self.events + self.events_dropped > 0 {
            let _ = writeln!(
                text,
                "  events   {}, {} dropped",
                self.events, self.events_dropped
            );
        }
        if self.rests_seconds > 0.0 {
            let _ = writeln!(text, "  rests    for {:.1} s more", self.rests_seconds);
        }
        if let Some(last) = &self.last_failure {
            let _ = writeln!(
                text,
                "  last failure, in {}, {} s ago: {}",
                last.hook, last.seconds_ago, last.reason
            );
            let trace = last.trace.as_deref().unwrap_or_default();
            trace.lines().for_each(|line| {
                let _ = writeln!(text, "    {line}");
            });
        }
        text
    }
}
