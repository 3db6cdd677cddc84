//! The example `plugins/route-*` as components: each built by its own script, again only when its sources have changed.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A language in which the example is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Rust,
    Python,
    JavaScript,
    C,
}

/// The example's component. Building it takes Python ten seconds.
#[track_caller]
pub(crate) fn component(language: Language) -> PathBuf {
    let name = match language {
        Language::Rust => "rust",
        Language::Python => "python",
        Language::JavaScript => "javascript",
        Language::C => "c",
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_flockerd"));
    let target = binary.ancestors().nth(2).expect("target/debug/flockerd");
    let file = format!("route_{name}.wasm");
    // What the example in Rust is made of, cargo knows.
    let version = match language {
        Language::Rust => "new".into(),
        _ => digest(&[
            source(name),
            root().join("wit"),
            root().join("tests/languages"),
        ]),
    };
    let folder = target.join("languages").join(version);
    let component = folder.join(&file);
    if matches!(language, Language::Rust) || !component.exists() {
        fs::create_dir_all(&folder).unwrap();
        let work = TempDir::new_in(&folder).unwrap();
        build(name, work.path(), target);
        fs::rename(work.path().join(file), &component).unwrap();
    }
    component
}

/// The compilers that `make toolchains` installs, each with the variable that names it to a build script.
pub(crate) fn toolchain() -> [(&'static str, PathBuf); 3] {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("there is a HOME"));
    let cache = cache.unwrap_or_else(|| home().join(".cache"));
    let tool = |path: &str| cache.join("flockerd/toolchains").join(path);
    [
        ("COMPONENTIZE_PY", tool("python/bin/componentize-py")),
        (
            "COMPONENTIZE_QJS",
            tool("javascript/node_modules/.bin/componentize-qjs"),
        ),
        ("ZIG", tool("python/bin/python-zig")),
    ]
}

#[track_caller]
fn build(name: &str, out: &Path, target: &Path) {
    let script = source(name).join("build");
    let status = Command::new(&script)
        .arg(out)
        .env("CARGO_TARGET_DIR", target)
        .status();
    assert!(
        status.expect("the script can be started").success(),
        "{} failed; if a tool is missing, `make toolchains` installs it",
        script.display()
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(name: &str) -> PathBuf {
    root().join(format!("plugins/route-{name}"))
}

/// A digest of the files in these folders, but for the cases.
fn digest(folders: &[PathBuf]) -> String {
    let mut digest = Sha256::new();
    for folder in folders {
        let entries = fs::read_dir(folder).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.file_name() != Some(OsStr::new("cases.json")));
        files.sort();
        for file in files {
            digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            digest.update(fs::read(&file).unwrap());
        }
    }
    let bytes = digest.finalize();
    bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
