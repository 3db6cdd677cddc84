//! The one place where flockerd trusts a file to be machine code.
#![expect(
    unsafe_code,
    reason = "mapping code that was compiled before is unsafe by nature"
)]

use std::path::Path;

use wasmtime::{Engine, Result, component::Component};

/// Maps a file that [`super::compiler`] wrote.
///
/// # Errors
/// When it was made by another engine, or is no compiled component at all.
pub(super) fn component(engine: &Engine, path: &Path) -> Result<Component> {
    // SAFETY: whoever writes this file decides what flockerd executes, and whoever shortens it while it is mapped
    // crashes flockerd. `Cache` and `Draft` hand out paths only in folders that belong to this user and that nobody
    // else may enter, of files that this user owns; into those nothing is written but what the engine's own compiler
    // made of a component, synced before it has its name, never changed after, removed only as a whole (a mapping
    // outlives that). That it was made by this version, with these settings and for this processor, the engine checks.
    unsafe { Component::deserialize_file(engine, path) }
}
