//! The pieces of work whose instructions are counted, each done one after the other.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{CONTAINERS, HOSTS};
use crate::{
    creates::Create,
    daemon::{Daemon, id},
    http::{Connection, request},
    session::{Way, attach},
    socket::Address,
};

/// Who works, and who can be told to.
pub(super) struct Target<'a> {
    flockerd: &'a Address,
    daemon: &'a Daemon,
    create: Create,
}

impl<'a> Target<'a> {
    pub(super) fn new(flockerd: &'a Address, daemon: &'a Daemon) -> Self {
        Self {
            flockerd,
            daemon,
            create: Create::new(),
        }
    }
}

/// A kind of work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    /// An answer that something is added to.
    Inspect,
    /// One that nothing is added to.
    Top,
    /// The same over a connection of its own.
    Connection,
    Create,
    CreateFresh,
    CreateWarm,
    /// A container of a list of many hosts.
    Listed,
    /// An attached session: one byte there and back.
    Session,
    Event,
    /// A kilobyte of a log of short lines.
    Log,
}

impl Piece {
    /// What flockerd does without a plugin.
    pub(super) const PLAIN: [Self; 8] = [
        Self::Inspect,
        Self::Top,
        Self::Connection,
        Self::Create,
        Self::Listed,
        Self::Session,
        Self::Event,
        Self::Log,
    ];

    /// What the record calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Top => "top",
            Self::Connection => "top, new connection",
            Self::Create => "create",
            Self::CreateFresh => "create, route fresh",
            Self::CreateWarm => "create, route warm",
            Self::Listed => "ps, a container",
            Self::Session => "session",
            Self::Event => "event",
            Self::Log => "log, a KB",
        }
    }

    /// How often it is done, in the short run and in the long one.
    pub(super) fn times(self) -> (u64, u64) {
        match self {
            Self::Listed => (4, 20),
            Self::Log => (1 << 10, 9 << 10),
            Self::Session => (10, 60),
            _ => (50, 250),
        }
    }

    /// How many it does at once.
    pub(super) fn parts(self) -> u64 {
        match self {
            Self::Listed => (HOSTS * CONTAINERS) as u64,
            _ => 1,
        }
    }

    pub(super) async fn work(self, target: &Target<'_>, times: u64) -> Result<()> {
        match self {
            Self::Inspect => ask(target, &container("json"), times).await,
            Self::Top => ask(target, &container("top"), times).await,
            Self::Connection => connect(target, times).await,
            Self::Create | Self::CreateFresh | Self::CreateWarm => create(target, times).await,
            Self::Listed => ask(target, "/v1.41/containers/json?all=1", times).await,
            Self::Session => attend(target, times).await,
            Self::Event => follow(target, times).await,
            Self::Log => read(target, times).await,
        }
    }
}

fn container(what: &str) -> String {
    format!("/v1.41/containers/{}/{what}", id(0, 0))
}

async fn ask(target: &Target<'_>, path: &str, times: u64) -> Result<()> {
    let mut connection = Connection::open(target.flockerd).await?;
    let (_, first) = connection.get(path).await?;
    ensure!(first.len() > 2000, "only {} bytes", first.len());
    for _ in 0..times {
        let (head, body) = connection.get(path).await?;
        ensure!(head.missing.is_none(), "{:?} are missing", head.missing);
        ensure!(body.len() == first.len(), "another answer than the first");
    }
    Ok(())
}

async fn connect(target: &Target<'_>, times: u64) -> Result<()> {
    let asked = request("GET", &container("top"));
    let asked = asked.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    for _ in 0..times {
        let mut connection = Connection::open(target.flockerd).await?;
        let head = connection.ask(asked.as_bytes()).await?;
        head.expect(200)?;
        connection.body(&head, |_| Ok(())).await?;
        ensure!(connection.head().await?.is_none(), "the connection goes on");
    }
    Ok(())
}

async fn create(target: &Target<'_>, times: u64) -> Result<()> {
    let mut connection = Connection::open(target.flockerd).await?;
    for _ in 0..times {
        target.create.send(&mut connection).await?;
    }
    Ok(())
}

async fn attend(target: &Target<'_>, times: u64) -> Result<()> {
    for _ in 0..times {
        let mut session = attach(target.flockerd, Way::Echo, 0).await?;
        session.write_all(b"x").await?;
        ensure!(session.read_u8().await? == b'x', "not what was sent");
        session.shutdown().await?;
        // When both ends are closed, all is done.
        ensure!(session.read(&mut [0]).await? == 0, "more than was sent");
    }
    Ok(())
}

async fn follow(target: &Target<'_>, times: u64) -> Result<()> {
    let mut connection = Connection::open(target.flockerd).await?;
    let asked = request("GET", "/v1.41/events");
    connection.ask(asked.as_bytes()).await?.expect(200)?;
    for _ in 0..times {
        target
            .daemon
            .tell("/bench/events?count=1&rate=1000000")
            .await?;
        let size = connection.chunk().await?.context("the stream ended")?;
        connection.exactly(size, &mut |_| Ok(())).await?;
        connection.line_end().await?;
    }
    Ok(())
}

async fn read(target: &Target<'_>, kilobytes: u64) -> Result<()> {
    let bytes = kilobytes << 10;
    let path = container(&format!("logs?follow=1&stdout=1&bytes={bytes}"));
    let mut connection = Connection::open(target.flockerd).await?;
    let (_, log) = connection.get(&path).await?;
    ensure!(log.len() as u64 == bytes, "{} of {bytes} bytes", log.len());
    Ok(())
}
