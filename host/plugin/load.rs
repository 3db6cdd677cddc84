//! From a plugin's bytes to a checked component, and what to tell its author when that fails.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use wasmtime::{
    Engine,
    component::{
        Component as Wasm, Linker,
        types::{ComponentExtern, ComponentItem},
    },
};

use crate::config::PluginConfig;

use super::{
    Compiler, Hook, Import, PullError, Registries, engine,
    failure::Failure,
    functions::{Functions, Mistyped},
    imports::Context,
    instance::Component,
    keyvalue, nesting,
    source::{self, Origin, Read},
};

/// The package of the contract.
const PACKAGE: &str = "flocker:plugin";

/// The version of the contract in `wit/types.wit`.
const VERSION: &str = "0.1.0";

/// Plugins built against any version that begins so can be loaded.
const COMPATIBLE: &str = "0.1.";

/// Whose interfaces a plugin may import; which of them there are, the linker knows.
const OFFERED: [&str; 8] = [
    "flocker:plugin/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why the plugins could not be loaded. Displays as one line; [`LoadError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
    #[error("plugin {name}: {cause}")]
    Plugin { name: String, cause: Cause },
}

/// What is wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("cannot read {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("cannot pull {wanted}: {error}")]
    NotPulled { wanted: String, error: PullError },
    #[error("{path} is a core module, not a component")]
    Module { path: String },
    #[error("{path} is not a valid component: {reason}")]
    Invalid { path: String, reason: String },
    #[error("it was built for {PACKAGE}@{version}, this flockerd speaks {VERSION}")]
    OtherVersion { version: String },
    #[error("it exports {interface}, which is no hook of this flockerd")]
    UnknownHook { interface: String },
    #[error("it exports no hook")]
    NoHook,
    #[error("its {} hook has the wrong type: {reason}", hook.name())]
    Mistyped { hook: Hook, reason: String },
    #[error("it imports {import}, which flockerd does not offer")]
    NotOffered { import: String },
    #[error("its imports do not fit: {reason}")]
    Unlinkable { reason: String },
    #[error("it cannot be started: {reason}")]
    Unstartable { reason: String },
}

/// How every WebAssembly file begins.
const MAGIC: &[u8] = b"\0asm";

impl LoadError {
    pub(super) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }

    fn of(config: &PluginConfig, cause: Cause) -> Self {
        let name = config.name.clone();
        Self::Plugin { name, cause }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Engine(_) => "check the limits on threads and memory".into(),
            Self::Plugin { cause, .. } => cause.hint(),
        }
    }
}

impl Cause {
    fn hint(&self) -> Cow<'static, str> {
        let hint = match self {
            Self::NotPulled { error, .. } => return error.hint(),
            Self::Unreadable { .. } => {
                "check the path: in a file it is relative to that file, on the command line to the working directory; in a registry a plugin is oci://HOST/REPOSITORY:TAG"
            }
            Self::Module { .. } => {
                "build it with `cargo build --target wasm32-wasip2`, or pass the module to `wasm-tools component new`"
            }
            Self::Invalid { .. } => {
                "build it again; components that use `async` in WIT are not supported"
            }
            Self::OtherVersion { .. } | Self::Mistyped { .. } | Self::Unlinkable { .. } => {
                "build it against the wit/ folder of this flockerd"
            }
            Self::UnknownHook { .. } | Self::NoHook => {
                "export one or more of request, route, map, start, list, registry-auth, event, state"
            }
            Self::NotOffered { .. } => {
                "a plugin may import log, config, keyspace, flock, body, WASI 0.2, and of wasi:keyvalue store, atomics and batch in the versions 0.2.0-draft and 0.2.0-draft2"
            }
            Self::Unstartable { .. } => {
                "its log may say more; `memory` or `timeout` in its configuration may be too small, or `dir` not be there"
            }
        };
        hint.into()
    }
}

impl From<Mistyped> for Cause {
    fn from(Mistyped { hook, reason }: Mistyped) -> Self {
        Self::Mistyped { hook, reason }
    }
}

/// What plugins are made with.
pub(super) struct Loader {
    linker: Linker<Context>,
    compiler: Compiler,
    registries: Registries,
}

impl Loader {
    /// A loader whose engine is sized for the plugins.
    pub(super) fn new(
        configs: &[PluginConfig],
        compiler: Compiler,
        registries: Registries,
    ) -> Result<Self, LoadError> {
        let linker = engine::linker(configs).map_err(LoadError::engine)?;
        Ok(Self {
            linker,
            compiler,
            registries,
        })
    }

    /// Loads one plugin and instantiates it once.
    pub(super) async fn load(&self, config: &PluginConfig) -> Result<Component, LoadError> {
        let read = self.read(config).await?;
        self.make(config, read).await
    }

    /// Reads or pulls a plugin.
    pub(super) async fn read(&self, config: &PluginConfig) -> Result<Read, LoadError> {
        let read = source::read(&config.source, &self.registries).await;
        read.map_err(|cause| LoadError::of(config, cause))
    }

    /// Compiles what was read and instantiates it once.
    pub(super) async fn make(
        &self,
        config: &PluginConfig,
        read: Read,
    ) -> Result<Component, LoadError> {
        let made = async {
            let component = self.compile(config, read).await?;
            rehearse(&component).await.map(|()| component)
        };
        made.await.map_err(|cause| LoadError::of(config, cause))
    }

    async fn compile(&self, config: &PluginConfig, read: Read) -> Result<Component, Cause> {
        let path = config.source.to_string();
        let Read { bytes, origin } = read;
        check_kind(&path, &bytes)?;
        let compiled = self
            .compiler
            .component(self.linker.engine(), bytes, &origin.digest);
        let wasm = compiled
            .await
            .map_err(|reason| Cause::Invalid { path, reason })?;
        self.link(config.clone(), origin, &wasm)
    }

    fn link(&self, config: PluginConfig, origin: Origin, wasm: &Wasm) -> Result<Component, Cause> {
        check_imports(wasm)?;
        let hooks = hooks(wasm)?;
        let template = self
            .linker
            .instantiate_pre(wasm)
            .map_err(|error| Cause::Unlinkable {
                reason: format!("{error:#}"),
            })?;
        let functions = Functions::find(&hooks, &template)?;
        Ok(Component::new(config, origin, template, functions))
    }
}

async fn rehearse(component: &Component) -> Result<(), Cause> {
    let rehearsed = component.rehearse().await;
    let unstartable = |failure: Failure| Cause::Unstartable {
        reason: failure.reason(),
    };
    Ok(rehearsed.map_err(unstartable)??)
}

/// Tells apart what is no component at all, so that this can be said in plain words.
fn check_kind(path: &str, bytes: &[u8]) -> Result<(), Cause> {
    let path = path.to_owned();
    // Magic, then the version: 1 for a core module; a component has 13 and, in the upper half, layer 1.
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(Cause::Module { path });
    }
    if !bytes.starts_with(MAGIC) {
        let reason = "it is no WebAssembly file".to_owned();
        return Err(Cause::Invalid { path, reason });
    }
    if nesting::is_too_deep(bytes) {
        let reason = "it has components within components, too deep to be compiled".to_owned();
        return Err(Cause::Invalid { path, reason });
    }
    Ok(())
}

fn check_imports(wasm: &Wasm) -> Result<(), Cause> {
    for (import, _) in wasm.component_type().imports(wasm.engine()) {
        check_version(import)?;
        let offered = OFFERED.iter().any(|offered| import.starts_with(offered));
        if !offered && !keyvalue::offers(import) {
            return Err(Cause::NotOffered {
                import: import.to_owned(),
            });
        }
    }
    Ok(())
}

/// Lists the hooks that are exported. Exports of other packages are none of flockerd's business.
fn hooks(wasm: &Wasm) -> Result<Vec<Hook>, Cause> {
    let mut hooks = Vec::new();
    for (export, _) in wasm.component_type().exports(wasm.engine()) {
        let Some((interface, _)) = contract(export) else {
            continue;
        };
        check_version(export)?;
        let hook = Hook::ALL.into_iter().find(|hook| hook.name() == interface);
        hooks.push(hook.ok_or_else(|| Cause::UnknownHook {
            interface: export.to_owned(),
        })?);
    }
    if hooks.is_empty() {
        return Err(Cause::NoHook);
    }
    Ok(hooks)
}

/// Lists the exports that are the contract's.
pub(super) fn exports(wasm: &Wasm) -> Vec<String> {
    let wasm_type = wasm.component_type();
    let names = wasm_type.exports(wasm.engine()).map(|(name, _)| name);
    let ours = names.filter(|name| contract(name).is_some());
    ours.map(str::to_owned).collect()
}

/// Lists the imports, each with its functions.
pub(super) fn imports(wasm: &Wasm) -> Vec<Import> {
    let imports = wasm.component_type();
    let imports = imports.imports(wasm.engine());
    let import = |(name, item): (&str, ComponentExtern)| Import {
        interface: name.to_owned(),
        functions: functions(wasm.engine(), item.ty),
    };
    imports.map(import).collect()
}

fn functions(engine: &Engine, item: ComponentItem) -> Vec<String> {
    let ComponentItem::ComponentInstance(interface) = item else {
        return Vec::new();
    };
    let is_function = |item: &ComponentItem| matches!(item, ComponentItem::ComponentFunc(_));
    let exports = interface.exports(engine);
    let functions = exports.filter(|(_, item)| is_function(&item.ty));
    functions.map(|(name, _)| name.to_owned()).collect()
}

fn check_version(name: &str) -> Result<(), Cause> {
    match contract(name) {
        Some((_, version)) if !version.starts_with(COMPATIBLE) => Err(Cause::OtherVersion {
            version: version.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Splits the name of one of the contract's interfaces into interface and version: `flocker:plugin/route@0.1.0`.
pub(super) fn contract(name: &str) -> Option<(&str, &str)> {
    let interface = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(
        interface
            .split_once('@')
            .unwrap_or((interface, "no version")),
    )
}

/// Returns the SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
