//! Compiled components: made once, in a child process, kept in the cache and mapped into memory.
//!
//! Compiling is the most work that flockerd does on bytes it does not trust, and Python's and JavaScript's runtimes
//! take half a gigabyte for it. A child that crashes, hangs or eats memory over it harms nobody.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};
use wasmtime::{Engine, component::Component as Wasm};

use super::{
    cache::{Cache, Draft},
    digest, engine, mapped,
};

/// This program, even when its file has been replaced since it started.
const MYSELF: &str = "/proc/self/exe";

/// The child's exit code when it cannot write what it compiled.
const UNWRITTEN: i32 = 3;

/// How long compiling may take; the largest runtimes need a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The addresses a compiling child may use, in bytes.
const ADDRESSES: u64 = 8 << 30;

/// Turns the bytes of components into code.
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    /// None: compiles in this process and keeps nothing.
    child: Option<Child>,
}

#[derive(Debug, Clone)]
struct Child {
    cache: Option<PathBuf>,
}

impl Compiler {
    /// A compiler for programs of which `PROGRAM compile PATH` is [`compile`]. Keeps what it made below `cache`;
    /// without a folder, or when that one cannot be used, every start compiles again.
    pub fn cached(cache: Option<PathBuf>) -> Self {
        Self {
            child: Some(Child { cache }),
        }
    }

    /// Returns the code of a valid or invalid component whose SHA-256 is `digest`.
    ///
    /// # Errors
    /// Why it could not be compiled, in words.
    pub(super) async fn component(
        &self,
        engine: &Engine,
        bytes: Vec<u8>,
        digest: &str,
    ) -> Result<Wasm, String> {
        match &self.child {
            Some(child) => child.component(engine, &bytes, digest).await,
            None => here(engine.clone(), bytes).await,
        }
    }
}

async fn here(engine: Engine, bytes: Vec<u8>) -> Result<Wasm, String> {
    let compiling = tokio::task::spawn_blocking(move || Wasm::from_binary(&engine, &bytes));
    let compiled = compiling.await.map_err(|panic| panic.to_string())?;
    compiled.map_err(|error| format!("{error:#}"))
}

impl Child {
    async fn component(&self, engine: &Engine, bytes: &[u8], digest: &str) -> Result<Wasm, String> {
        let cache = self.open();
        let name = file_name(engine, digest);
        if let Some(wasm) = cache.as_ref().and_then(|cache| found(engine, cache, &name)) {
            return Ok(wasm);
        }
        let begun = Instant::now();
        tracing::info!(digest, bytes = bytes.len(), "compiling a component");
        let draft = compiled(cache.as_ref(), bytes).await?;
        let wasm = mapped::component(engine, draft.path()).map_err(|error| format!("{error:#}"))?;
        tracing::info!(digest, elapsed = ?begun.elapsed(), "component compiled");
        if let Some(cache) = &cache {
            keep(cache, draft, &name);
        }
        Ok(wasm)
    }

    fn open(&self) -> Option<Cache> {
        let path = self.cache.as_ref()?;
        let path = path.join("compiled");
        let unusable = |error: &io::Error| tracing::warn!(path = %path.display(), %error, "the cache of compiled components cannot be used");
        Cache::open(&path).inspect_err(unusable).ok()
    }
}

/// What was kept of a component, if it is what was kept: code that a bad disk has changed would crash flockerd.
fn found(engine: &Engine, cache: &Cache, name: &str) -> Option<Wasm> {
    let kept = cache.beginning_with(name)?;
    let path = cache.file(&kept)?;
    let sound = checksum(&path).is_ok_and(|sum| kept == with_checksum(name, sum));
    let mapped = sound.then(|| mapped::component(engine, &path));
    match mapped {
        Some(Ok(wasm)) => return Some(wasm),
        Some(Err(error)) => {
            tracing::warn!(error = %format_args!("{error:#}"), "a compiled component is unusable");
        }
        None => {
            tracing::warn!(path = %path.display(), "a compiled component is unusable: it is damaged")
        }
    }
    // Whoever cannot remove it compiles at every start.
    let _ = fs::remove_file(path);
    None
}

/// Compiles into the cache, or where that has no room, into a file that is unlinked when it goes; what is mapped stays.
async fn compiled(cache: Option<&Cache>, bytes: &[u8]) -> Result<Draft, String> {
    if let Some(cache) = cache {
        let room = async {
            let draft = cache.draft().map_err(Unmade::Unwritten)?;
            compile_in_child(draft.path(), bytes).await.map(|()| draft)
        };
        match room.await {
            Err(Unmade::Unwritten(error)) => {
                tracing::warn!(%error, "the cache of compiled components cannot be written");
            }
            made => return made.map_err(|unmade| unmade.to_string()),
        }
    }
    let unwritten = |error| Unmade::Unwritten(error).to_string();
    let draft = Draft::temporary().map_err(unwritten)?;
    let made = compile_in_child(draft.path(), bytes).await;
    made.map(|()| draft).map_err(|unmade| unmade.to_string())
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error("there is no place to write it to: {0}")]
    Unwritten(io::Error),
    #[error("{0}")]
    Failed(String),
}

/// A failure costs only the next start's time.
fn keep(cache: &Cache, draft: Draft, name: &str) {
    let kept = checksum(draft.path()).and_then(|sum| cache.keep(draft, &with_checksum(name, sum)));
    if let Err(error) = kept {
        tracing::warn!(%error, "a compiled component is not kept");
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    Ok(crc32fast::hash(&fs::read(path)?))
}

fn with_checksum(name: &str, sum: u32) -> String {
    format!("{name}-{sum:08x}.cwasm")
}

/// The content, and what the engine makes of it: its version, its settings, and this processor's features.
fn file_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
}

async fn compile_in_child(output: &Path, bytes: &[u8]) -> Result<(), Unmade> {
    let failed = |reason: String| Unmade::Failed(reason);
    let mut child = Command::new(MYSELF)
        .arg("compile")
        .arg(output)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            failed(format!(
                "a process to compile it cannot be started: {error}"
            ))
        })?;
    let mut input = child.stdin.take();
    let feed = async move {
        if let Some(input) = &mut input {
            // A child that fails early does not read to the end; its own words say why.
            let _ = input.write_all(bytes).await;
        }
        drop(input);
    };
    let ended = async { tokio::join!(feed, child.wait_with_output()).1 };
    let ended = timeout(PATIENCE, ended)
        .await
        .map_err(|_| failed(format!("compiling it took more than {PATIENCE:?}")))?
        .map_err(|error| failed(format!("the process that compiles it was lost: {error}")))?;
    let said = || String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    match ended.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(failed(said())),
        Some(UNWRITTEN) => Err(Unmade::Unwritten(io::Error::other(said()))),
        _ => Err(failed(format!("the compiler ended with {}", ended.status))),
    }
}

/// What the child does: reads a component and writes its code to a file. Given a folder, keeps it there as a cache does,
/// for a flockerd that cannot start a child: valgrind shows it a processor of its own, and [`MYSELF`] is valgrind.
///
/// # Errors
/// The exit code, and why the component cannot be compiled, in words.
pub fn compile(mut input: impl Read, output: &Path) -> Result<(), (i32, String)> {
    let mut bytes = Vec::new();
    let read = limit_addresses().and_then(|()| input.read_to_end(&mut bytes));
    read.map_err(|error| (1, error.to_string()))?;
    let (engine, code) = code(&bytes).map_err(|error| (1, format!("{error:#}")))?;
    let written = match output.is_dir() {
        true => write_kept(output, &file_name(&engine, &digest(&bytes)), &code),
        false => write(output, &code),
    };
    written.map_err(|error| (UNWRITTEN, error.to_string()))
}

fn limit_addresses() -> io::Result<()> {
    let limit = Rlimit {
        current: Some(ADDRESSES),
        maximum: Some(ADDRESSES),
    };
    setrlimit(Resource::As, limit)?;
    // On a machine with less memory than that, this is the process to end. Where it cannot be said, it stays unsaid.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn code(bytes: &[u8]) -> wasmtime::Result<(Engine, Vec<u8>)> {
    let engine = engine::compiling()?;
    let code = engine.precompile_component(bytes)?;
    Ok((engine, code))
}

fn write_kept(folder: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    let cache = Cache::open(folder)?;
    let draft = cache.draft()?;
    write(draft.path(), code)?;
    cache.keep(draft, &with_checksum(name, crc32fast::hash(code)))
}

/// On the disk before it has a name: half a file of code must never be found.
fn write(output: &Path, code: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(output)?;
    io::Write::write_all(&mut file, code)?;
    file.sync_all()
}
