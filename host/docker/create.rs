//! What flockerd reads of a container's create body: the image, and the references that tie it to a backend.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::group::{Group, Labels};

/// The few fields of `POST /containers/create` that placement reads. Everything else passes through unread.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Create {
    pub image: Option<String>,
    labels: Option<Labels>,
    pub host_config: Option<HostConfig>,
    pub networking_config: Option<NetworkingConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    network_mode: Option<String>,
    pid_mode: Option<String>,
    ipc_mode: Option<String>,
    links: Option<Vec<String>>,
    volumes_from: Option<Vec<String>>,
    binds: Option<Vec<String>>,
    mounts: Option<Vec<Mount>>,
    port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PortBinding {
    host_port: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Mount {
    #[serde(rename = "Type")]
    kind: Option<String>,
    source: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkingConfig {
    endpoints_config: Option<BTreeMap<String, Option<EndpointConfig>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EndpointConfig {
    links: Option<Vec<String>>,
}

/// Something that a new container refers to and that lives on particular backends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    Container(String),
    Network(String),
    Volume(String),
}

impl Tie {
    /// For messages: `volume data`.
    pub fn describe(&self) -> String {
        match self {
            Self::Container(name) => format!("container {name}"),
            Self::Network(name) => format!("network {name}"),
            Self::Volume(name) => format!("volume {name}"),
        }
    }
}

/// Why a create body cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum BadCreate {
    #[error("the body is not valid: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "the body has a key \"{0}\" that differs only in its case from one that placement reads"
    )]
    Key(String),
}

/// The keys read here, at the top and in `HostConfig`.
const KEYS: [&str; 12] = [
    "Image",
    "Labels",
    "HostConfig",
    "NetworkingConfig",
    "NetworkMode",
    "PidMode",
    "IpcMode",
    "Links",
    "VolumesFrom",
    "Binds",
    "Mounts",
    "PortBindings",
];

impl Create {
    /// Reads a create body.
    ///
    /// A daemon matches keys in any case, the last one wins; `image` beside `Image` would hide from placement and from
    /// policies what the daemon does.
    pub fn read(body: &[u8]) -> Result<Self, BadCreate> {
        let create: Self = serde_json::from_slice(body)?;
        let top = keys(body)?;
        let host = top.get("HostConfig").filter(|host| host.get() != "null");
        let host = host
            .map(|host| keys(host.get().as_bytes()))
            .transpose()?
            .unwrap_or_default();
        plain(top.keys().chain(host.keys()), &KEYS)?;
        Ok(create)
    }

    /// What it belongs to.
    pub fn group(&self) -> Option<Group> {
        self.labels.as_ref().and_then(Labels::group)
    }

    /// The ports of its host that it asks for, `8080/tcp`; not those that the daemon chooses.
    pub fn ports(&self) -> Vec<String> {
        let host = self.host_config.as_ref();
        let bindings = host.and_then(|host| host.port_bindings.as_ref());
        let mut ports = Vec::new();
        for (port, bindings) in bindings.into_iter().flatten() {
            let protocol = port.split_once('/').map_or("tcp", |(_, protocol)| protocol);
            let asked = bindings
                .iter()
                .flatten()
                .filter_map(|b| b.host_port.as_ref());
            let fixed = asked.filter(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
            ports.extend(fixed.map(|port| format!("{port}/{protocol}")));
        }
        ports
    }

    /// Everything the container refers to by name, sorted, each once.
    pub fn ties(&self) -> Vec<Tie> {
        let mut ties = Vec::new();
        if let Some(host) = &self.host_config {
            host.ties(&mut ties);
        }
        if let Some(endpoints) = self
            .networking_config
            .as_ref()
            .and_then(|config| config.endpoints_config.as_ref())
        {
            for (network, endpoint) in endpoints {
                ties.extend(network_tie(network));
                let links = endpoint
                    .as_ref()
                    .and_then(|endpoint| endpoint.links.as_deref());
                ties.extend(links.unwrap_or_default().iter().map(|link| linked(link)));
            }
        }
        ties.sort();
        ties.dedup();
        ties
    }
}

impl HostConfig {
    fn ties(&self, ties: &mut Vec<Tie>) {
        let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        for mode in [&self.network_mode, &self.pid_mode, &self.ipc_mode]
            .into_iter()
            .flatten()
        {
            ties.extend(mode.strip_prefix("container:").map(container));
        }
        ties.extend(self.network_mode.as_deref().and_then(network_tie));
        ties.extend(all(&self.links).iter().map(|link| linked(link)));
        ties.extend(all(&self.volumes_from).iter().map(|from| linked(from)));
        ties.extend(
            all(&self.binds)
                .iter()
                .filter_map(|bind| bound_volume(bind)),
        );
        let mounts = self.mounts.as_deref().unwrap_or_default();
        ties.extend(mounts.iter().filter_map(Mount::volume));
    }
}

impl Mount {
    fn volume(&self) -> Option<Tie> {
        let named = self.source.as_ref().filter(|source| !source.is_empty());
        let is_volume = self.kind.as_deref().is_none_or(|kind| kind == "volume");
        named.filter(|_| is_volume).cloned().map(Tie::Volume)
    }
}

/// Reads a body of which a daemon reads more, unless it hides one of `known` keys in another case.
///
/// # Errors
/// What makes a body unfit: no JSON, a key twice, a key in another case.
pub fn read_plain<'a, T: Deserialize<'a>>(body: &'a [u8], known: &[&str]) -> Result<T, BadCreate> {
    let read = serde_json::from_slice(body)?;
    plain(keys(body)?.keys(), known)?;
    Ok(read)
}

/// Fails for a key that differs from a known one only in its case.
fn plain<'a>(keys: impl Iterator<Item = &'a String>, known: &[&str]) -> Result<(), BadCreate> {
    let odd = |key: &&String| {
        let other = |known: &&str| *known != key.as_str() && folded(known).eq(folded(key));
        known.iter().any(other)
    };
    let mut keys = keys;
    match keys.find(odd) {
        Some(key) => Err(BadCreate::Key(key.clone())),
        None => Ok(()),
    }
}

/// The members of an object, each value as it is written.
fn keys(object: &[u8]) -> Result<BTreeMap<String, &RawValue>, serde_json::Error> {
    serde_json::from_slice(object)
}

/// A key as Go compares keys: `ſ` and the Kelvin sign fold to ASCII letters.
fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

fn container(name: &str) -> Tie {
    Tie::Container(name.trim_start_matches('/').to_owned())
}

/// `name:alias` of a link, `name:ro` of volumes-from.
fn linked(text: &str) -> Tie {
    container(text.split_once(':').map_or(text, |(name, _)| name))
}

/// A network that only some backends have; the predefined ones are everywhere.
fn network_tie(name: &str) -> Option<Tie> {
    let predefined = matches!(name, "" | "default" | "bridge" | "host" | "none" | "nat");
    (!predefined && !name.starts_with("container:")).then(|| Tie::Network(name.to_owned()))
}

/// The volume in `name:/path`; a host path begins with a slash, a lone path is an anonymous volume.
fn bound_volume(bind: &str) -> Option<Tie> {
    let (source, _) = bind.split_once(':')?;
    (!source.is_empty() && !source.starts_with(['/', '.', '~']))
        .then(|| Tie::Volume(source.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_what_lives_on_particular_backends() {
        let create: Create = serde_json::from_value(serde_json::json!({
            "Image": "busybox",
            "HostConfig": {
                "NetworkMode": "container:/web",
                "PidMode": "container:web",
                "IpcMode": "host",
                "Links": ["db:alias"],
                "VolumesFrom": ["files:ro"],
                "Binds": ["data:/data:rw", "/host:/x", "/anonymous"],
                "Mounts": [{"Type": "volume", "Source": "m"}, {"Type": "bind", "Source": "/b"}, {"Type": "volume"}],
            },
            "NetworkingConfig": {"EndpointsConfig": {"default": null, "back": {"Links": ["db:x"]}}},
        }))
        .unwrap();
        let names: Vec<_> = create.ties().iter().map(Tie::describe).collect();
        assert_eq!(
            names,
            [
                "container db",
                "container files",
                "container web",
                "network back",
                "volume data",
                "volume m"
            ]
        );
    }

    #[test]
    fn keys_that_a_daemon_would_read_in_another_case_are_refused() {
        for body in [
            r#"{"Image":"good","image":"evil"}"#,
            r#"{"hostConfig":{}}"#,
            r#"{"HoſtConfig":{}}"#,
            r#"{"HostConfig":{"binds":["x:/x"]}}"#,
            "[]",
        ] {
            assert!(Create::read(body.as_bytes()).is_err(), "{body}");
        }
        let escaped = br#"{"Image":"x","HostConfig":null,"cmd":[],"Lab\u0065ls":{}}"#;
        assert!(Create::read(escaped).is_ok());
    }

    #[test]
    fn ports_are_those_that_must_be_free() {
        let create: Create = serde_json::from_value(serde_json::json!({ "HostConfig": { "PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostPort": ""}, {"HostPort": "0"}],
            "53/udp": [{"HostPort": "53"}], "81": null, "82/tcp": [{}], "83/tcp": [{"HostPort": "1-9"}],
        }}}))
        .unwrap();
        assert_eq!(create.ports(), ["53/udp", "8080/tcp"]);
    }

    #[test]
    fn a_plain_container_has_no_ties() {
        for body in [
            r#"{}"#,
            r#"{"HostConfig":{"NetworkMode":"default","Binds":null}}"#,
            r#"{"HostConfig":null}"#,
        ] {
            let create: Create = serde_json::from_str(body).unwrap();
            assert!(create.ties().is_empty(), "{body}");
        }
    }
}
