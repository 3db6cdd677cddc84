//! flockerd as a contestant: the release binary, before one host or many.

use std::{ffi::OsStr, fmt::Write, fs, path::Path, process::Command};

use anyhow::Result;
use tempfile::TempDir;

use super::{Contestant, Kind, Setup, confined, free_address};
use crate::socket::{Address, Transport};

/// A flock, and how flockerd stands before it.
pub(crate) struct Flock<'a> {
    hosts: &'a [Address],
    front: Transport,
    /// What else is in the configuration, at its begin and at its end.
    toml: String,
    tables: String,
    /// Where it keeps what outlives it; otherwise in a folder that is gone afterwards.
    home: Option<&'a Path>,
    /// The program that runs it, with arguments.
    under: &'a [String],
}

impl<'a> Flock<'a> {
    pub(crate) fn of(hosts: &'a [Address]) -> Self {
        Self {
            hosts,
            front: Transport::Tcp,
            toml: String::new(),
            tables: String::new(),
            home: None,
            under: &[],
        }
    }

    pub(crate) fn front(self, front: Transport) -> Self {
        Self { front, ..self }
    }

    /// Prepends lines to the configuration.
    pub(crate) fn toml(self, toml: impl Into<String>) -> Self {
        let toml = toml.into();
        Self { toml, ..self }
    }

    /// Appends tables to the configuration.
    pub(crate) fn also(self, tables: String) -> Self {
        Self { tables, ..self }
    }

    pub(crate) fn home(self, home: &'a Path) -> Self {
        let home = Some(home);
        Self { home, ..self }
    }

    /// Lets another program run it.
    pub(crate) fn under(self, under: &'a [String]) -> Self {
        Self { under, ..self }
    }

    /// Starts it, and waits until it knows every host.
    pub(crate) async fn start(self, setup: &Setup, kind: Kind) -> Result<Contestant> {
        let contestant = self.launch(setup, kind)?;
        contestant.ready("/containers/json?limit=1").await
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(self, setup: &Setup, kind: Kind) -> Result<Contestant> {
        let folder = TempDir::new_in(setup.folder.path())?;
        let address = free_address(self.front, folder.path())?;
        let file = folder.path().join("flockerd.toml");
        fs::write(&file, self.configuration(setup, kind, &address)?)?;
        let home = self.home.unwrap_or(folder.path());
        let mut command = command_under(self.under, setup, home);
        command.arg("--config").arg(&file);
        Contestant::spawn(kind, command, address, folder)
    }

    fn configuration(&self, setup: &Setup, kind: Kind, address: &Address) -> Result<String> {
        let mut text = format!(
            "{}\nthreads = 1\nlisten = [\"{address}\"]\nlog = \"warn\"\n",
            self.toml
        );
        for (number, host) in self.hosts.iter().enumerate() {
            write!(
                text,
                "[[backend]]\nname = \"node{number}\"\naddress = \"{host}\"\n"
            )?;
        }
        text.push_str(&self.tables);
        let instance = match kind {
            Kind::FlockerdRoute => "fresh",
            Kind::FlockerdWarm => "warm",
            _ => return Ok(text),
        };
        let path = setup.plugin.display();
        write!(
            text,
            "[[plugin]]\npath = \"{path}\"\ninstance = \"{instance}\"\n"
        )?;
        Ok(text)
    }
}

/// The binary, on the proxy's CPU with as many threads as that has.
pub(crate) fn command(setup: &Setup, home: &Path) -> Command {
    command_under(&[], setup, home)
}

fn command_under(under: &[String], setup: &Setup, home: &Path) -> Command {
    let binary = setup.flockerd.as_os_str();
    let mut words = under.iter().map(OsStr::new).chain([binary]);
    let mut command = confined(setup.cpus.proxy, words.next().unwrap_or(binary));
    command.args(words);
    command.env("HOME", home);
    command.env("XDG_STATE_HOME", home.join("state"));
    command.env("XDG_CACHE_HOME", home.join("cache"));
    command
}
