//! Numbers: which port of the flock a published port gets.

use std::io;

use tokio::net::TcpListener;

use super::{Published, bindings::Binding, table::Owner};

/// How many free ports are looked at for one that nobody is remembered to have.
const TRIES: usize = 64;

/// A listener and its port.
pub(super) struct Numbered {
    pub(super) socket: TcpListener,
    pub(super) port: u16,
}

/// Why a port cannot be had.
#[derive(Debug)]
pub(super) enum Taken {
    /// Another container of the flock has it.
    Allocated,
    /// This machine does not give it.
    Machine(io::Error),
}

impl Published {
    /// Binds the port for a container that runs: the number it has on its host, or had on the flock before, or any.
    pub(super) async fn number(&self, id: &str, binding: &Binding) -> io::Result<Numbered> {
        let mut forwards = self.table.forwards(id).into_iter();
        let known = forwards.find(|forward| forward.is(binding));
        let mut wanted = vec![binding.host_port];
        wanted.extend(known.map(|forward| forward.port));
        if !binding.fixed {
            wanted.reverse();
        }
        for port in wanted {
            if let Ok(numbered) = self.take(id, port).await {
                return Ok(numbered);
            }
        }
        self.any().await
    }

    /// Binds a port for a container, if nobody else has it.
    pub(super) async fn take(&self, id: &str, port: u16) -> Result<Numbered, Taken> {
        if let Some(owner) = self.other_owner(id, port) {
            if owner.starting || self.still_runs(&owner).await {
                return Err(Taken::Allocated);
            }
            // Its end was not heard of yet.
            self.close(&owner.id, &[]).await;
            self.remember(&owner.id).await;
        }
        match TcpListener::bind((self.address, port)).await {
            Ok(socket) => Ok(Numbered { socket, port }),
            Err(_) if self.other_owner(id, port).is_some() => Err(Taken::Allocated),
            Err(error) => Err(Taken::Machine(error)),
        }
    }

    /// Binds a port that no container has, nor had before a restart of flockerd.
    async fn any(&self) -> io::Result<Numbered> {
        let mut passed_over = Vec::new();
        while passed_over.len() < TRIES {
            let socket = TcpListener::bind((self.address, 0)).await?;
            let port = socket.local_addr()?.port();
            if self.table.owner(port).is_none() {
                return Ok(Numbered { socket, port });
            }
            passed_over.push(socket);
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn other_owner(&self, id: &str, port: u16) -> Option<Owner> {
        self.table.owner(port).filter(|owner| owner.id != id)
    }

    /// Whether the container that has a port runs; one that nobody can ask does.
    async fn still_runs(&self, owner: &Owner) -> bool {
        match self.inventory.flock().get(&owner.backend) {
            Some(backend) => match self.inspect(backend, &owner.id).await {
                Ok(container) => container.is_some_and(|container| container.runs()),
                Err(_) => true,
            },
            None => false,
        }
    }
}
