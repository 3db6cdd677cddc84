//! The tools of a plugin's author, with plugins that are shipped and some that do not work.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::harness::{Output, binary, plugin, run};

/// Cases that hold, fail, or cannot be run.
mod cases;
/// What comes of a chain.
mod explain;
/// A plugin from nothing.
mod new;

const TOOLS: &str = include_str!("../docs/plugins/tools.md");

/// A folder of files, where the tools run.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.path().join(name);
        fs::write(&file, bytes).unwrap();
        file
    }

    /// `flockerd plugin ...`; a word that is the name of a plugin is its file.
    #[track_caller]
    fn tool(&self, words: &[&str]) -> Output {
        let mut command = binary(self.0.path());
        command.arg("plugin");
        for word in words {
            match word.strip_prefix('%') {
                Some(name) => command.arg(plugin(name)),
                None => command.arg(word),
            };
        }
        run(&mut command, b"")
    }

    /// Runs the cases; the exit code and the report.
    #[track_caller]
    fn test(&self, name: &str, cases: &str) -> (i32, String) {
        self.file("cases.toml", cases);
        let output = self.tool(&["test", name, "cases.toml"]);
        assert!(output.code < 2, "{}", output.text());
        (output.code, output.stdout())
    }

    /// The cases cannot be run; what is said about it.
    #[track_caller]
    fn wrong_cases(&self, cases: &str) -> String {
        self.file("cases.toml", cases);
        let errors = self.tool(&["test", "%spread", "cases.toml"]).fails(2);
        assert!(
            errors.contains("error: ") && errors.contains("hint: "),
            "{errors}"
        );
        errors
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// The blocks of this language in the tools' manual.
fn documented(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = TOOLS.split(fence.as_str()).skip(1);
    blocks
        .map(|rest| rest.split_once("\n```").unwrap().0)
        .collect()
}

#[test]
fn check_tells_hooks_imports_and_digest() {
    let desk = Desk::new();
    let report = desk.tool(&["check", "%probe", "%label-placement"]).ok();
    let size = fs::metadata(plugin("probe")).unwrap().len();
    has(
        &report,
        &[
            "hooks     request, route, map, start\n",
            "contract  flocker:plugin@0.1.0\n",
            "keyspace.swap",
            "flock.backends",
            "command line: no arguments, output goes to the log\n",
            "environment: empty, see `env`\n",
            &format!("size      {size} bytes\n"),
            "hooks     route\n",
        ],
    );
    let digest = report
        .lines()
        .find_map(|line| line.trim().strip_prefix("digest    sha256:"));
    assert_eq!(digest.map(str::len), Some(64), "{report}");
}

#[test]
fn check_tells_what_does_not_fit_of_every_file() {
    let desk = Desk::new();
    let mut other = fs::read(plugin("spread")).unwrap();
    for at in 0..other.len() - 5 {
        if &other[at..at + 6] == b"@0.1.0" {
            other[at..at + 6].copy_from_slice(b"@0.9.0");
        }
    }
    desk.file("other.wasm", other);
    desk.file("text.wasm", "no wasm");
    desk.file("module.wasm", b"\0asm\x01\0\0\0");
    let output = desk.tool(&[
        "check",
        "other.wasm",
        "text.wasm",
        "module.wasm",
        "absent.wasm",
        "%spread",
    ]);
    assert_eq!(output.code, 1, "{}", output.text());
    has(
        &output.stdout(),
        &[
            "error other.wasm: plugin other: it was built for flocker:plugin@0.9.0, this flockerd speaks 0.1.0",
            "hint      build it against the wit/ folder",
            "it is no WebAssembly file",
            "size      7 bytes",
            "is a core module, not a component",
            "cannot read absent.wasm",
            "ok    ",
        ],
    );
}

#[test]
fn bench_has_a_row_for_every_case_fresh_and_warm() {
    let desk = Desk::new();
    desk.file("cases.toml", documented("toml")[0]);
    let table = desk
        .tool(&["bench", "%label-placement", "cases.toml", "--calls", "20"])
        .ok();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("route "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let instances: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(
        instances,
        ["fresh", "fresh", "fresh", "warm", "warm", "warm"]
    );
    for row in &rows {
        let micros: Vec<u64> = [row[2], row[4]].map(|time| time.parse().unwrap()).into();
        assert!(micros[0] > 0, "{table}");
    }
    let memory = table.lines().find_map(|line| line.strip_prefix("memory"));
    let kib: u64 = memory
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((64..=64 << 10).contains(&kib), "{table}");
    assert!(table.starts_with("compile "), "{table}");
}

#[test]
fn what_fails_is_not_measured() {
    let desk = Desk::new();
    let cases =
        "[config]\nhook = \"route\"\nbehaviour = \"fail\"\n[[case]]\nname = \"a\"\nroute = {}\n";
    desk.file("cases.toml", cases);
    let errors = desk.tool(&["bench", "%hostile", "cases.toml"]).fails(2);
    has(
        &errors,
        &["case \"a\" failed in call 0", "hostile fails", "hint: "],
    );
    desk.tool(&["bench", "%hostile", "cases.toml", "--calls", "0"])
        .fails(2);
}

#[test]
fn a_tool_that_is_not_there_is_told() {
    let desk = Desk::new();
    has(
        &desk.tool(&["tset", "x.wasm"]).fails(2),
        &["unrecognized subcommand 'tset'", "'test'"],
    );
    has(
        &desk.tool(&[]).fails(2),
        &["requires a subcommand", "explain"],
    );
    has(&desk.tool(&["check"]).fails(2), &["<FILE>..."]);
}
