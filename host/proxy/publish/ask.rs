//! Asking the backends: what their containers publish, and whether that is at the flock's address already.

use std::net::{IpAddr, UdpSocket};

use http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::{net::lookup_host, time::timeout};

use super::{
    Published,
    bindings::{Binding, Container, Listed},
};
use crate::{backend::Backend, docker, error::Error};

/// The longest answer that is read.
const ANSWER_MAX: usize = 256 << 20;

impl Published {
    /// The running containers of a backend that publish a tcp port.
    pub(super) async fn publishers(&self, name: &str) -> Result<Vec<String>, Error> {
        let flock = self.inventory.flock();
        match flock.get(name) {
            Some(backend) if remote_host(backend).await.is_some() => {
                let listed: Option<Vec<Listed>> = self.ask(backend, "/containers/json").await?;
                let publishers = listed.into_iter().flatten();
                Ok(publishers.filter_map(Listed::publisher).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What a container publishes now; nothing when it is gone, or when its host is this machine.
    pub(super) async fn bindings(
        &self,
        backend: &Backend,
        id: &str,
    ) -> Result<Vec<Binding>, Error> {
        let Some(host) = remote_host(backend).await else {
            return Ok(Vec::new());
        };
        let container = self.inspect(backend, id).await?;
        Ok(container.map_or_else(Vec::new, |container| container.open(&host)))
    }

    /// A container; none when it is gone.
    pub(super) async fn inspect(
        &self,
        backend: &Backend,
        id: &str,
    ) -> Result<Option<Container>, Error> {
        match self.ask(backend, &format!("/containers/{id}/json")).await {
            Err(Error::Refused { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Reads the JSON that a daemon answers to a GET.
    async fn ask<T: DeserializeOwned>(&self, backend: &Backend, path: &str) -> Result<T, Error> {
        let answer = timeout(self.limit, self.get(backend, path));
        let late = |_| {
            Err(Error::backend(
                &backend.name,
                format!("no answer within {:?}", self.limit),
            ))
        };
        let body = answer.await.unwrap_or_else(late)?;
        serde_json::from_slice(&body).map_err(|reason| Error::BadAnswer {
            backend: backend.name.to_string(),
            reason: format!("GET {path}: {reason}"),
        })
    }

    async fn get(&self, backend: &Backend, path: &str) -> Result<bytes::Bytes, Error> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header("host", "docker");
        let request = request
            .body(docker::empty())
            .map_err(|reason| Error::backend(&backend.name, reason))?;
        let response = backend.send(request).await?;
        let status = response.status();
        let body = docker::collect(response.into_body(), ANSWER_MAX)
            .await
            .map_err(|reason| Error::backend(&backend.name, reason))?;
        match status.is_success() {
            true => Ok(body),
            false => Err(Error::refused(status, String::from_utf8_lossy(&body))),
        }
    }
}

/// The host under which the ports of a backend are reached; none when it is this machine, at whose address they are
/// already. A daemon behind a unix socket or a loopback address counts as here.
pub(super) async fn remote_host(backend: &Backend) -> Option<String> {
    let host = backend.address.host()?;
    let here = match lookup_host((host, 0)).await {
        Ok(mut addresses) => addresses.any(|address| is_here(address.ip())),
        Err(_) => false,
    };
    (!here).then(|| host.to_owned())
}

/// Whether an address is this machine's: only those can be bound.
fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}
