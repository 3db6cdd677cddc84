//! The one table of the Docker API: what routing, the log, `flockerd endpoints`, the documentation and the tests read.

use std::fmt;

use http::Method;

use super::{
    action::{
        Action::{self, AnyBackend, Forward, Hijack, Prune, Refuse},
        Builds, Containers, Images, Networks, Object, Pruned,
        Refusal::{NoPlugins, NoSwarm, NoSwarmHere, NotFound, NotPartOfSwarm},
        System, Volumes,
    },
    version::ApiVersion,
};

/// How a flock answers an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// flockerd answers.
    Local,
    /// Placement chooses a backend for something new.
    Place,
    /// The backend that has the object answers.
    Target,
    /// Every backend is asked and the answers become one.
    Merge,
    /// Every backend that has the object does it.
    Broadcast,
    /// flockerd says no.
    Refuse,
}

/// One row of the table.
#[derive(Debug)]
pub struct Endpoint {
    pub method: Method,
    /// Without the version prefix; `{container}` stands for one segment, `{image}`, `{network}` and `{plugin}` for one or more.
    pub path: &'static str,
    /// The first API version that has it; 1.24 stands for "always".
    pub since: ApiVersion,
    pub mode: Mode,
    pub action: Action,
    begin: [u8; BEGIN],
    /// How much of the path stands before its first parameter.
    literal: usize,
}

/// How much of its beginning tells most rows from a path.
const BEGIN: usize = 4;

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Place => "place",
            Self::Target => "target",
            Self::Merge => "merge",
            Self::Broadcast => "broadcast",
            Self::Refuse => "refuse",
        }
    }
}

const fn row(
    method: Method,
    path: &'static str,
    since: u16,
    mode: Mode,
    action: Action,
) -> Endpoint {
    Endpoint {
        method,
        path,
        since: ApiVersion::new(1, since),
        mode,
        action,
        begin: match path.as_bytes().first_chunk() {
            Some(begin) => *begin,
            None => panic!("a path is longer than that"),
        },
        literal: literal(path.as_bytes()),
    }
}

const fn literal(path: &[u8]) -> usize {
    let mut length = 0;
    while length < path.len() && path[length] != b'{' {
        length += 1;
    }
    length
}

const GET: Method = Method::GET;
const HEAD: Method = Method::HEAD;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

use Mode::{Broadcast, Local, Merge, Place, Refuse as Refused, Target};

/// Every endpoint of the Docker Engine API.
#[rustfmt::skip]
pub static ENDPOINTS: &[Endpoint] = &[
    // System
    row(GET,    "/_ping",                             24, Local,     Action::System(System::Ping)),
    row(HEAD,   "/_ping",                             40, Local,     Action::System(System::Ping)),
    row(GET,    "/version",                           24, Local,     Action::System(System::Version)),
    row(GET,    "/info",                              24, Merge,     Action::System(System::Info)),
    row(GET,    "/events",                            24, Merge,     Action::System(System::Events)),
    row(GET,    "/system/df",                         24, Merge,     Action::System(System::DiskUsage)),
    row(POST,   "/auth",                              24, Target,    AnyBackend),
    // Containers
    row(GET,    "/containers/json",                   24, Merge,     Action::Containers(Containers::List)),
    row(POST,   "/containers/create",                 24, Place,     Action::Containers(Containers::Create)),
    row(POST,   "/containers/prune",                  25, Broadcast, Prune(Pruned::Containers)),
    row(GET,    "/containers/{container}/json",       24, Target,    Action::Containers(Containers::Inspect)),
    row(GET,    "/containers/{container}/top",        24, Target,    Forward(Object::Container)),
    row(GET,    "/containers/{container}/changes",    24, Target,    Forward(Object::Container)),
    row(GET,    "/containers/{container}/logs",       24, Target,    Forward(Object::Container)),
    row(GET,    "/containers/{container}/stats",      24, Target,    Forward(Object::Container)),
    row(GET,    "/containers/{container}/export",     24, Target,    Forward(Object::Container)),
    row(GET,    "/containers/{container}/archive",    24, Target,    Forward(Object::Container)),
    row(HEAD,   "/containers/{container}/archive",    24, Target,    Forward(Object::Container)),
    row(PUT,    "/containers/{container}/archive",    24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/start",      24, Target,    Action::Containers(Containers::Start)),
    row(POST,   "/containers/{container}/stop",       24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/restart",    24, Target,    Action::Containers(Containers::Restart)),
    row(POST,   "/containers/{container}/kill",       24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/pause",      24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/unpause",    24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/wait",       24, Target,    Action::Containers(Containers::Wait)),
    row(POST,   "/containers/{container}/attach",     24, Target,    Hijack(Object::Container)),
    row(GET,    "/containers/{container}/attach/ws",  24, Target,    Hijack(Object::Container)),
    row(POST,   "/containers/{container}/resize",     24, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/exec",       24, Target,    Action::Containers(Containers::ExecCreate)),
    row(POST,   "/exec/{exec}/start",                 24, Target,    Hijack(Object::Exec)),
    row(POST,   "/exec/{exec}/resize",                24, Target,    Forward(Object::Exec)),
    row(GET,    "/exec/{exec}/json",                  24, Target,    Forward(Object::Exec)),
    row(POST,   "/containers/{container}/rename",     24, Target,    Action::Containers(Containers::Rename)),
    row(POST,   "/containers/{container}/update",     24, Target,    Forward(Object::Container)),
    row(DELETE, "/containers/{container}",            24, Target,    Action::Containers(Containers::Remove)),
    row(GET,    "/containers/{container}/checkpoints",              25, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/checkpoints",              25, Target,    Forward(Object::Container)),
    row(DELETE, "/containers/{container}/checkpoints/{checkpoint}", 25, Target,    Forward(Object::Container)),
    row(POST,   "/containers/{container}/copy",       24, Refused,   Refuse(NotFound)),
    row(POST,   "/commit",                            24, Target,    Action::Containers(Containers::Commit)),
    // Images, registries, builds
    row(GET,    "/images/json",                       24, Merge,     Action::Images(Images::List)),
    row(POST,   "/images/create",                     24, Place,     Action::Images(Images::Create)),
    row(POST,   "/images/load",                       24, Place,     Action::Images(Images::Load)),
    row(GET,    "/images/get",                        24, Target,    Action::Images(Images::Save)),
    row(GET,    "/images/search",                     24, Target,    AnyBackend),
    row(POST,   "/images/prune",                      25, Broadcast, Prune(Pruned::Images)),
    row(GET,    "/images/{image}/get",                24, Target,    Forward(Object::Image)),
    row(GET,    "/images/{image}/json",               24, Target,    Forward(Object::Image)),
    row(GET,    "/images/{image}/history",            24, Target,    Forward(Object::Image)),
    row(GET,    "/images/{image}/attestations",       55, Target,    Forward(Object::Image)),
    row(POST,   "/images/{image}/tag",                24, Broadcast, Action::Images(Images::Tag)),
    row(POST,   "/images/{image}/push",               24, Target,    Action::Images(Images::Push)),
    row(DELETE, "/images/{image}",                    24, Broadcast, Action::Images(Images::Remove)),
    row(GET,    "/distribution/{image}/json",         30, Target,    AnyBackend),
    row(POST,   "/build",                             24, Place,     Action::Builds(Builds::Build)),
    row(POST,   "/build/cancel",                      39, Target,    Action::Builds(Builds::Cancel)),
    row(POST,   "/build/prune",                       31, Broadcast, Prune(Pruned::BuildCache)),
    row(POST,   "/session",                           31, Place,     Action::Builds(Builds::Session)),
    row(POST,   "/grpc",                              39, Place,     Action::Builds(Builds::Grpc)),
    // Networks, volumes
    row(GET,    "/networks",                          24, Merge,     Action::Networks(Networks::List)),
    row(GET,    "/networks/",                         24, Merge,     Action::Networks(Networks::List)),
    row(GET,    "/networks/{network}",                24, Target,    Action::Networks(Networks::Inspect)),
    row(POST,   "/networks/create",                   24, Place,     Action::Networks(Networks::Create)),
    row(DELETE, "/networks/{network}",                24, Target,    Action::Networks(Networks::Remove)),
    row(POST,   "/networks/{network}/connect",        24, Target,    Action::Networks(Networks::Connect)),
    row(POST,   "/networks/{network}/disconnect",     24, Target,    Action::Networks(Networks::Connect)),
    row(POST,   "/networks/prune",                    25, Broadcast, Prune(Pruned::Networks)),
    row(GET,    "/volumes",                           24, Merge,     Action::Volumes(Volumes::List)),
    row(GET,    "/volumes/{volume}",                  24, Target,    Forward(Object::Volume)),
    row(POST,   "/volumes/create",                    24, Place,     Action::Volumes(Volumes::Create)),
    row(PUT,    "/volumes/{volume}",                  42, Refused,   Refuse(NoSwarm)),
    row(DELETE, "/volumes/{volume}",                  24, Target,    Action::Volumes(Volumes::Remove)),
    row(POST,   "/volumes/prune",                     25, Broadcast, Prune(Pruned::Volumes)),
    // Plugins of the daemon
    row(GET,    "/plugins",                           25, Merge,     Action::System(System::Plugins)),
    row(GET,    "/plugins/privileges",                25, Target,    AnyBackend),
    row(GET,    "/plugins/{plugin}/json",             25, Target,    Forward(Object::Plugin)),
    row(POST,   "/plugins/pull",                      25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/create",                    25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/{plugin}/enable",           25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/{plugin}/disable",          25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/{plugin}/push",             25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/{plugin}/set",              25, Refused,   Refuse(NoPlugins)),
    row(POST,   "/plugins/{plugin}/upgrade",          26, Refused,   Refuse(NoPlugins)),
    row(DELETE, "/plugins/{plugin}",                  25, Refused,   Refuse(NoPlugins)),
    // Swarm mode
    row(GET,    "/swarm",                             24, Refused,   Refuse(NoSwarm)),
    row(POST,   "/swarm/init",                        24, Refused,   Refuse(NoSwarmHere)),
    row(POST,   "/swarm/join",                        24, Refused,   Refuse(NoSwarmHere)),
    row(POST,   "/swarm/leave",                       24, Refused,   Refuse(NotPartOfSwarm)),
    row(POST,   "/swarm/update",                      24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/swarm/unlockkey",                   24, Refused,   Refuse(NoSwarm)),
    row(POST,   "/swarm/unlock",                      24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/nodes",                             24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/nodes/{node}",                      24, Refused,   Refuse(NoSwarm)),
    row(DELETE, "/nodes/{node}",                      24, Refused,   Refuse(NoSwarm)),
    row(POST,   "/nodes/{node}/update",               24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/services",                          24, Refused,   Refuse(NoSwarm)),
    row(POST,   "/services/create",                   24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/services/{service}",                24, Refused,   Refuse(NoSwarm)),
    row(DELETE, "/services/{service}",                24, Refused,   Refuse(NoSwarm)),
    row(POST,   "/services/{service}/update",         24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/services/{service}/logs",           25, Refused,   Refuse(NoSwarm)),
    row(GET,    "/tasks",                             24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/tasks/{task}",                      24, Refused,   Refuse(NoSwarm)),
    row(GET,    "/tasks/{task}/logs",                 29, Refused,   Refuse(NoSwarm)),
    row(GET,    "/secrets",                           25, Refused,   Refuse(NoSwarm)),
    row(POST,   "/secrets/create",                    25, Refused,   Refuse(NoSwarm)),
    row(GET,    "/secrets/{secret}",                  25, Refused,   Refuse(NoSwarm)),
    row(DELETE, "/secrets/{secret}",                  25, Refused,   Refuse(NoSwarm)),
    row(POST,   "/secrets/{secret}/update",           26, Refused,   Refuse(NoSwarm)),
    row(GET,    "/configs",                           30, Refused,   Refuse(NoSwarm)),
    row(POST,   "/configs/create",                    30, Refused,   Refuse(NoSwarm)),
    row(GET,    "/configs/{config}",                  30, Refused,   Refuse(NoSwarm)),
    row(DELETE, "/configs/{config}",                  30, Refused,   Refuse(NoSwarm)),
    row(POST,   "/configs/{config}/update",           30, Refused,   Refuse(NoSwarm)),
];

/// Finds the row for a cleaned path without its version prefix, and the path's first parameter as it is written.
///
/// Literal rows win over rows with parameters: `/images/json` is the list. A wrong method finds nothing, as in the
/// daemon, which knows no 405.
pub fn find<'a>(method: &Method, path: &'a str) -> Option<(&'static Endpoint, Option<&'a str>)> {
    let begin: [u8; BEGIN] = *path.as_bytes().first_chunk()?;
    let rows = || {
        let rows = ENDPOINTS.iter().filter(move |row| row.begin == begin);
        rows.filter(|row| row.method == *method)
    };
    if let Some(row) = rows().find(|row| row.path == path) {
        return Some((row, None));
    }
    rows().find_map(|row| Some((row, Some(parameter(row, path)?))))
}

/// Matches a path against a row's and returns what its first parameter stands for.
fn parameter<'a>(row: &Endpoint, path: &'a str) -> Option<&'a str> {
    let (before, rest) = row.path.split_at(row.literal);
    let tail = path.strip_prefix(before)?;
    let (name, after) = rest.strip_prefix('{')?.split_once('}')?;
    if matches!(name, "image" | "network" | "plugin") {
        return tail.strip_suffix(after).filter(|image| !image.is_empty());
    }
    let end = tail.find('/').unwrap_or(tail.len());
    let (value, tail) = tail.split_at(end);
    let matched = match after.split_once('{') {
        None => tail == after,
        Some((before, _)) => tail
            .strip_prefix(before)
            .is_some_and(|last| !last.is_empty() && !last.contains('/')),
    };
    (matched && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn paths_find_their_rows() {
        for (method, path, expected) in [
            (GET, "/containers/json", Some(("/containers/json", None))),
            (
                GET,
                "/containers/web/json",
                Some(("/containers/{container}/json", Some("web"))),
            ),
            (
                DELETE,
                "/containers/web",
                Some(("/containers/{container}", Some("web"))),
            ),
            (
                GET,
                "/containers/web/attach/ws",
                Some(("/containers/{container}/attach/ws", Some("web"))),
            ),
            (
                GET,
                "/images/10.0.0.1:5000/a/b:1/json",
                Some(("/images/{image}/json", Some("10.0.0.1:5000/a/b:1"))),
            ),
            (GET, "/images/get", Some(("/images/get", None))),
            (
                DELETE,
                "/images/a/b",
                Some(("/images/{image}", Some("a/b"))),
            ),
            (
                DELETE,
                "/containers/web/checkpoints/c1",
                Some((
                    "/containers/{container}/checkpoints/{checkpoint}",
                    Some("web"),
                )),
            ),
            (POST, "/containers/json", None),
            (GET, "/containers//json", None),
            (GET, "/containers/a/b/json", None),
            (GET, "/containers/json/", None),
            (GET, "/networks/", Some(("/networks/", None))),
            (
                POST,
                "/networks/a/b/connect",
                Some(("/networks/{network}/connect", Some("a/b"))),
            ),
            (GET, "/nothing", None),
        ] {
            let found = find(&method, path).map(|(row, parameter)| (row.path, parameter));
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn no_row_is_there_twice() {
        let mut seen = HashSet::new();
        for row in ENDPOINTS {
            assert!(seen.insert(row.to_string()), "{row}");
        }
    }

    #[test]
    fn refused_rows_are_refused() {
        for row in ENDPOINTS {
            let refuses = matches!(row.action, Refuse(_));
            assert_eq!(refuses, row.mode == Refused, "{row}");
        }
    }
}
