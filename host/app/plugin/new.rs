//! `flockerd plugin new`: a folder with a plugin that compiles as it is.

mod sdk;

use std::{
    fs, io,
    path::{self, Path},
};

use crate::config::Problem;

const SOURCE: &str = include_str!("new/lib.rs.txt");
const CASES: &str = include_str!("new/cases.toml.txt");
const README: &str = include_str!("new/README.md.txt");

/// Makes the folder and returns what to do next.
///
/// # Errors
/// When there is no template in that language, the name is none for a Rust package, or the folder is there already.
pub(super) fn new(folder: &Path, lang: &str, sdk: Option<&Path>) -> Result<String, Problem> {
    if lang != "rust" {
        return Err(Problem::new(
            format!("there is no template in `{lang}`"),
            "`rust` is supported; in other languages build a component against the WIT files in wit/",
        ));
    }
    let name = package(folder)?;
    let dependency = match sdk {
        Some(sdk) => found(sdk)?,
        None => sdk::FOLDER.to_owned(),
    };
    let copied = sdk.is_none().then(sdk::files).transpose()?;
    let files = [
        ("Cargo.toml".to_owned(), manifest(&name, &dependency)),
        ("src/lib.rs".to_owned(), SOURCE.to_owned()),
        ("cases.toml".to_owned(), filled(CASES, &name)),
        ("README.md".to_owned(), filled(README, &name)),
        (".gitignore".to_owned(), "/target\n".to_owned()),
    ];
    let files = files.into_iter().chain(copied.unwrap_or_default());
    write(folder, files).map_err(|error| unwritable(folder, &error))?;
    Ok(format!(
        "made {}; its README.md says how to build, check and test it\n",
        folder.display()
    ))
}

/// The package's name: the last part of the path.
fn package(folder: &Path) -> Result<String, Problem> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // Cargo refuses a package of this name beside its own `test`.
    let taken = ["test", "flocker-plugin"].contains(&&*name);
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits) && !taken {
        true => Ok(name.into_owned()),
        false => Err(Problem::new(
            format!("`{name}` cannot be the name of a Rust package"),
            "begin with a letter and go on with letters, digits, - or _",
        )),
    }
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
         # Small before fast.\n[profile.release]\nopt-level = \"s\"\nlto = true\nstrip = \"debuginfo\"\n\n\
         # It belongs to no workspace around it.\n[workspace]\n"
    )
}

fn filled(template: &str, name: &str) -> String {
    let module = name.replace('-', "_");
    template
        .replace("{name}", name)
        .replace("{module}", &module)
}

/// Writes the files into a folder that must not be there yet.
fn write(folder: &Path, files: impl Iterator<Item = (String, String)>) -> io::Result<()> {
    fs::create_dir(folder)?;
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, text)?;
    }
    Ok(())
}

fn unwritable(folder: &Path, error: &io::Error) -> Problem {
    let place = folder.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Problem::new(format!("{place} is there already"), "give another name")
        }
        _ => Problem::new(
            format!("cannot write {place}: {error}"),
            "give a folder that can be made",
        ),
    }
}
