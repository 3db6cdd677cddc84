//! `flockerd plugin check`: what a component is, and precisely why it does not fit.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::Desk;
use crate::{
    config::{Flags, Problem},
    plugin::{Hook, Import, PluginInfo, digest},
};

/// The contract's package, as imports and exports name it.
const CONTRACT: &str = "flocker:plugin/";

/// What flockerd gives a plugin that wants something of WASI.
const WASI: [(&str, &str); 7] = [
    (
        "wasi:cli/",
        "command line (no arguments, no environment; output goes to the log)",
    ),
    ("wasi:clocks/", "clocks"),
    ("wasi:filesystem/", "files (there are none)"),
    ("wasi:http/", "http (not offered)"),
    ("wasi:io/", "streams"),
    ("wasi:random/", "random numbers"),
    ("wasi:sockets/", "network (every use is refused)"),
];

/// Tells about every file. Returns the report and whether all of them fit.
pub(super) async fn check(files: &[PathBuf], flags: &Flags) -> (String, bool) {
    let mut report = String::new();
    let mut well = true;
    for file in files {
        match inspect(file, flags).await {
            Ok(info) => {
                let _ = writeln!(report, "ok    {}", file.display());
                describe(&info, &mut report);
            }
            Err(problem) => {
                well = false;
                let _ = writeln!(report, "error {}: {problem}", file.display());
                row(&mut report, "hint", problem.hint.as_deref().unwrap_or("-"));
            }
        }
        if let Ok(bytes) = fs::read(file) {
            weigh(bytes.len(), &digest(&bytes), &mut report);
        }
    }
    (report, well)
}

async fn inspect(file: &Path, flags: &Flags) -> Result<PluginInfo, Problem> {
    let desk = Desk::with(file, flags)?;
    let loaded = desk.load(&desk.chain[0]).await?;
    let unknown = || Problem::new("it is no plugin", "give a component");
    loaded.infos().pop().ok_or_else(unknown)
}

fn describe(info: &PluginInfo, report: &mut String) {
    let hooks: Vec<&str> = info.hooks.iter().copied().map(Hook::name).collect();
    row(report, "hooks", &hooks.join(", "));
    row(report, "contract", &contract(info).join(", "));
    let (ours, foreign): (Vec<_>, Vec<_>) = info
        .imports
        .iter()
        .partition(|import| import.interface.starts_with(CONTRACT));
    row(report, "imports", &functions(&ours).join(", "));
    row(report, "wasi", &capabilities(&foreign).join(", "));
    if let Some(pinned) = &info.pinned {
        weigh(info.size, &info.digest, report);
        row(report, "pinned", &pinned.to_string());
    }
}

/// The versions of the contract that it names: one, unless parts of it were built apart.
fn contract(info: &PluginInfo) -> Vec<String> {
    let imports = info.imports.iter().map(|import| &import.interface);
    let names = imports.chain(&info.exports);
    let ours = names.filter_map(|name| name.strip_prefix(CONTRACT)?.split_once('@'));
    let mut versions: Vec<_> = ours
        .map(|(_, version)| format!("flocker:plugin@{version}"))
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

/// The contract's functions: `keyspace.get`. `types` has none.
fn functions(imports: &[&Import]) -> Vec<String> {
    let of = |import: &&Import| {
        let interface = import.interface.trim_start_matches(CONTRACT);
        let interface = interface.split('@').next().unwrap_or(interface).to_owned();
        let functions = import.functions.clone();
        functions
            .into_iter()
            .map(move |function| format!("{interface}.{function}"))
    };
    imports.iter().flat_map(of).collect()
}

fn capabilities(imports: &[&Import]) -> Vec<&'static str> {
    let wanted = |prefix: &str| {
        imports
            .iter()
            .any(|import| import.interface.starts_with(prefix))
    };
    let rows = WASI.iter().filter(|(prefix, _)| wanted(prefix));
    rows.map(|(_, words)| *words).collect()
}

/// What can be said of any file.
fn weigh(size: usize, digest: &str, report: &mut String) {
    row(report, "size", &format!("{size} bytes"));
    row(report, "digest", &format!("sha256:{digest}"));
}

fn row(report: &mut String, name: &str, text: &str) {
    let text = if text.is_empty() { "-" } else { text };
    let _ = writeln!(report, "      {name:<9} {text}");
}
