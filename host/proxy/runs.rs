//! The memory between the steps of a `docker run` whose image is missing.
//!
//! The client sees three calls that share nothing: a create that answers 404, a pull that names only the image, and the
//! create again. The first is remembered here, so that the pull goes to its backend and the last one follows. A pull
//! that no create waits for is remembered too, for the create that `--pull=always` sends after it.
//!
//! It lies in the state store, one key an image, changed by compare-and-swap: it survives a restart of flockerd, and
//! several flockerds can share it.

mod fingerprint;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) use fingerprint::Fingerprint;

use crate::{
    docker::{client::Client, reference::Reference},
    error::Error,
    state::StateStore,
};

/// How long a memory lives on after somebody other than its owner may have used it.
const FADE: Duration = Duration::from_secs(30);
/// How many runs of one image are remembered; a client that asks again and again without pulling fills no store.
const RUNS_MAX: usize = 64;
/// The longest image reference that is a key as it is.
const KEY_MAX: usize = 400;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The create was answered 404.
    Created,
    /// A pull was sent to the backend.
    Pulling,
    /// The image is on the backend.
    Ready,
}

/// One remembered run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Tells creates apart: a digest of name and body; empty for a pull that no create waited for.
    pub(super) create: String,
    pub(super) backend: String,
    /// What `route` hooks made of the create's body, if they changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// The client connection that made it.
    connection: String,
    /// The client's address without the port.
    address: String,
    pub(super) stage: Stage,
    /// Milliseconds since the epoch.
    expires: u64,
}

/// A run to remember.
pub(super) struct NewRun<'a> {
    pub(super) create: &'a str,
    pub(super) backend: &'a str,
    pub(super) body: Option<&'a str>,
    pub(super) stage: Stage,
}

/// The remembered runs.
pub(super) struct Runs {
    state: Arc<dyn StateStore>,
    expiry: Duration,
    /// The client connections that are open now.
    connections: Mutex<HashSet<Arc<str>>>,
}

impl Runs {
    pub(super) fn new(state: Arc<dyn StateStore>, expiry: Duration) -> Self {
        Self {
            state,
            expiry,
            connections: Mutex::default(),
        }
    }

    pub(super) fn connected(&self, client: &Client) {
        self.open().insert(client.connection.clone());
    }

    pub(super) fn hung_up(&self, client: &Client) {
        self.open().remove(&client.connection);
    }

    /// Remembers where a create was routed, or a pull that no create waited for.
    pub(super) async fn remember(
        &self,
        image: &str,
        new: NewRun<'_>,
        client: &Client,
    ) -> Result<(), Error> {
        let run = Run {
            create: new.create.to_owned(),
            backend: new.backend.to_owned(),
            body: new.body.map(str::to_owned),
            connection: client.connection.to_string(),
            address: host(client).to_owned(),
            stage: new.stage,
            expires: now() + millis(self.expiry),
        };
        self.change(image, |runs| {
            runs.retain(|known| !known.is(&run));
            if runs.len() >= RUNS_MAX {
                let oldest = runs
                    .iter()
                    .position(|run| !self.is_open(&run.connection))
                    .unwrap_or(0);
                runs.remove(oldest);
            }
            runs.push(run.clone());
        })
        .await
    }

    /// Finds the run that a create repeats: one of the same connection, or, once its image is there, one whose
    /// connection is gone. A create that looks the same on another connection is somebody else's.
    pub(super) async fn recall(
        &self,
        image: &str,
        create: &Fingerprint,
        client: &Client,
    ) -> Result<Option<Run>, Error> {
        let runs = self.load(image).await?.1;
        if runs.is_empty() {
            return Ok(None);
        }
        let create = create.get();
        let own = |run: &&Run| {
            run.connection == *client.connection && (run.create == create || run.create.is_empty())
        };
        let orphan = |run: &&Run| {
            run.create == create && run.stage == Stage::Ready && !self.is_open(&run.connection)
        };
        Ok(runs
            .iter()
            .find(own)
            .or_else(|| runs.iter().find(orphan))
            .cloned())
    }

    /// Finds the run that a pull is for: this connection's newest create that waits, else the oldest create of the
    /// same client that no pull has come for yet.
    pub(super) async fn claim(&self, image: &str, client: &Client) -> Result<Option<Run>, Error> {
        let mut claimed = None;
        self.change(image, |runs| {
            let choice = choose(runs, client);
            claimed = choice.map(|at| {
                runs[at].stage = Stage::Pulling;
                runs[at].clone()
            });
        })
        .await?;
        Ok(claimed)
    }

    /// Notes that a pull brought the image to a backend: the run that it was for can go on, and those of clients that
    /// are still there.
    pub(super) async fn ready(
        &self,
        image: &str,
        backend: &str,
        claimed: Option<&Run>,
    ) -> Result<(), Error> {
        self.change(image, |runs| {
            for run in runs.iter_mut().filter(|run| run.backend == backend) {
                if self.is_open(&run.connection) || claimed.is_some_and(|claimed| run.is(claimed)) {
                    run.stage = Stage::Ready;
                }
            }
        })
        .await
    }

    /// Notes that a pull failed: the run that it was for waits for another.
    pub(super) async fn failed(&self, image: &str, claimed: &Run) -> Result<(), Error> {
        self.change(image, |runs| {
            for run in runs
                .iter_mut()
                .filter(|run| run.is(claimed) && run.stage == Stage::Pulling)
            {
                run.stage = Stage::Created;
            }
        })
        .await
    }

    /// Forgets a run whose container is there. One that another connection took up fades: its owner may yet come.
    pub(super) async fn done(&self, image: &str, run: &Run, client: &Client) -> Result<(), Error> {
        let own = run.connection == *client.connection;
        self.change(image, |runs| match own {
            true => runs.retain(|known| !known.is(run)),
            false => runs
                .iter_mut()
                .filter(|known| known.is(run))
                .for_each(|known| {
                    known.expires = known.expires.min(now() + millis(FADE));
                }),
        })
        .await
    }

    /// Forgets a run whose backend cannot be used any more.
    pub(super) async fn abandon(&self, image: &str, run: &Run) -> Result<(), Error> {
        self.change(image, |runs| runs.retain(|known| !known.is(run)))
            .await
    }

    async fn load(&self, image: &str) -> Result<(Option<Vec<u8>>, Vec<Run>), Error> {
        let stored = self.state.get(&key(image)).await?;
        let mut runs: Vec<Run> = stored
            .as_deref()
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        let now = now();
        runs.retain(|run| {
            let can_come = !run.create.is_empty() || self.is_open(&run.connection);
            can_come && run.expires > now
        });
        Ok((stored, runs))
    }

    /// Changes the runs of an image, again and again until nobody else changed them meanwhile.
    async fn change(&self, image: &str, mut edit: impl FnMut(&mut Vec<Run>)) -> Result<(), Error> {
        loop {
            let (stored, mut runs) = self.load(image).await?;
            let before = runs.clone();
            edit(&mut runs);
            if runs == before {
                return Ok(());
            }
            let bytes =
                serde_json::to_vec(&runs).map_err(|reason| Error::State(reason.to_string()))?;
            let replacement = (!runs.is_empty()).then_some(bytes.as_slice());
            let key = key(image);
            if self
                .state
                .swap(&key, stored.as_deref(), replacement, Some(self.expiry))
                .await?
            {
                return Ok(());
            }
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<Arc<str>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, connection: &str) -> bool {
        self.open().contains(connection)
    }
}

impl Run {
    fn is(&self, other: &Self) -> bool {
        self.create == other.create && self.connection == other.connection
    }
}

/// Which of the runs a pull of this client is for.
fn choose(runs: &[Run], client: &Client) -> Option<usize> {
    let own = |run: &Run| !run.create.is_empty() && run.connection == *client.connection;
    let waits = |run: &Run| run.stage == Stage::Created;
    let free = |run: &Run| waits(run) && !run.create.is_empty() && run.address == host(client);
    let newest_own = runs.iter().rposition(|run| own(run) && waits(run));
    newest_own
        .or_else(|| runs.iter().rposition(own))
        .or_else(|| runs.iter().position(free))
}

/// `run/docker.io/library/busybox:latest`
fn key(image: &str) -> String {
    let image = Reference::parse(image).canonical();
    match image.len() <= KEY_MAX && image.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => format!("run/{image}"),
        false => format!("run/{}", fingerprint::hex(&Sha256::digest(image))),
    }
}

fn host(client: &Client) -> &str {
    client
        .address
        .rsplit_once(':')
        .map_or(&client.address, |(host, _)| host)
}

fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
