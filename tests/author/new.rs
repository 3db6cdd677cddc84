//! `flockerd plugin new`.

use std::{path::Path, process::Command};

use crate::harness::toolchain;

use super::{Desk, has};

/// Runs cargo in a new plugin's folder, without the network: what the SDK needs, this test needed too.
#[track_caller]
fn cargo(folder: &Path, words: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(words).args(["--offline", "--quiet"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author");
    cargo.arg("--target-dir").arg(target).current_dir(folder);
    let output = cargo.output().expect("cargo can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {words:?}: {errors}");
}

#[test]
fn a_new_plugin_compiles_away_from_the_checkout_and_passes_its_tests() {
    let desk = Desk::new();
    desk.tool(&["new", "my-zone"]).ok();
    let folder = desk.0.path().join("my-zone");
    cargo(
        &folder,
        &["build", "--release", "--target", "wasm32-wasip2"],
    );
    cargo(&folder, &["test", "--lib"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author");
    let component = target.join("wasm32-wasip2/release/my_zone.wasm");
    let component = component.to_str().unwrap();
    has(
        &desk.tool(&["check", component]).ok(),
        &["hooks     route\n"],
    );
    let report = desk.tool(&["test", component, "my-zone/cases.toml"]).ok();
    has(&report, &["3 cases, 0 failed"]);
}

/// Makes a plugin in the language, builds it with its own script, and runs its cases.
#[track_caller]
fn builds_and_passes(lang: &str) {
    let desk = Desk::new();
    desk.tool(&["new", "deep/my-zone", "--lang", lang]).ok();
    let folder = desk.0.path().join("deep/my-zone");
    let mut build = Command::new("./build");
    for (variable, tool) in toolchain() {
        build.env(variable, tool);
    }
    let output = build.current_dir(&folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let component = folder.join("my_zone.wasm");
    let cases = folder.join("cases.toml");
    let words = ["test", component.to_str().unwrap(), cases.to_str().unwrap()];
    let slow = desk.file("slow.toml", slow(&component));
    let words = [&words[..], &["--config", slow.to_str().unwrap()]].concat();
    has(&desk.tool(&words).ok(), &["3 cases, 0 failed"]);
}

/// A fresh instance of a large component is slow where flockerd is built without optimisation.
fn slow(component: &Path) -> String {
    format!("[[plugin]]\npath = {component:?}\ntimeout = \"20s\"\n")
}

#[test]
fn a_new_plugin_in_python_passes_its_cases() {
    builds_and_passes("python");
}

#[test]
fn a_new_plugin_in_javascript_passes_its_cases() {
    builds_and_passes("js");
}

#[test]
fn a_new_plugin_in_c_passes_its_cases() {
    builds_and_passes("c");
}

#[test]
fn an_sdk_elsewhere_can_be_used() {
    let desk = Desk::new();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin-sdk");
    desk.tool(&["new", "zone", "--sdk", sdk.to_str().unwrap()])
        .ok();
    let folder = desk.0.path().join("zone");
    assert!(!folder.join("flocker-plugin").exists());
    cargo(
        &folder,
        &["check", "--release", "--target", "wasm32-wasip2"],
    );
}

#[test]
fn what_cannot_be_made_is_told() {
    let desk = Desk::new();
    desk.tool(&["new", "zone", "--lang", "rust"]).ok();
    for (words, parts) in [
        (&["new", "zone"][..], &["zone is there already"][..]),
        (
            &["new", "other", "--lang", "go"],
            &["no template in `go`", "hint: `rust`, `python`"],
        ),
        (&["new", "1st"], &["`1st` cannot be the name"]),
        (
            &["new", "other", "--sdk", "."],
            &["is not the SDK", "--sdk"],
        ),
        (
            &["new", "other", "--lang", "c", "--sdk", "."],
            &["does not use the SDK", "leave --sdk out"],
        ),
        (&["new", "zone/Cargo.toml/other"], &["cannot write"]),
    ] {
        has(&desk.tool(words).fails(2), parts);
    }
    assert!(!desk.0.path().join("other").exists());
}
