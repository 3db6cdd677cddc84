//! The watcher of one backend: finds out what it has, follows its events, probes it, and comes back after a failure.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::{Change, Index, Timing, herald::Herald, index::Stale, listing};
use crate::{
    backend::{Backend, Health},
    docker::{self, event::Event, lines::Lines},
    error::Error,
    plugin::What,
};

/// The pause after a failure, doubled up to `probe_interval`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How many probes in a row may be late before the backend is down.
const MISSES: u32 = 1;
/// How many times the limit reading all lists of a backend may take.
const LISTING: u32 = 6;
/// How long a list that is out of date waits for more news before it is read again.
const SETTLE: Duration = Duration::from_millis(20);

/// How long a list that could not be read waits to be read again.
const RETRY: Duration = Duration::from_secs(2);
/// How often a list is read again because something was removed meanwhile.
const REREADS: usize = 3;

/// Watches until dropped.
pub(super) async fn run(backend: Arc<Backend>, index: Arc<Index>, herald: Herald, timing: Timing) {
    let watch = Watch {
        backend,
        index,
        herald,
        timing,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let mut was_up = false;
        let Err(loss) = watch.follow(&mut was_up).await;
        if was_up {
            pause = FIRST_PAUSE;
        }
        // A daemon that only shed its connections, or was restarted, is back at once and never was down.
        if !was_up || matches!(loss, Loss::Silent(_)) {
            watch.lost(loss.reason());
        }
        sleep(pause).await;
        pause = (pause * 2).min(timing.probe_interval.max(FIRST_PAUSE));
    }
}

struct Watch {
    backend: Arc<Backend>,
    index: Arc<Index>,
    herald: Herald,
    timing: Timing,
}

/// There is no good end of watching.
enum Never {}

/// Why watching ended.
enum Loss {
    /// The daemon let go of a connection, or said something that it should not.
    Broken(Error),
    /// It did not answer in time.
    Silent(Error),
}

impl Loss {
    fn reason(&self) -> &Error {
        match self {
            Self::Broken(reason) | Self::Silent(reason) => reason,
        }
    }
}

impl From<Error> for Loss {
    fn from(reason: Error) -> Self {
        Self::Broken(reason)
    }
}

impl Watch {
    /// Connects, lists, and follows until something fails.
    async fn follow(&self, was_up: &mut bool) -> Result<Never, Loss> {
        let engine = self.within(listing::engine(&self.backend)).await?;
        // The stream is opened before the lists are read: what happens in between is seen twice rather than never.
        let mut events = self.within(self.events()).await?;
        self.limited(self.timing.timeout * LISTING, self.list())
            .await?;
        self.backend.mark_up(engine);
        *was_up = true;
        tracing::info!(backend = %self.backend.name, "backend is up");
        self.herald.tell(Change::Listed(self.backend.name.clone()));
        self.herald.backend(&self.backend.name, What::Up);
        let mut probes = interval(self.timing.probe_interval);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = 0;
        let mut news = News::default();
        let mut refreshes = FuturesUnordered::new();
        loop {
            tokio::select! {
                line = events.next() => news.add(self.event(line)?),
                () = news.settled() => refreshes.extend(news.take().map(|stale| self.refresh(stale))),
                Some(late) = refreshes.next(), if !refreshes.is_empty() => news.again(late),
                _ = probes.tick() => match self.within(self.ping()).await {
                    // Busy, perhaps: one answer that is late cuts nobody off.
                    Err(Loss::Silent(_)) if missed < MISSES => missed += 1,
                    pinged => missed = pinged.map(|()| 0)?,
                },
            }
        }
    }

    fn lost(&self, reason: &Error) {
        let reason = match reason {
            Error::Backend { reason, .. } | Error::BadAnswer { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        let before = self.backend.status();
        if before.reason != reason {
            tracing::warn!(backend = %self.backend.name, reason, "backend is down");
        }
        self.backend.mark_down(&reason);
        if before.health != Health::Down {
            self.herald.backend(&self.backend.name, What::Down(reason));
        }
    }

    async fn within<T>(&self, step: impl Future<Output = Result<T, Error>>) -> Result<T, Loss> {
        self.limited(self.timing.timeout, step).await
    }

    async fn limited<T>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Loss> {
        match timeout(limit, step).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Loss::Silent(
                self.failed(format!("no answer within {limit:?}")),
            )),
        }
    }

    fn failed(&self, reason: impl ToString) -> Error {
        Error::backend(&self.backend.name, reason)
    }

    async fn events(&self) -> Result<Lines, Error> {
        let filters =
            "%7B%22type%22%3A%5B%22container%22%2C%22network%22%2C%22volume%22%2C%22image%22%5D%7D";
        let response = listing::get(&self.backend, &format!("/events?filters={filters}")).await?;
        Ok(Lines::new(response.into_body()))
    }

    async fn list(&self) -> Result<(), Error> {
        let _turn = self.backend.listing.lock().await;
        let listing = listing::listing(&self.backend).await?;
        self.index.replace(&self.backend.name, listing).await;
        Ok(())
    }

    async fn ping(&self) -> Result<(), Error> {
        let response = listing::get(&self.backend, "/_ping").await?;
        docker::collect(response.into_body(), 1024).await.map(drop)
    }

    /// Reads a list again that events did not tell enough about; returns it when that failed.
    async fn refresh(&self, stale: Stale) -> Option<Stale> {
        let refreshed = refresh(
            &self.backend,
            &self.index,
            stale,
            self.timing.timeout * LISTING,
        );
        let error = refreshed.await.err()?;
        tracing::warn!(backend = %self.backend.name, %error, ?stale, "a list cannot be read");
        Some(stale)
    }

    fn event(
        &self,
        line: Result<Option<bytes::Bytes>, docker::BodyError>,
    ) -> Result<Option<Stale>, Error> {
        let line = line
            .map_err(|e| self.failed(e))?
            .ok_or_else(|| self.failed("its event stream ended"))?;
        let event: Event =
            serde_json::from_slice(&line).map_err(|e| self.failed(format!("its events: {e}")))?;
        let stale = self.index.follow(&self.backend.name, &event);
        if let Some(id) = event.affected_container() {
            self.herald.tell(Change::Container {
                backend: self.backend.name.clone(),
                id: id.to_owned(),
            });
        }
        self.herald.event(&self.backend.name, &line);
        Ok(stale)
    }
}

/// Lists that are out of date.
#[derive(Default)]
struct News {
    stale: BTreeSet<Stale>,
    at: Option<Instant>,
}

impl News {
    fn add(&mut self, stale: Option<Stale>) {
        if let Some(stale) = stale {
            if self.stale.is_empty() {
                self.at = Some(Instant::now() + SETTLE);
            }
            self.stale.insert(stale);
        }
    }

    /// The lists to read again now.
    fn take(&mut self) -> impl Iterator<Item = Stale> + use<> {
        std::mem::take(&mut self.stale).into_iter()
    }

    /// Notes a list that could not be read, to be read again after a while.
    fn again(&mut self, late: Option<Stale>) {
        if let Some(stale) = late {
            self.at = Some(Instant::now() + RETRY);
            self.stale.insert(stale);
        }
    }

    /// Waits until there is news and more of it has had time to come.
    async fn settled(&self) {
        match self.at {
            Some(at) if !self.stale.is_empty() => sleep_until(at).await,
            _ => std::future::pending().await,
        }
    }
}

/// Reads one list of a backend again.
///
/// # Errors
/// When the backend is down, or the list is not there within the limit.
pub(super) async fn refresh(
    backend: &Backend,
    index: &Index,
    stale: Stale,
    limit: Duration,
) -> Result<(), Error> {
    let late = |_| {
        Err(Error::backend(
            &backend.name,
            format!("no list within {limit:?}"),
        ))
    };
    tokio::select! {
        reason = backend.down() => Err(Error::backend(&backend.name, reason)),
        read = timeout(limit, reread(backend, index, stale)) => read.unwrap_or_else(late),
    }
}

async fn reread(backend: &Backend, index: &Index, stale: Stale) -> Result<(), Error> {
    // Lists are taken in the order in which they were read.
    let _turn = backend.listing.lock().await;
    for _ in 0..REREADS {
        let before = index.removals(&backend.name);
        match stale {
            Stale::Images => {
                index.replace_images(&backend.name, listing::images(backend).await?);
                return Ok(());
            }
            // What is gone says so by an event; what was made a moment ago may not be in the list yet.
            Stale::Networks => {
                let networks = listing::networks(backend).await?;
                if index.removals(&backend.name) == before {
                    networks
                        .into_iter()
                        .for_each(|network| index.network_found(network));
                    return Ok(());
                }
            }
            Stale::Volumes => {
                let volumes = listing::volumes(backend).await?;
                if index.removals(&backend.name) == before {
                    volumes
                        .into_iter()
                        .for_each(|volume| index.volume_found(volume));
                    return Ok(());
                }
            }
        }
    }
    Err(Error::backend(
        &backend.name,
        "its lists change faster than they are read",
    ))
}
