//! The plugins of `plugins/` and `tests/plugins/` as components, built once per run.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Every package the tests load.
const PACKAGES: [&str; 13] = [
    "spread",
    "label-placement",
    "fixed-backends",
    "registry-login",
    "memory-state",
    "refuse-privileged",
    "event-log",
    "hostile",
    "probe",
    "explorer",
    "consul-backends",
    "vault-login",
    "keyvalue",
];

/// The component of a plugin.
#[track_caller]
pub(crate) fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(build);
    let file = folder.join(format!("{}.wasm", name.replace('-', "_")));
    assert!(file.exists(), "{} was not built", file.display());
    file
}

/// Builds into the same target folder as the binary under test.
fn build() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_flockerd"));
    let target = binary.ancestors().nth(2).expect("target/debug/flockerd");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--profile",
            "plugin",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(target);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(
        cargo.status().expect("cargo can be started").success(),
        "the plugins do not build"
    );
    target.join("wasm32-wasip2/plugin")
}
