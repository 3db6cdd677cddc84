//! A plugin in Rust, with the SDK.

mod sdk;

use std::{
    fs,
    path::{self, Path},
};

use crate::config::Problem;

use super::{File, contract, filled};

const SOURCE: &str = include_str!("rust/lib.rs.txt");
const README: &str = include_str!("rust/README.md.txt");

/// The files of a plugin that uses the SDK in a folder given, or a copy of it.
///
/// # Errors
/// When that folder is not the SDK.
pub(super) fn files(name: &str, sdk: Option<&Path>) -> Result<Vec<File>, Problem> {
    let dependency = match sdk {
        Some(sdk) => found(sdk)?,
        None => sdk::FOLDER.to_owned(),
    };
    let mut files = vec![
        File::text("Cargo.toml", manifest(name, &dependency)),
        File::text("src/lib.rs", SOURCE),
        File::text("README.md", filled(README, name)),
        File::text(".gitignore", "/target\n"),
    ];
    if sdk.is_none() {
        files.extend(
            contract::FILES
                .iter()
                .map(|(path, text)| File::text(*path, *text)),
        );
        files.extend(sdk::files()?);
    }
    Ok(files)
}

/// The absolute path of an SDK.
fn found(sdk: &Path) -> Result<String, Problem> {
    let manifest = fs::read_to_string(sdk.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"flocker-plugin\"") {
        return Err(Problem::new(
            format!("{} is not the SDK", sdk.display()),
            "give the folder plugin-sdk of flockerd's sources, or leave --sdk out",
        ));
    }
    let absolute = path::absolute(sdk);
    let absolute =
        absolute.map_err(|error| Problem::new(error.to_string(), "give another path"))?;
    Ok(absolute.display().to_string())
}

fn manifest(name: &str, sdk: &str) -> String {
    let sdk = toml::Value::from(sdk);
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n\
         [dependencies]\nflocker-plugin = {{ path = {sdk} }}\n\n\
         # Function names stay, for they are what a trap's backtrace is made of.\n\
         [profile.release]\nlto = true\nstrip = \"debuginfo\"\n\n\
         # It belongs to no workspace around it.\n[workspace]\n"
    )
}
