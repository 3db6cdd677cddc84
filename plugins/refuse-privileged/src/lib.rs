//! Refuses, with 403, containers that reach out to their host.
//!
//! ```toml
//! [[plugin]]
//! path = "refuse_privileged.wasm"
//! [plugin.config]
//! refuse = ["privileged", "capabilities", "host-namespaces", "docker-socket", "devices"]
//! ```
//!
//! Without the table only `privileged` is refused, of containers and of execs. A body that cannot be read is refused,
//! for what is not seen cannot be allowed. `docker-socket` sees paths, not where a symbolic link on the host leads.

use flocker_plugin::{
    Error, Request, Verdict, body, config,
    json::Tree,
    request::{self, Call},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "privileged_only")]
    refuse: Vec<Escape>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Escape {
    Privileged,
    Capabilities,
    HostNamespaces,
    DockerSocket,
    Devices,
}

struct RefusePrivileged;

impl Request for RefusePrivileged {
    fn handle(call: request::Call) -> Result<Verdict, Error> {
        if !creates(&call) {
            return Ok(Verdict::Proceed);
        }
        let config: Config = config::table()?;
        let body = readable_body()?;
        let found = config
            .refuse
            .iter()
            .find_map(|escape| escape.found_in(&body));
        match found {
            Some(what) => Err(Error::refuse(403, format!("{what} is not allowed here"))),
            None => Ok(Verdict::Proceed),
        }
    }
}

flocker_plugin::export!(RefusePrivileged: Request);

impl Escape {
    /// Returns what the client asked for, in the API's words. The body is that of a container, an exec or a volume;
    /// their fields do not collide.
    fn found_in(self, body: &Tree) -> Option<String> {
        match self {
            Self::Privileged => {
                let fields = ["HostConfig.Privileged", "Privileged"];
                let found = fields.iter().find(|field| body.is_true(field));
                found.map(|field| format!("`{field}`"))
            }
            Self::Capabilities => {
                let added = body.texts("HostConfig.CapAdd");
                added.first().map(|name| format!("the capability `{name}`"))
            }
            Self::HostNamespaces => host_namespace(body),
            Self::DockerSocket => socket_path(body),
            Self::Devices => {
                let fields = ["Devices", "DeviceRequests", "DeviceCgroupRules"];
                let paths = fields.map(|field| format!("HostConfig.{field}"));
                let mut used = paths.iter().filter(|path| !body.all(path).is_empty());
                used.next().map(|path| format!("`{path}`"))
            }
        }
    }
}

fn privileged_only() -> Vec<Escape> {
    vec![Escape::Privileged]
}

fn creates(call: &Call) -> bool {
    let path = call.endpoint.as_deref().unwrap_or(&call.path);
    let exec = path.starts_with("/containers/") && path.ends_with("/exec");
    call.method == "POST" && (exec || matches!(path, "/containers/create" | "/volumes/create"))
}

fn readable_body() -> Result<Tree, Error> {
    let refuse =
        |why: String| Error::refuse(403, format!("the policy cannot read the body: {why}"));
    let text = body::read().map_err(refuse)?;
    let text = text.ok_or_else(|| refuse("it is not JSON".into()))?;
    Tree::parse(&text).map_err(|_| refuse("it is not correct JSON".into()))
}

fn host_namespace(body: &Tree) -> Option<String> {
    let modes = [
        "PidMode",
        "NetworkMode",
        "IpcMode",
        "UTSMode",
        "UsernsMode",
        "CgroupnsMode",
    ];
    let paths = modes.map(|mode| format!("HostConfig.{mode}"));
    let found = paths.iter().find(|path| body.texts(path).contains(&"host"));
    found.map(|path| format!("`{path}` of `host`"))
}

/// Finds a path of the host that is Docker's socket or holds it, in binds, mounts and volumes that are binds.
fn socket_path(body: &Tree) -> Option<String> {
    let binds = body.texts("HostConfig.Binds");
    let sources = binds.into_iter().filter_map(|bind| bind.split(':').next());
    let mounts = body.texts("HostConfig.Mounts.Source");
    let options = body.texts("HostConfig.Mounts.VolumeOptions.DriverConfig.Options.device");
    let volumes = body.texts("DriverOpts.device");
    let mut paths = sources.chain(mounts).chain(options).chain(volumes);
    paths
        .find(|path| reaches_socket(path))
        .map(|path| format!("the path `{path}` with Docker's socket"))
}

fn reaches_socket(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let path = cleaned(path);
    let sockets: [&[&str]; 2] = [&["var", "run", "docker.sock"], &["run", "docker.sock"]];
    let holds = sockets.iter().any(|socket| socket.starts_with(&path));
    holds || path.last() == Some(&"docker.sock")
}

/// Splits a path into its names, without `.`, `..` and empty ones.
fn cleaned(path: &str) -> Vec<&str> {
    path.split('/').fold(Vec::new(), |mut names, name| {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
        names
    })
}

#[cfg(test)]
mod tests;
