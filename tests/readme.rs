//! What the README says of the code is true.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use flockerd::{
    config::{Config, Flags, KEYS, Key},
    docker::endpoint::ENDPOINTS,
};
use tempfile::TempDir;

use crate::harness::{binary, run};

const README: &str = include_str!("../README.md");
const API: &str = include_str!("../docs/api.md");
const SDK: &str = include_str!("../plugin-sdk/src/lib.rs");

#[test]
fn the_configuration_reference_is_that_of_the_code() {
    let expected: Vec<String> = KEYS.iter().map(line).collect();
    assert_eq!(table("| key | default | meaning |"), expected);
}

/// A key as a line of the reference.
fn line(key: &Key) -> String {
    let default = key.default.map(|text| format!("`{text}` "));
    let default = default.unwrap_or_default();
    format!("| `{}` | {default}| {} |", key.name, key.meaning)
}

#[test]
fn every_flag_and_its_variable_is_mentioned() {
    let helps = [
        &["--help"][..],
        &["endpoints", "--help"],
        &["plugin", "--help"],
        &["plugin", "new", "--help"],
        &["plugin", "check", "--help"],
        &["plugin", "test", "--help"],
        &["plugin", "bench", "--help"],
        &["plugin", "explain", "--help"],
    ];
    let named: BTreeSet<String> = helps.into_iter().flat_map(flags).collect();
    assert!(
        named.contains("--backend-timeout")
            && named.contains("--create")
            && named.contains("FLOCKERD_LOG")
    );
    for name in named {
        assert!(mentions(&name), "{name}");
    }
}

/// The long flags and the variables of a help text.
fn flags(arguments: &[&str]) -> Vec<String> {
    let home = TempDir::new().unwrap();
    let help = run(binary(home.path()).args(arguments), b"").ok();
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    let names = words.filter(|word| {
        let flag = word.strip_prefix("--");
        flag.is_some_and(|name| !name.is_empty()) || word.starts_with("FLOCKERD_")
    });
    names.map(str::to_owned).collect()
}

/// Whether the README has the word, not only as the beginning of a longer one.
fn mentions(word: &str) -> bool {
    README.match_indices(word).any(|(at, found)| {
        let next = README[at + found.len()..].chars().next();
        next.is_some_and(|next| !next.is_ascii_alphanumeric() && !"-_".contains(next))
    })
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links: Vec<&str> = README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .filter(|link| !link.contains("://"))
        .collect();
    assert!(links.len() > 10, "{links:?}");
    let headings: BTreeSet<String> = README.lines().filter_map(anchor).collect();
    for link in links {
        match link.strip_prefix('#') {
            Some(heading) => assert!(headings.contains(heading), "{link}"),
            None => assert!(root.join(link).exists(), "{link}"),
        }
    }
}

/// The anchor of a heading: small letters and dashes.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let letters = title.to_lowercase().replace(' ', "-");
    let kept = letters
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c));
    Some(kept.collect())
}

#[test]
fn every_shipped_plugin_and_every_hook_is_described() {
    for (folder, extension) in [("plugins", None), ("wit", Some("wit"))] {
        for file in entries(folder) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let general = ["types.wit", "worlds.wit"].contains(&name);
            if file.extension().and_then(|found| found.to_str()) == extension && !general {
                assert!(README.contains(&format!("]({folder}/{name}")), "{name}");
            }
        }
    }
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_plugin_from_nothing_is_the_one_of_the_sdk() {
    let documented = SDK.split("//! ```\n").nth(1).unwrap();
    let (plugin, _) = documented.split_once("//! // And its test").unwrap();
    let lines = plugin.lines().map(|line| {
        let code = line.strip_prefix("//!").unwrap();
        code.strip_prefix(' ').unwrap_or(code)
    });
    let plugin = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(code("rust"), [plugin.trim_end()]);
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let manifest = |text: &str| text.starts_with("[package]");
    let shown: Vec<&str> = code("toml")
        .into_iter()
        .filter(|text| !manifest(text))
        .collect();
    assert_eq!(shown.len(), 3);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("flockerd.toml");
    for text in shown {
        fs::write(&file, text).unwrap();
        let flags = Flags {
            config: Some(OsString::from(&file)),
            ..Flags::default()
        };
        let config = Config::load(&flags).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        assert_ne!(config, Config::default(), "{text}");
    }
}

#[test]
fn the_table_of_the_api_is_the_generated_one() {
    let home = TempDir::new().unwrap();
    let mut command = binary(home.path());
    let generated = run(command.args(["endpoints", "--format", "markdown"]), b"").ok();
    let (_, table) = API.split_once("\n| method |").unwrap();
    assert_eq!(
        format!("| method |{}", table.trim_end()),
        generated.trim_end()
    );
}

#[test]
fn every_mode_is_explained() {
    for row in ENDPOINTS {
        assert!(
            README.contains(&format!("| `{}` |", row.mode.name())),
            "{row}"
        );
    }
}

#[test]
fn the_tests_that_tables_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["host", "tests"] {
        read_all(&root.join(folder), &mut sources);
    }
    for (page, least) in [("chain.md", 15), ("limits.md", 25)] {
        let text = fs::read_to_string(root.join("docs/plugins").join(page)).unwrap();
        let names: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
        let is_test = |name: &&&str| name.matches('_').count() > 2 && !name.contains(' ');
        let tests: Vec<&&str> = names.iter().filter(is_test).collect();
        assert!(tests.len() >= least, "{page} names {} tests", tests.len());
        for test in tests {
            assert!(sources.contains(&format!("fn {test}()")), "{page}: {test}");
        }
    }
}

/// Appends the Rust sources of a folder.
fn read_all(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// The lines of the table with this head.
fn table(head: &str) -> Vec<&'static str> {
    let lines = README.lines().skip_while(|line| *line != head).skip(2);
    lines.take_while(|line| line.starts_with('|')).collect()
}

/// The blocks of code in one language.
fn code(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let rest = README.match_indices(&fence);
    let blocks = rest.filter_map(|(at, found)| README[at + found.len()..].split_once("\n```"));
    blocks.map(|(block, _)| block).collect()
}
