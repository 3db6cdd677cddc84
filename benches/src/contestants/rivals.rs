//! HAProxy and nginx, with the configurations that lie beside the sources.

use std::fs;

use anyhow::Result;
use tempfile::TempDir;

use super::{Contestant, Kind, PIPES, Setup, confined, free_address};
use crate::socket::{Address, Transport};

const HAPROXY: &str = include_str!("../../haproxy.cfg");
const NGINX: &str = include_str!("../../nginx.conf");
const SPLICE: &str = "option splice-auto\n    option splice-request\n    option splice-response";

/// Starts one and waits until it answers.
pub(super) async fn start(
    setup: &Setup,
    kind: Kind,
    front: Transport,
    daemon: &Address,
) -> Result<Contestant> {
    let folder = TempDir::new_in(setup.folder.path())?;
    let address = free_address(front, folder.path())?;
    let file = folder.path().join("configuration");
    let mut command = match kind {
        Kind::Nginx => confined(setup.cpus.proxy, "nginx"),
        _ => confined(setup.cpus.proxy, "haproxy"),
    };
    match kind {
        Kind::Nginx => command.args(["-e", "stderr", "-c"]),
        _ => command.args(["-db", "-f"]),
    };
    command.arg(&file);
    let text = match kind {
        Kind::Nginx => nginx(&address, daemon),
        _ => haproxy(kind, &address, daemon),
    };
    let text = text
        .replace("@FOLDER@", &folder.path().to_string_lossy())
        .replace("@CONNECTIONS@", &setup.connections().to_string())
        .replace("@PIPES@", &PIPES.to_string())
        .replace("@SLOTS@", &(2 * setup.descriptors).to_string());
    fs::write(&file, text)?;
    let contestant = Contestant::spawn(kind, command, address, folder)?;
    contestant.ready("/_ping").await
}

fn haproxy(kind: Kind, front: &Address, daemon: &Address) -> String {
    let written = |address: &Address, unix: &str| match address {
        Address::Tcp(address) => address.clone(),
        Address::Unix(path) => format!("{unix}{}", path.display()),
    };
    let splice = match kind {
        Kind::HaproxySplice => SPLICE,
        _ => "",
    };
    HAPROXY
        .replace("@SPLICE@", splice)
        .replace("@FRONT@", &written(front, ""))
        .replace("@BACK@", &written(daemon, "unix@"))
}

fn nginx(front: &Address, daemon: &Address) -> String {
    let written = |address: &Address| match address {
        Address::Tcp(address) => address.clone(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    NGINX
        .replace("@FRONT@", &written(front))
        .replace("@BACK@", &written(daemon))
}
