//! The layers of the source: a module uses only what lies below it.

use std::path::{Path, PathBuf};

/// From the top; modules of one line do not use each other.
const LAYERS: [&[&str]; 11] = [
    &["main"],
    &["cli"],
    &["app"],
    &["front"],
    &["proxy"],
    &["inventory"],
    &["plugin"],
    &["backend", "state"],
    &["docker", "config"],
    &["error"],
    &["address", "id", "telemetry", "shutdown", "socket"],
];

#[test]
fn a_module_uses_only_what_lies_below_it() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("host");
    let mut wrong = Vec::new();
    for file in sources(&host) {
        let module = module_of(&host, &file);
        if module == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for used in uses(&text) {
            if used != module && depth(&used) <= depth(&module) {
                wrong.push(format!("{}: {module} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_one_file() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("host");
    let mut files = sources(&host);
    files.retain(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        text.contains("unsafe_code") || text.contains("unsafe {")
    });
    assert_eq!(files, [host.join("plugin/mapped.rs")]);
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::{config, error::Error,\n state::{self, StateStore}};\nlet x = crate::plugin::Hook::Map;\nuse flockerd::cli;";
    assert_eq!(uses(text), ["config", "error", "state", "plugin", "cli"]);
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(folders.iter().flat_map(|folder| sources(folder)))
        .collect()
}

/// `plugin` for `host/plugin.rs` and everything in `host/plugin/`.
fn module_of(host: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(host).unwrap();
    let first = relative
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[track_caller]
fn depth(module: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&module));
    layer.unwrap_or_else(|| panic!("the module {module} is in no layer"))
}

/// The modules of the crate that a text names, through `crate::` or the crate's own name.
fn uses(text: &str) -> Vec<String> {
    let starts = text
        .match_indices("crate::")
        .map(|(at, found)| at + found.len());
    let starts = starts.chain(
        text.match_indices("flockerd::")
            .map(|(at, found)| at + found.len()),
    );
    let modules = starts.flat_map(|at| heads(&text[at..]));
    modules
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect()
}

/// The first segment of a path, or of every path of a group in braces.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut depth = 0;
    let mut heads = vec![word(group)];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn word(text: &str) -> String {
    let letters = text.trim_start().chars();
    letters
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
        .collect()
}
