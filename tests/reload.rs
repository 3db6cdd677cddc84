//! Plugins replaced while flockerd runs.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::json;

use crate::{
    eventually,
    harness::{Flockerd, plugin},
    plugins::fakes,
};

/// Puts a plugin where flockerd loads it from, in one step, as a good deployment does.
fn put(name: &str, file: &Path) {
    let aside = file.with_extension("new");
    fs::copy(plugin(name), &aside).unwrap();
    fs::rename(&aside, file).unwrap();
}

/// The status of the answer to the create of a privileged container.
fn privileged(flockerd: &Flockerd) -> u16 {
    let body = json!({"Image": "wool", "HostConfig": {"Privileged": true}});
    flockerd.api().post("/containers/create", &body).status
}

fn reloads(flockerd: &Flockerd) -> usize {
    flockerd.log().matches("plugin reloaded").count()
}

#[test]
fn a_plugin_is_replaced_when_its_file_changes_and_a_bad_file_is_refused() {
    let fakes = fakes();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("policy.wasm");
    put("refuse-privileged", &file);
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&file)
        .start();
    assert_eq!(privileged(&flockerd), 403);
    put("spread", &file);
    eventually!(privileged(&flockerd) == 201);
    eventually!(reloads(&flockerd) == 1);
    fs::write(&file, b"half of a fi").unwrap();
    eventually!(
        flockerd
            .log()
            .contains("plugin not reloaded, the old one goes on")
    );
    assert_eq!(privileged(&flockerd), 201);
    put("refuse-privileged", &file);
    flockerd.signal("HUP");
    eventually!(privileged(&flockerd) == 403);
}

#[test]
fn no_call_is_lost_while_plugins_are_replaced() {
    let fakes = fakes();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("policy.wasm");
    put("refuse-privileged", &file);
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .plugin(&file)
        .start();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let status = privileged(&flockerd);
                    assert!(matches!(status, 201 | 403), "{status}");
                }
            });
        }
        for (number, name) in ["spread", "refuse-privileged"]
            .iter()
            .cycle()
            .take(6)
            .enumerate()
        {
            put(name, &file);
            flockerd.signal("HUP");
            eventually!(reloads(&flockerd) == number + 1);
        }
        done.store(true, Ordering::Relaxed);
    });
}
