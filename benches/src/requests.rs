//! Small GETs: an inspect of 2 KB, on connections that are kept alive and on one for each.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::metered,
    daemon::{Daemon, Script, id},
    http::Connection,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, cpu_each, interleave},
    socket::{Address, Transport},
};

const FIGURES: [Figure; 2] = [
    Figure::new(
        Unit::more("requests/s"),
        Some(Mark::Of(Kind::HaproxySplice, 1.0)),
    ),
    Figure::new(
        Unit::less("us CPU each"),
        Some(Mark::Of(Kind::HaproxySplice, 1.0)),
    ),
];

/// The load of one row.
#[derive(Clone, Copy)]
struct Load {
    path: &'static str,
    connections: usize,
    kept: bool,
}

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let wiring = (Transport::Tcp, Transport::Tcp);
    let contestants = Contestant::start_all(setup, &Kind::SIDE_BY_SIDE, wiring, &daemon);
    let contestants = runtime.block_on(contestants)?;
    let time = setup.size(Duration::from_millis(500), Duration::from_millis(250));
    let mut rows = Vec::new();
    for load in loads(setup) {
        rows.extend(interleave(
            setup,
            &load.name(),
            &FIGURES,
            &contestants,
            |contestant| runtime.block_on(sample(contestant, load, time)),
        )?);
    }
    Ok(rows)
}

fn loads(setup: &Setup) -> Vec<Load> {
    let inspects = setup.size(&[1, 32, 256][..], &[1, 32][..]);
    let of = |kept| {
        inspects.iter().map(move |connections| Load {
            path: "json",
            connections: *connections,
            kept,
        })
    };
    let plain = Load {
        path: "top",
        connections: 32,
        kept: true,
    };
    of(true).chain([plain]).chain(of(false)).collect()
}

impl Load {
    fn name(self) -> String {
        let what = match self.path {
            "json" => "inspect",
            _ => "top, to which nothing is added",
        };
        let kept = if self.kept {
            "kept alive"
        } else {
            "each on a new one"
        };
        format!("{what}, 2 KB, {} connections, {kept}", self.connections)
    }

    fn request(self) -> Arc<[u8]> {
        let connection = if self.kept {
            ""
        } else {
            "Connection: close\r\n"
        };
        let text = format!(
            "GET /v1.41/containers/{}/{} HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\n{connection}\r\n",
            id(0, 0),
            self.path
        );
        text.into_bytes().into()
    }
}

async fn sample(contestant: &Contestant, load: Load, time: Duration) -> Result<Sample> {
    let expected = first_answer(&contestant.address, load).await?;
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(Connection::open(&contestant.address).await?);
    }
    let work = drive(clients, &contestant.address, load, expected, time);
    let (requests, cost) = metered(contestant.process(), work).await?;
    let count = requests as f64;
    Ok(vec![
        Some(count / cost.elapsed.as_secs_f64()),
        cpu_each(contestant, &cost, count, 1e6),
    ])
}

/// Looks closely at one answer; the others must be the same.
async fn first_answer(address: &Address, load: Load) -> Result<Arc<[u8]>> {
    let mut connection = Connection::open(address).await?;
    let head = connection.ask(&load.request()).await?;
    head.expect(200)?;
    let mut body = Vec::new();
    let length = connection.body(&head, |part| {
        body.extend_from_slice(part);
        Ok(())
    });
    let length = length.await?;
    let said: Value = serde_json::from_slice(&body).context("the answer's JSON")?;
    ensure!(length >= 2000, "only {length} bytes");
    ensure!(
        load.path != "json" || said["Id"] == id(0, 0),
        "another container"
    );
    Ok(body.into())
}

/// Asks on all connections until the time is over; returns how often.
async fn drive(
    clients: Vec<Connection>,
    address: &Address,
    load: Load,
    expected: Arc<[u8]>,
    time: Duration,
) -> Result<u64> {
    let (deadline, request) = (Instant::now() + time, load.request());
    let mut tasks = JoinSet::new();
    for client in clients {
        let (address, request) = (address.clone(), request.clone());
        let expected = expected.clone();
        tasks.spawn(async move {
            match load.kept {
                true => keep(client, &request, &expected, deadline).await,
                false => renew(client, &address, &request, &expected, deadline).await,
            }
        });
    }
    let mut requests = 0;
    while let Some(done) = tasks.join_next().await {
        requests += done??;
    }
    Ok(requests)
}

async fn keep(
    mut connection: Connection,
    request: &[u8],
    expected: &[u8],
    deadline: Instant,
) -> Result<u64> {
    let mut requests = 0;
    while Instant::now() < deadline {
        once(&mut connection, request, expected).await?;
        requests += 1;
    }
    Ok(requests)
}

async fn renew(
    mut connection: Connection,
    address: &Address,
    request: &[u8],
    expected: &[u8],
    deadline: Instant,
) -> Result<u64> {
    let mut requests = 0;
    loop {
        once(&mut connection, request, expected).await?;
        ensure!(connection.head().await?.is_none(), "the connection goes on");
        requests += 1;
        if Instant::now() >= deadline {
            return Ok(requests);
        }
        connection = Connection::open(address).await?;
    }
}

async fn once(connection: &mut Connection, request: &[u8], expected: &[u8]) -> Result<()> {
    let head = connection.ask(request).await?;
    head.expect(200)?;
    let (mut at, mut same) = (0, true);
    let length = connection.body(&head, |part| {
        same &= expected.get(at..at + part.len()) == Some(part);
        at += part.len();
        Ok(())
    });
    let length = length.await?;
    ensure!(
        same && length == expected.len() as u64,
        "another answer than the first"
    );
    Ok(())
}
