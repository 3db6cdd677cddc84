//! Starts: the ports that a container asks for are its own before it is started, and open when its client hears of it.

use std::{io, net::SocketAddr, sync::Arc};

use http::StatusCode;
use tokio::sync::OwnedMutexGuard;

use super::{
    Published,
    ask::remote_host,
    bindings::{Binding, Container},
    number::Taken,
};
use crate::{backend::Backend, error::Error};

/// A start under way. Nobody else changes what is forwarded of the container meanwhile.
pub(in crate::proxy) struct Start {
    published: Arc<Published>,
    backend: Arc<Backend>,
    id: String,
    ended: bool,
    _lock: OwnedMutexGuard<()>,
}

impl Published {
    /// Takes the ports that a container asks for, before it is started; nothing for one on this machine.
    ///
    /// # Errors
    /// The daemon's own words for a port that is taken, [`Error::Backend`].
    pub(in crate::proxy) async fn begin(
        self: &Arc<Self>,
        backend: &Arc<Backend>,
        id: &str,
    ) -> Result<Option<Start>, Error> {
        let Some(host) = remote_host(backend).await else {
            return Ok(None);
        };
        let lock = self.locks.reserve(id).await;
        self.table.starting(&backend.name, id, true);
        let start = Start {
            published: self.clone(),
            backend: backend.clone(),
            id: id.to_owned(),
            ended: false,
            _lock: lock,
        };
        // What is missing is the daemon's to say.
        if let Some(container) = self.inspect(backend, id).await?.filter(|one| !one.runs())
            && let Err(refusal) = self.take_all(backend, id, &container, &host).await
        {
            self.close(id, &[]).await;
            return Err(refusal);
        }
        Ok(Some(start))
    }

    async fn take_all(
        &self,
        backend: &Backend,
        id: &str,
        container: &Container,
        host: &str,
    ) -> Result<(), Error> {
        for binding in container.asked(host) {
            match self.take(id, binding.host_port).await {
                Ok(listener) => self.listen(&backend.name, id, &binding, listener),
                Err(taken) => return Err(self.refusal(container.name(), id, &binding, &taken)),
            }
        }
        Ok(())
    }

    /// The daemon's words, with the container's id where a daemon has that of an endpoint.
    fn refusal(&self, name: &str, id: &str, binding: &Binding, taken: &Taken) -> Error {
        let address = SocketAddr::new(self.address, binding.host_port);
        let reason = match taken {
            Taken::Allocated => format!("Bind for {address} failed: port is already allocated"),
            Taken::Machine(error) => {
                let family = if address.is_ipv4() { "tcp4" } else { "tcp6" };
                format!(
                    "Error starting userland proxy: listen {family} {address}: bind: {}",
                    words(error)
                )
            }
        };
        let text = format!(
            "driver failed programming external connectivity on endpoint {name} ({id}): {reason}"
        );
        Error::refused(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

impl Start {
    /// Opens what the container publishes now that its daemon has answered; gives back the ports of one that did not
    /// start.
    pub(in crate::proxy) async fn end(mut self) {
        self.published.queued().remove(&self.id);
        self.published.refresh(&self.backend.name, &self.id).await;
        self.ended = true;
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        let published = &self.published;
        published
            .table
            .starting(&self.backend.name, &self.id, false);
        if !self.ended {
            published.queue(&self.backend.name, &self.id);
        }
    }
}
