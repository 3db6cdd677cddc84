//! The contract as it was when flockerd was built, for plugins away from its sources.

use super::embedded;

/// The WIT files with their paths, which are those in flockerd's sources.
pub(super) const FILES: &[(&str, &str)] = embedded![
    "wit/body.wit",
    "wit/config.wit",
    "wit/event.wit",
    "wit/flock.wit",
    "wit/keyspace.wit",
    "wit/list.wit",
    "wit/log.wit",
    "wit/map.wit",
    "wit/registry-auth.wit",
    "wit/request.wit",
    "wit/route.wit",
    "wit/start.wit",
    "wit/state.wit",
    "wit/types.wit",
    "wit/worlds.wit",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded() {
        let wit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
        for entry in std::fs::read_dir(wit).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("wit/{name}");
            assert!(FILES.iter().any(|(listed, _)| *listed == path), "{path}");
        }
    }
}
