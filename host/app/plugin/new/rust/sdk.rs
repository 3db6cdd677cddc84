//! The Rust SDK as it was when flockerd was built, for plugins away from its sources.

use toml::{Table, Value};

use super::super::{File, embedded};
use crate::config::Problem;

/// Where the SDK lies in a plugin's folder. It looks for the contract beside it.
pub(super) const FOLDER: &str = "flocker-plugin";

/// Where it lies in flockerd's sources.
const ORIGIN: &str = "plugin-sdk";

const MANIFEST: &str = include_str!("../../../../../plugin-sdk/Cargo.toml");
const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");

/// Every file, with its path in flockerd's sources. A test compares the list with the folders.
const FILES: &[(&str, &str)] = embedded![
    "plugin-sdk/src/bindings.rs",
    "plugin-sdk/src/container.rs",
    "plugin-sdk/src/export.rs",
    "plugin-sdk/src/hook.rs",
    "plugin-sdk/src/hook/event.rs",
    "plugin-sdk/src/hook/list.rs",
    "plugin-sdk/src/hook/map.rs",
    "plugin-sdk/src/hook/registry_auth.rs",
    "plugin-sdk/src/hook/request.rs",
    "plugin-sdk/src/hook/route.rs",
    "plugin-sdk/src/hook/start.rs",
    "plugin-sdk/src/hook/state.rs",
    "plugin-sdk/src/import.rs",
    "plugin-sdk/src/import/body.rs",
    "plugin-sdk/src/import/config.rs",
    "plugin-sdk/src/import/flock.rs",
    "plugin-sdk/src/import/http.rs",
    "plugin-sdk/src/import/http/wire.rs",
    "plugin-sdk/src/import/keyspace.rs",
    "plugin-sdk/src/import/log.rs",
    "plugin-sdk/src/json.rs",
    "plugin-sdk/src/lib.rs",
    "plugin-sdk/src/testing.rs",
    "plugin-sdk/src/testing/host.rs",
    "plugin-sdk/src/types.rs",
    "plugin-sdk/wit/http.wit",
];

/// The files with their paths in a plugin's folder.
///
/// # Errors
/// When the manifests of the sources have changed their form.
pub(super) fn files() -> Result<Vec<File>, Problem> {
    let manifest = manifest().ok_or_else(|| {
        Problem::new(
            "the SDK in this flockerd has no manifest",
            "give --sdk PATH with the folder plugin-sdk of its sources",
        )
    })?;
    let moved = |(path, text): &(&str, &str)| File::text(path.replacen(ORIGIN, FOLDER, 1), *text);
    let mut files: Vec<_> = FILES.iter().map(moved).collect();
    files.push(File::text(format!("{FOLDER}/Cargo.toml"), manifest));
    Ok(files)
}

/// The SDK's manifest with what it inherits from its workspace written out.
fn manifest() -> Option<String> {
    let workspace: Table = WORKSPACE.parse().ok()?;
    let workspace = workspace.get("workspace")?;
    let mut manifest: Table = MANIFEST.parse().ok()?;
    manifest.remove("lints");
    for section in ["package", "dependencies"] {
        let inherited = workspace.get(section)?;
        let keys = manifest.get_mut(section)?.as_table_mut()?;
        for (key, value) in keys.iter_mut() {
            if value.get("workspace") == Some(&Value::Boolean(true)) {
                *value = inherited.get(key)?.clone();
            }
        }
    }
    Some(manifest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_inherit() {
        let manifest = manifest().unwrap();
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("wit-bindgen"), "{manifest}");
    }

    #[test]
    fn every_file_is_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed: Vec<_> = FILES.iter().map(|(path, _)| root.join(path)).collect();
        let folders = [format!("{ORIGIN}/src"), format!("{ORIGIN}/wit")];
        let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                match entry.unwrap().path() {
                    folder if folder.is_dir() => folders.push(folder),
                    file => assert!(listed.contains(&file), "{}", file.display()),
                }
            }
        }
    }
}
