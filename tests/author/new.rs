//! `flockerd plugin new`.

use std::{path::Path, process::Command};

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
            &["no template in `go`", "hint: `rust`"],
        ),
        (&["new", "1st"], &["`1st` cannot be the name"]),
        (
            &["new", "other", "--sdk", "."],
            &["is not the SDK", "--sdk"],
        ),
        (&["new", "absent/other"], &["cannot write absent/other"]),
    ] {
        has(&desk.tool(words).fails(2), parts);
    }
    assert!(!desk.0.path().join("other").exists());
}
