//! `POST /containers/create` of 2 KB over three hosts, with and without the route plugin.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    contestants::{Contestant, Flock, Kind, Setup},
    cpu::metered,
    daemon::{Daemon, Script},
    http::Connection,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, cpu_each, interleave},
    socket::Transport,
};

const HOSTS: usize = 3;
/// The length of a create's body.
const BODY: usize = 2048;
const FIGURES: [Figure; 2] = [
    Figure::new(Unit::more("creates/s"), None),
    Figure::new(Unit::less("us CPU each"), None),
];
const PLUGIN: Figure = Figure::new(Unit::less("us CPU each"), Some(Mark::Is(10.0)));

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(HOSTS, 10))?;
    let first = daemon.addresses.first().context("no host")?;
    let direct = Contestant::start(setup, Kind::Direct, Transport::Tcp, first);
    let mut contestants = vec![runtime.block_on(direct)?];
    for kind in Kind::FLOCKERDS {
        let flock = Flock::of(&daemon.addresses);
        contestants.push(runtime.block_on(flock.start(setup, kind))?);
    }
    let time = setup.size(Duration::from_millis(500), Duration::from_millis(250));
    let create = Arc::new(Create::new());
    let mut rows = Vec::new();
    for clients in [1, 32] {
        let what = format!("create, 2 KB, {HOSTS} hosts, {clients} clients");
        let measured = interleave(setup, &what, &FIGURES, &contestants, |contestant| {
            runtime.block_on(sample(contestant, clients, time, &create))
        })?;
        let surcharge = measured.get(1).map(|cpu| surcharge(&what, cpu));
        rows.extend(measured);
        rows.extend(surcharge.inspect(Row::report));
    }
    Ok(rows)
}

/// What the plugin adds, round by round.
fn surcharge(what: &str, cpu: &Row) -> Row {
    let of = |kind| cpu.samples.get(&kind).cloned().unwrap_or_default();
    let plain = of(Kind::Flockerd);
    let more = |kind| {
        let pairs = of(kind).into_iter().zip(&plain);
        (kind, pairs.map(|(with, without)| with - without).collect())
    };
    Row {
        what: format!("{what}: what the plugin adds"),
        figure: PLUGIN,
        samples: [Kind::FlockerdRoute, Kind::FlockerdWarm].map(more).into(),
    }
}

/// The creates of all clients, each with a name of its own.
pub(crate) struct Create {
    number: AtomicU64,
    body: String,
}

impl Create {
    pub(crate) fn new() -> Self {
        let mut environment: Vec<String> = Vec::new();
        let body = loop {
            let body = json!({
                "Image": "busybox", "Cmd": ["sleep", "infinity"], "Env": environment,
                "Labels": {"com.example.team": "web", "com.example.service": "frontend"},
                "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no"}, "Memory": 0, "Binds": null},
                "NetworkingConfig": {"EndpointsConfig": {}}
            });
            let body = body.to_string();
            if body.len() >= BODY {
                break body;
            }
            environment.push(format!("VARIABLE_{}=some value of it", environment.len()));
        };
        Self {
            number: AtomicU64::new(0),
            body,
        }
    }

    /// Creates one container.
    pub(crate) async fn send(&self, connection: &mut Connection) -> Result<()> {
        let head = connection.ask(self.request().as_bytes()).await?;
        head.expect(201)?;
        let mut body = Vec::new();
        connection
            .body(&head, |part| {
                body.extend_from_slice(part);
                Ok(())
            })
            .await?;
        let said: Value = serde_json::from_slice(&body)?;
        let id = said["Id"].as_str().context("no id")?;
        ensure!(id.len() == 64, "an id of {} digits", id.len());
        Ok(())
    }

    fn request(&self) -> String {
        let (number, length) = (self.number.fetch_add(1, Ordering::Relaxed), self.body.len());
        format!(
            "POST /v1.41/containers/create?name=bench-{number} HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\nContent-Length: {length}\r\nContent-Type: application/json\r\n\r\n{}",
            self.body
        )
    }
}

async fn sample(
    contestant: &Contestant,
    clients: usize,
    time: Duration,
    create: &Arc<Create>,
) -> Result<Sample> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(&contestant.address).await?);
    }
    let deadline = Instant::now() + time;
    let mut tasks = JoinSet::new();
    let work = async {
        for connection in connections {
            tasks.spawn(client(connection, create.clone(), deadline));
        }
        let mut creates = 0;
        while let Some(done) = tasks.join_next().await {
            creates += done??;
        }
        Ok(creates)
    };
    let (creates, cost) = metered(contestant.process(), work).await?;
    let count = creates as f64;
    Ok(vec![
        Some(count / cost.elapsed.as_secs_f64()),
        cpu_each(contestant, &cost, count, 1e6),
    ])
}

/// Creates one container after the other; returns how many.
async fn client(mut connection: Connection, create: Arc<Create>, deadline: Instant) -> Result<u64> {
    let mut creates = 0;
    while Instant::now() < deadline {
        create.send(&mut connection).await?;
        creates += 1;
    }
    Ok(creates)
}
