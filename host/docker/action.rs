//! What can be done with a call: the last column of the table of endpoints.

/// What a path's parameter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    Container,
    Exec,
    Image,
    Volume,
    /// A plugin of the daemon's own.
    Plugin,
}

/// What carries an endpoint out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    System(System),
    Containers(Containers),
    Images(Images),
    Networks(Networks),
    Volumes(Volumes),
    Builds(Builds),
    /// Removes what nobody uses, on every backend.
    Prune(Pruned),
    /// To one backend, always the same while it is there: any can ask a registry.
    AnyBackend,
    /// To the backend that has the object, streamed both ways.
    Forward(Object),
    /// The same, and the connection leaves HTTP.
    Hijack(Object),
    Refuse(Refusal),
}

/// Calls about the whole flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Ping,
    Version,
    Info,
    Events,
    DiskUsage,
    /// The daemons' own plugins.
    Plugins,
}

/// Calls about containers that are more than forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers {
    List,
    Create,
    Inspect,
    Rename,
    Start,
    Restart,
    Wait,
    Remove,
    ExecCreate,
    Commit,
}

/// Calls about images that are more than forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    List,
    /// A pull or an import.
    Create,
    Load,
    Save,
    Push,
    Tag,
    Remove,
}

/// Calls about networks that are more than forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networks {
    List,
    Inspect,
    Create,
    Remove,
    /// `connect` and `disconnect`.
    Connect,
}

/// Calls about volumes that are more than forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volumes {
    List,
    Create,
    Remove,
}

/// Calls of a client that builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builds {
    Build,
    Cancel,
    /// The builder's way back to the client.
    Session,
    /// The client's way to the builder.
    Grpc,
}

/// What a prune removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    Containers,
    Images,
    Networks,
    Volumes,
    BuildCache,
}

/// Why an endpoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Swarm mode is not there: the text of a daemon outside a swarm.
    NoSwarm,
    /// `swarm init` and `swarm join` would bind a single backend.
    NoSwarmHere,
    /// `swarm leave`, in the daemon's words.
    NotPartOfSwarm,
    /// A plugin would be on a single backend.
    NoPlugins,
    /// 404 `page not found`.
    NotFound,
}
