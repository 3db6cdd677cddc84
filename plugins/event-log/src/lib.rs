//! Writes what happens in the flock into flockerd's log, a line each: `node1 container start web`,
//! `node2 down: connection refused (2 of 3 up)`.
//!
//! ```toml
//! [[plugin]]
//! path = "event_log.wasm"
//! [plugin.config]                           # without the table everything is written
//! kinds = ["container"]                     # of what daemons say: container, image, network, volume
//! actions = ["start", "die", "oom"]         # without their details: exec_create
//! ```
//!
//! What becomes of the backends is always written, and how many notices were dropped.

use flocker_plugin::{
    Error, Event, Health, config,
    event::{DockerEvent, Notice, What},
    flock, log,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    kinds: Option<Vec<String>>,
    actions: Option<Vec<String>>,
}

struct EventLog;

impl Event for EventLog {
    fn observe(notices: Vec<Notice>) -> Result<(), Error> {
        let config: Config = config::table()?;
        for notice in notices {
            if notice.dropped > 0 {
                log::warn(format!("{} notices were dropped here", notice.dropped));
            }
            write(&config, &notice);
        }
        Ok(())
    }
}

flocker_plugin::export!(EventLog: Event);

fn write(config: &Config, notice: &Notice) {
    let backend = &notice.backend;
    match &notice.what {
        What::Docker(event) if !config.wants(event) => {}
        What::Docker(event) => log::info(format!("{backend} {}", told(event))),
        What::Joined => log::info(format!("{backend} joined {}", health())),
        What::Up => log::info(format!("{backend} up {}", health())),
        What::Down(reason) => log::warn(format!("{backend} down: {reason} {}", health())),
        What::Left => log::info(format!("{backend} left {}", health())),
    }
}

impl Config {
    fn wants(&self, event: &DockerEvent) -> bool {
        let named = |names: &Option<Vec<String>>, name: &str| {
            names
                .as_ref()
                .is_none_or(|names| names.iter().any(|known| known == name))
        };
        named(&self.kinds, &event.kind) && named(&self.actions, event.verb())
    }
}

/// `(2 of 3 up)`
fn health() -> String {
    let backends = flock::backends();
    let up = backends
        .iter()
        .filter(|backend| backend.health == Health::Up);
    format!("({} of {} up)", up.count(), backends.len())
}

/// `container die web exit 137`
fn told(event: &DockerEvent) -> String {
    let name = event.attribute("name").unwrap_or(&event.id);
    let told = format!("{} {} {name}", event.kind, event.action);
    match event.attribute("exitCode") {
        Some(code) => format!("{told} exit {code}"),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use flocker_plugin::testing::{Flock, backend, docker_event, notice};
    use serde_json::{Value, json};

    use super::*;

    fn lines(config: Value, notices: Vec<Notice>) -> Vec<String> {
        let mut flock = Flock::new().config(config).backend(backend("node1", 0));
        let written = flock.call(|| EventLog::observe(notices));
        written.expect("the table is right");
        flock.log().to_vec()
    }

    fn notices() -> Vec<Notice> {
        let docker = |kind: &str, action: &str, attributes: &[(&str, &str)]| {
            notice(
                "node1",
                What::Docker(docker_event(kind, action, "c0ffee", attributes)),
            )
        };
        vec![
            notice("node1", What::Joined),
            notice("node1", What::Up),
            docker("container", "exec_create: sh -c ls", &[("name", "web")]),
            docker("container", "die", &[("name", "web"), ("exitCode", "137")]),
            docker("volume", "create", &[]),
            Notice {
                dropped: 7,
                ..notice("node1", What::Down("no route".into()))
            },
            notice("node1", What::Left),
        ]
    }

    #[test]
    fn everything_is_a_line() {
        let expected = [
            "info node1 joined (1 of 1 up)",
            "info node1 up (1 of 1 up)",
            "info node1 container exec_create: sh -c ls web",
            "info node1 container die web exit 137",
            "info node1 volume create c0ffee",
            "warn 7 notices were dropped here",
            "warn node1 down: no route (1 of 1 up)",
            "info node1 left (1 of 1 up)",
        ];
        assert_eq!(lines(json!({}), notices()), expected);
    }

    #[test]
    fn only_what_is_named_is_written_of_what_daemons_say() {
        let config = json!({"kinds": ["container"], "actions": ["exec_create", "create"]});
        let lines = lines(config, notices());
        let said = lines
            .iter()
            .filter(|line| line.contains("container") || line.contains("volume"));
        assert_eq!(
            said.collect::<Vec<_>>(),
            ["info node1 container exec_create: sh -c ls web"]
        );
        assert_eq!(lines.len(), 6);
    }
}
