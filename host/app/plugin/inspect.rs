//! `flockerd plugin check`: what a component is, and precisely why it does not fit.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::Desk;
use crate::{
    config::{Flags, Grants, Problem, Reality},
    plugin::{Hook, Import, PluginInfo, digest},
};

/// The contract's package, as imports and exports name it.
const CONTRACT: &str = "flocker:plugin/";

/// What a plugin can want of WASI, and what the configuration grants.
const WASI: [(&str, Granted); 9] = [
    ("wasi:cli/", |_| {
        "command line: no arguments, output goes to the log".to_owned()
    }),
    ("wasi:cli/environment", |grants| {
        let names = grants.env.iter().map(|grant| grant.name.as_str());
        format!("environment: {}", listed(names, "empty, see `env`"))
    }),
    ("wasi:clocks/", |grants| {
        format!("clocks: {}", source(grants.clocks, "clocks"))
    }),
    ("wasi:filesystem/", |grants| match &grants.dir {
        Some(dir) => format!("files: read {}", dir.display()),
        None => "files: none, see `dir`".to_owned(),
    }),
    ("wasi:http/", |grants| {
        let hosts: Vec<_> = grants.http.iter().map(ToString::to_string).collect();
        let hosts = hosts.iter().map(String::as_str);
        format!("http: {}", listed(hosts, "no host, see `http`"))
    }),
    ("wasi:io/", |_| "streams".to_owned()),
    ("wasi:keyvalue/", |_| {
        "keys: its own, in the state store".to_owned()
    }),
    ("wasi:random/", |grants| {
        format!("random numbers: {}", source(grants.random, "random"))
    }),
    ("wasi:sockets/", |_| "sockets: none".to_owned()),
];

/// Says what is granted.
type Granted = fn(&Grants) -> String;

/// Tells about every file. Returns the report and whether all of them fit.
pub(super) async fn check(files: &[PathBuf], flags: &Flags) -> (String, bool) {
    let mut report = String::new();
    let mut well = true;
    for file in files {
        match inspect(file, flags).await {
            Ok((info, grants)) => {
                let _ = writeln!(report, "ok    {}", file.display());
                describe(&info, &grants, &mut report);
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

async fn inspect(file: &Path, flags: &Flags) -> Result<(PluginInfo, Grants), Problem> {
    let mut desk = Desk::with(file, flags)?;
    let loaded = desk.load(&desk.chain[0]).await?;
    let unknown = || Problem::new("it is no plugin", "give a component");
    let info = loaded.infos().pop().ok_or_else(unknown)?;
    Ok((info, std::mem::take(&mut desk.plugin().grants)))
}

fn describe(info: &PluginInfo, grants: &Grants, report: &mut String) {
    let hooks: Vec<&str> = info.hooks.iter().copied().map(Hook::name).collect();
    row(report, "hooks", &hooks.join(", "));
    row(report, "contract", &contract(info).join(", "));
    let (ours, foreign): (Vec<_>, Vec<_>) = info
        .imports
        .iter()
        .partition(|import| import.interface.starts_with(CONTRACT));
    row(report, "imports", &functions(&ours).join(", "));
    let mut name = "wasi";
    for line in capabilities(&foreign, grants) {
        row(report, name, &line);
        name = "";
    }
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

/// What it wants of WASI, and what it is granted, one line each.
fn capabilities(imports: &[&Import], grants: &Grants) -> Vec<String> {
    let wanted = |prefix: &str| {
        imports
            .iter()
            .any(|import| import.interface.starts_with(prefix))
    };
    let rows = WASI.iter().filter(|(prefix, _)| wanted(prefix));
    rows.map(|(_, granted)| granted(grants)).collect()
}

fn listed<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        none.to_owned()
    } else {
        names
    }
}

fn source(source: Reality, key: &str) -> String {
    match source {
        Reality::Fixed => format!("fixed, see `{key}`"),
        Reality::Real => "real".to_owned(),
    }
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
