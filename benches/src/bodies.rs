//! Large plain bodies: an image's export, the upload of `docker load`, the log of a busy container.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    contestants::{Contestant, Kind, Setup},
    cpu::metered,
    daemon::{Daemon, Script, id},
    http::{Connection, request},
    pattern::Pattern,
    runtime,
    sample::{Figure, Mark, Row, Sample, Unit, cpu_each, interleave},
    socket::{Address, Transport},
};

const FIGURES: [Figure; 2] = [
    Figure::new(Unit::more("GB/s"), None),
    Figure::new(
        Unit::less("s CPU per GB"),
        Some(Mark::Of(Kind::HaproxySplice, 1.05)),
    ),
];

/// What the docker CLI sends at once.
const CHUNK: u64 = 32 << 10;

#[derive(Clone, Copy)]
enum Body {
    Export,
    Load,
    Logs,
}

pub(crate) fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let daemon = Daemon::start(setup, Script::hosts(1, 1))?;
    let wiring = (Transport::Tcp, Transport::Tcp);
    let contestants = Contestant::start_all(setup, &Kind::SIDE_BY_SIDE, wiring, &daemon);
    let contestants = runtime.block_on(contestants)?;
    let pattern = Pattern::new();
    let mut rows = Vec::new();
    for (what, body) in [
        ("image export, chunks of 32 KiB", Body::Export),
        ("docker load", Body::Load),
        ("logs -f, lines of 128 bytes", Body::Logs),
    ] {
        let bytes = match body {
            Body::Export | Body::Load => setup.size(1 << 30, 64 << 20),
            Body::Logs => setup.size(1 << 27, 16 << 20),
        };
        rows.extend(interleave(
            setup,
            what,
            &FIGURES,
            &contestants,
            |contestant| runtime.block_on(sample(contestant, body, bytes, &pattern)),
        )?);
    }
    Ok(rows)
}

async fn sample(
    contestant: &Contestant,
    body: Body,
    bytes: u64,
    pattern: &Pattern,
) -> Result<Sample> {
    let address = &contestant.address;
    let work = async {
        match body {
            Body::Export => export(address, bytes, pattern).await,
            Body::Load => load(address, bytes, pattern).await,
            Body::Logs => {
                let path = format!(
                    "/v1.41/containers/{}/logs?follow=1&stdout=1&bytes={bytes}",
                    id(0, 0)
                );
                download(address, &path, bytes, pattern).await
            }
        }
    };
    let ((), cost) = metered(contestant.process(), work).await?;
    let gigabytes = bytes as f64 / 1e9;
    Ok(vec![
        Some(gigabytes / cost.elapsed.as_secs_f64()),
        cpu_each(contestant, &cost, gigabytes, 1.0),
    ])
}

/// Fetches an image of so many bytes.
pub(crate) async fn export(address: &Address, bytes: u64, pattern: &Pattern) -> Result<()> {
    let path = format!("/v1.41/images/busybox/get?bytes={bytes}");
    download(address, &path, bytes, pattern).await
}

async fn download(address: &Address, path: &str, bytes: u64, pattern: &Pattern) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let head = connection.ask(request("GET", path).as_bytes()).await?;
    head.expect(200)?;
    let mut at = 0;
    let length = connection.body(&head, |part| {
        let offset = at;
        at += part.len() as u64;
        pattern.check(offset, part)
    });
    let length = length.await?;
    ensure!(length == bytes, "{length} bytes came, not {bytes}");
    Ok(())
}

async fn load(address: &Address, bytes: u64, pattern: &Pattern) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let head = "POST /v1.41/images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-tar\r\n\r\n";
    connection.send(head.as_bytes()).await?;
    let (mut sent, mut chunk) = (0, Vec::new());
    while sent < bytes {
        let slice = pattern.slice(sent, CHUNK.min(bytes - sent));
        chunk.clear();
        chunk.extend_from_slice(format!("{:x}\r\n", slice.len()).as_bytes());
        chunk.extend_from_slice(slice);
        chunk.extend_from_slice(b"\r\n");
        connection.send(&chunk).await?;
        sent += slice.len() as u64;
    }
    let head = connection.ask(b"0\r\n\r\n").await?;
    head.expect(200)?;
    let mut said = Vec::new();
    connection
        .body(&head, |part| {
            said.extend_from_slice(part);
            Ok(())
        })
        .await?;
    let said: Value = serde_json::from_slice(&said).context("the daemon's answer")?;
    let expected = format!("received {bytes}\n");
    ensure!(said["stream"] == expected, "the daemon says {said}");
    Ok(())
}
