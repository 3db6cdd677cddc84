//! The time that an instance sees: the real one, or one that moves only when it is looked at or slept through.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    HostWallClock, WasiCtxBuilder,
    clocks::WasiClocksCtxView,
    p2::{
        DynPollable, Pollable,
        bindings::clocks::monotonic_clock::{self, Host},
        subscribe,
    },
};

use crate::config::Reality;

use super::imports::Context;

/// When the made-up time begins in every instance: 2000-01-01T00:00:00Z, in seconds since 1970.
const BEGINNING: u64 = 946_684_800;

/// How far it moves with every look, in nanoseconds, so that a loop that waits for it ends.
const STEP: u64 = 1_000_000;

/// The clock of one instance.
#[derive(Clone)]
pub(super) enum Clock {
    Real,
    /// The nanoseconds since the beginning. Clones show the same time.
    Fixed(Arc<AtomicU64>),
}

impl Clock {
    pub(super) fn new(source: Reality) -> Self {
        match source {
            Reality::Real => Self::Real,
            Reality::Fixed => Self::Fixed(Arc::default()),
        }
    }

    /// Makes it the wall clock.
    pub(super) fn set(&self, builder: &mut WasiCtxBuilder) {
        if let Self::Fixed(now) = self {
            builder.wall_clock(Wall(Arc::clone(now)));
        }
    }
}

/// The made-up time of day.
struct Wall(Arc<AtomicU64>);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(STEP)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(BEGINNING) + Duration::from_nanos(look(&self.0))
    }
}

/// Moves the time on and returns it: never zero, which Go takes for a broken clock.
fn look(now: &AtomicU64) -> u64 {
    now.fetch_add(STEP, Ordering::Relaxed) + STEP
}

/// A wait: it takes real time, and the made-up one is moved on to its end.
struct Sleep {
    /// None: for ever.
    until: Option<Instant>,
    /// The end in made-up time.
    wakes: u64,
    now: Arc<AtomicU64>,
    yielded: bool,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        // A guest that polls without waiting must not keep its thread from the sockets it polls.
        if !self.yielded {
            self.yielded = true;
            tokio::task::yield_now().await;
        }
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
        self.now.fetch_max(self.wakes, Ordering::Relaxed);
    }
}

impl Context {
    fn real_clock(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: self.wasi.clocks(),
            table: &mut self.table,
        }
    }

    fn sleep(&mut self, now: Arc<AtomicU64>, wait: u64) -> Result<Resource<DynPollable>> {
        let sleep = Sleep {
            until: Instant::now().checked_add(Duration::from_nanos(wait)),
            wakes: now.load(Ordering::Relaxed).saturating_add(wait),
            now,
            yielded: false,
        };
        let sleep = self.table.push(sleep)?;
        subscribe(&mut self.table, sleep)
    }
}

impl Host for Context {
    fn now(&mut self) -> Result<monotonic_clock::Instant> {
        match &self.clock {
            Clock::Real => self.real_clock().now(),
            Clock::Fixed(now) => Ok(look(now)),
        }
    }

    fn resolution(&mut self) -> Result<monotonic_clock::Duration> {
        match &self.clock {
            Clock::Real => self.real_clock().resolution(),
            Clock::Fixed(_) => Ok(STEP),
        }
    }

    fn subscribe_instant(
        &mut self,
        when: monotonic_clock::Instant,
    ) -> Result<Resource<DynPollable>> {
        match self.clock.clone() {
            Clock::Real => self.real_clock().subscribe_instant(when),
            Clock::Fixed(now) => {
                let wait = when.saturating_sub(now.load(Ordering::Relaxed));
                self.sleep(now, wait)
            }
        }
    }

    fn subscribe_duration(
        &mut self,
        wait: monotonic_clock::Duration,
    ) -> Result<Resource<DynPollable>> {
        match self.clock.clone() {
            Clock::Real => self.real_clock().subscribe_duration(wait),
            Clock::Fixed(now) => self.sleep(now, wait),
        }
    }
}
