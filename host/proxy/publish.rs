//! Published ports at the flock's address: flockerd listens on the ports that containers publish on their hosts.
//!
//! What is forwarded follows from what runs: a container is inspected whenever it may have begun or ended to run, and
//! its ports are made so. That may happen any number of times, in any order, and after a restart.

mod ask;
mod bindings;
mod number;
mod opening;
mod show;
mod start;
mod table;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};

use super::{names::Names, splice::Pipes};
use crate::{
    error::Error,
    inventory::{Change, Inventory, index::BackendName},
    shutdown::Shutdown,
    state::StateStore,
};
use bindings::Binding;
use opening::{Means, Opening, Target};
use table::{Forward, Record, Table};

/// Before the ids of containers whose ports are remembered.
const PREFIX: &str = "publish/";
/// How many containers are inspected at once.
const INSPECTS: usize = 16;

/// The forwarded ports of the flock.
pub struct Published {
    /// Where they are opened.
    address: IpAddr,
    /// How long a backend or a connection may take.
    limit: Duration,
    inventory: Arc<Inventory>,
    state: Arc<dyn StateStore>,
    shutdown: Shutdown,
    pipes: Arc<Pipes>,
    table: Table,
    /// Held, by container id, by whoever changes what is forwarded of it.
    locks: Names,
    /// Ids of containers that will be looked at.
    queued: Mutex<HashSet<String>>,
    inspects: Semaphore,
}

impl Published {
    /// Takes up what is remembered of the flock's ports.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn open(
        address: IpAddr,
        inventory: Arc<Inventory>,
        state: Arc<dyn StateStore>,
        shutdown: Shutdown,
        pipes: Arc<Pipes>,
    ) -> Result<Self, Error> {
        let mut records = Vec::new();
        for key in state.keys(PREFIX).await? {
            let stored = state.get(&key).await?.unwrap_or_default();
            let id = key.strip_prefix(PREFIX).unwrap_or(&key).to_owned();
            let record = serde_json::from_slice(&stored);
            records.extend(record.ok().map(|record| (id, record)));
        }
        Ok(Self {
            address,
            limit: inventory.timing.timeout,
            inventory,
            state,
            shutdown,
            pipes,
            table: Table::remembered(records.into_iter()),
            locks: Names::default(),
            queued: Mutex::default(),
            inspects: Semaphore::new(INSPECTS),
        })
    }

    /// Follows what starts and ends on the backends, until the shutdown begins.
    pub async fn follow(self: Arc<Self>, mut changes: broadcast::Receiver<Change>) {
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = self.shutdown.cancelled() => return,
            };
            match change {
                Ok(Change::Listed(backend)) => self.look_at(backend),
                Ok(Change::Left(backend)) => self.forget(&backend).await,
                Ok(Change::Container { backend, id }) => self.queue(&backend, &id),
                Err(RecvError::Lagged(_)) => self.look_at_all().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn look_at_all(self: &Arc<Self>) {
        let flock = self.inventory.flock();
        for backend in flock.backends() {
            self.look_at(backend.name.clone());
        }
        for backend in self.table.backends() {
            if flock.get(&backend).is_none() {
                self.forget(&backend).await;
            }
        }
    }

    /// Looks at every container of a backend that publishes or has published something.
    fn look_at(self: &Arc<Self>, name: BackendName) {
        let this = self.clone();
        self.shutdown.spawn("list published ports", async move {
            let mut ids = this.table.on(&name);
            match this.publishers(&name).await {
                Ok(listed) => ids.extend(listed),
                // A backend that cannot be asked is about to be found down, and is listed anew when it is back.
                Err(error) => {
                    tracing::warn!(backend = %name, %error, "cannot list published ports")
                }
            }
            ids.iter().for_each(|id| this.queue(&name, id));
        });
    }

    /// Looks at a container soon; one that waits for that already is looked at once.
    fn queue(self: &Arc<Self>, backend: &BackendName, id: &str) {
        if !self.queued().insert(id.to_owned()) {
            return;
        }
        let (this, backend, id) = (self.clone(), backend.clone(), id.to_owned());
        self.shutdown.spawn("published ports", async move {
            let _lock = this.locks.reserve(&id).await;
            let _permit = this.inspects.acquire().await;
            if this.queued().remove(&id) {
                this.refresh(&backend, &id).await;
            }
        });
    }

    fn queued(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is forwarded of a container what it publishes now. The caller holds its lock.
    async fn refresh(&self, backend: &BackendName, id: &str) {
        let flock = self.inventory.flock();
        let Some(host) = flock.get(backend) else {
            return;
        };
        match self.bindings(host, id).await {
            Ok(bindings) => self.settle(backend, id, &bindings).await,
            // Its ports stay as they are: the container may well run on a host whose daemon is silent.
            Err(error) => {
                tracing::warn!(%backend, container = id, %error, "cannot see what is published")
            }
        }
    }

    /// Closes what a container publishes no more, opens what it publishes now, and remembers the numbers.
    async fn settle(&self, backend: &BackendName, id: &str, wanted: &[Binding]) {
        self.close(id, wanted).await;
        for binding in wanted.iter().filter(|one| !self.table.is_open(id, one)) {
            match self.number(id, binding).await {
                Ok(listener) => self.listen(backend, id, binding, listener),
                Err(error) => {
                    let port = binding.host_port;
                    tracing::error!(%backend, container = id, port, %error, "cannot forward a published port");
                }
            }
        }
        self.remember(id).await;
    }

    /// Closes all ports of a container but these.
    async fn close(&self, id: &str, wanted: &[Binding]) {
        for opening in self.table.keep(id, wanted) {
            opening.close().await;
        }
    }

    /// Forwards what comes to a listener.
    fn listen(
        &self,
        backend: &BackendName,
        id: &str,
        binding: &Binding,
        listener: number::Numbered,
    ) {
        let forward = Forward {
            container_port: binding.container_port,
            host_port: binding.host_port,
            port: listener.port,
        };
        if forward.port != forward.host_port && binding.fixed {
            let (wanted, port) = (forward.host_port, forward.port);
            tracing::warn!(%backend, container = id, wanted, port, "a published port is taken, another is forwarded");
        }
        let target = Target {
            host: binding.host.clone(),
            port: binding.host_port,
        };
        let means = Means {
            limit: self.limit,
            pipes: self.pipes.clone(),
            shutdown: self.shutdown.clone(),
        };
        let opening = Opening::new(listener.socket, target, means);
        self.table.put(backend, id, forward, opening);
    }

    /// Keeps in the state store what is forwarded of a container.
    async fn remember(&self, id: &str) {
        let Some(record) = self.table.unsaved(id) else {
            return;
        };
        if let Err(error) = self.save(id, &record).await {
            tracing::warn!(container = id, %error, "cannot remember published ports");
        }
    }

    async fn save(&self, id: &str, record: &Record) -> Result<(), Error> {
        let key = format!("{PREFIX}{id}");
        if record.forwards.is_empty() {
            return self.state.delete(&key).await;
        }
        let bytes = serde_json::to_vec(record).map_err(|error| Error::State(error.to_string()))?;
        self.state.set(&key, &bytes, None).await
    }

    /// Ends the forwarding for a backend that left the flock.
    async fn forget(&self, backend: &str) {
        for id in self.table.on(backend) {
            self.close(&id, &[]).await;
            self.remember(&id).await;
        }
    }
}
