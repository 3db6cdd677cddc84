//! What a container publishes, read from its inspect.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;

/// One tcp port that a container publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) container_port: u16,
    /// Its number on the container's host.
    pub(super) host_port: u16,
    /// Whether somebody asked for this number.
    pub(super) fixed: bool,
    /// Where the host has it: an IP address or a name.
    pub(super) host: String,
}

/// An inspected container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    name: String,
    state: State,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    port_bindings: Option<Ports>,
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Option<Ports>,
}

/// A container as it is listed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    id: String,
    ports: Option<Vec<ListedPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListedPort {
    public_port: u16,
    r#type: String,
}

impl Listed {
    /// Its id, if it publishes a tcp port.
    pub(super) fn publisher(self) -> Option<String> {
        let published = |port: &ListedPort| port.public_port > 0 && port.r#type == "tcp";
        let ports = self.ports.unwrap_or_default();
        ports.iter().any(published).then_some(self.id)
    }
}

/// By `80/tcp`.
type Ports = BTreeMap<String, Option<Vec<HostPort>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostPort {
    host_ip: String,
    host_port: String,
}

impl Container {
    pub(super) fn name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    pub(super) fn runs(&self) -> bool {
        self.state.running
    }

    /// The ports that are open now on its host, which is reached under `host`.
    pub(super) fn open(&self, host: &str) -> Vec<Binding> {
        match self.state.running {
            true => self.read(&self.network_settings.ports, host),
            false => Vec::new(),
        }
    }

    /// The ports of which the number is asked for, to be open once it runs.
    pub(super) fn asked(&self, host: &str) -> Vec<Binding> {
        let mode = self.host_config.network_mode.as_str();
        match mode == "host" || mode == "none" || mode.starts_with("container:") {
            true => Vec::new(),
            false => self.read(&self.host_config.port_bindings, host),
        }
    }

    /// The bindings that can be reached, each once: the second of a port, for IPv6, is the same one.
    fn read(&self, ports: &Option<Ports>, host: &str) -> Vec<Binding> {
        let mut bindings: Vec<Binding> = Vec::new();
        for (container_port, listed) in tcp(ports) {
            let Some((host_port, host)) = listed.number().zip(reach(&listed.host_ip, host)) else {
                continue;
            };
            let known = |binding: &Binding| {
                (binding.container_port, binding.host_port) == (container_port, host_port)
            };
            if !bindings.iter().any(known) {
                bindings.push(Binding {
                    container_port,
                    host_port,
                    fixed: self.is_fixed(container_port, host_port),
                    host,
                });
            }
        }
        bindings
    }

    fn is_fixed(&self, container_port: u16, host_port: u16) -> bool {
        tcp(&self.host_config.port_bindings)
            .any(|(port, asked)| port == container_port && asked.number() == Some(host_port))
    }
}

impl HostPort {
    /// The number; none for one that the daemon chooses.
    fn number(&self) -> Option<u16> {
        self.host_port.parse().ok().filter(|number| *number > 0)
    }
}

fn tcp(ports: &Option<Ports>) -> impl Iterator<Item = (u16, &HostPort)> {
    ports.iter().flatten().flat_map(|(port, listed)| {
        let port = container_port(port);
        let listed = listed.iter().flatten();
        listed.filter_map(move |listed| Some((port?, listed)))
    })
}

/// The number of `80/tcp`.
pub(super) fn container_port(key: &str) -> Option<u16> {
    key.strip_suffix("/tcp")?.parse().ok()
}

/// Where a port is reached that a host has bound to an address; none for one that only the host itself reaches.
fn reach(bound: &str, host: &str) -> Option<String> {
    match bound.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => None,
        Ok(ip) if !ip.is_unspecified() => Some(bound.to_owned()),
        _ => Some(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECT: &str = r#"{"Name":"/web","State":{"Running":true},
        "HostConfig":{"NetworkMode":"default","PortBindings":{
            "80/tcp":[{"HostIp":"","HostPort":"8080"}],"70/tcp":[{"HostIp":"","HostPort":"0"}],
            "60/tcp":[{"HostIp":"","HostPort":"18000-18010"}],"9/udp":[{"HostIp":"","HostPort":"9999"}],
            "7/tcp":[{"HostIp":"127.0.0.1","HostPort":"7777"}],"6/tcp":[{"HostIp":"10.9.9.9","HostPort":"6666"}]}},
        "NetworkSettings":{"Ports":{
            "80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],
            "70/tcp":[{"HostIp":"0.0.0.0","HostPort":"32768"}],"9/udp":[{"HostIp":"0.0.0.0","HostPort":"9999"}],
            "7/tcp":[{"HostIp":"127.0.0.1","HostPort":"7777"}],"5/tcp":null}}}"#;

    fn binding(container_port: u16, host_port: u16, fixed: bool, host: &str) -> Binding {
        Binding {
            container_port,
            host_port,
            fixed,
            host: host.to_owned(),
        }
    }

    #[test]
    fn what_is_published_is_read() {
        let container: Container = serde_json::from_str(INSPECT).unwrap();
        assert_eq!((container.name(), container.runs()), ("web", true));
        assert_eq!(
            container.open("10.0.0.1"),
            [
                binding(70, 32768, false, "10.0.0.1"),
                binding(80, 8080, true, "10.0.0.1")
            ]
        );
        assert_eq!(
            container.asked("10.0.0.1"),
            [
                binding(6, 6666, true, "10.9.9.9"),
                binding(80, 8080, true, "10.0.0.1")
            ]
        );
    }

    #[test]
    fn what_has_no_network_of_its_own_publishes_nothing() {
        for mode in ["host", "none", "container:abc"] {
            let text = INSPECT.replace("\"default\"", &format!("\"{mode}\""));
            let container: Container = serde_json::from_str(&text).unwrap();
            assert_eq!(container.asked("10.0.0.1"), [], "{mode}");
        }
        let text = INSPECT.replace("true", "false");
        let container: Container = serde_json::from_str(&text).unwrap();
        assert_eq!(container.open("10.0.0.1"), []);
    }
}
