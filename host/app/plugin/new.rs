//! `flockerd plugin new`: a folder with a plugin that compiles as it is.

mod contract;
mod rust;
mod script;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::config::Problem;

const CASES: &str = include_str!("new/cases.toml.txt");

/// Files of flockerd's sources with their paths there.
macro_rules! embedded {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),*]
    };
}
use embedded;

/// A file of a new plugin.
struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    fn text(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self::bytes(path, text.into())
    }

    fn bytes(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
        }
    }
}

/// Makes the folder and returns what to do next.
///
/// # Errors
/// When there is no template in that language, the name is none for a package, or the folder is there already.
pub(super) fn new(folder: &Path, lang: &str, sdk: Option<&Path>) -> Result<String, Problem> {
    let name = package(folder)?;
    let mut files = match (lang, sdk) {
        ("rust", sdk) => rust::files(&name, sdk)?,
        (lang, None) => template(lang)?.files(&name),
        (lang, Some(_)) => {
            let message = format!("a plugin in {lang} does not use the SDK");
            return Err(Problem::new(message, "leave --sdk out"));
        }
    };
    files.push(File::text("cases.toml", CASES));
    write(folder, files).map_err(|error| unwritable(folder, &error))?;
    Ok(format!(
        "made {}; its README.md says how to build, check and test it\n",
        folder.display()
    ))
}

fn template(lang: &str) -> Result<&'static script::Template, Problem> {
    let lang = if lang == "js" { "javascript" } else { lang };
    let mut templates = script::TEMPLATES.iter();
    let template = templates.find(|template| template.lang == lang);
    template.ok_or_else(|| {
        Problem::new(
            format!("there is no template in `{lang}`"),
            "`rust`, `python`, `javascript` and `c` are there; in other languages build a component against the WIT files in wit/",
        )
    })
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
            format!("`{name}` cannot be the name of a plugin"),
            "begin with a letter and go on with letters, digits, - or _",
        )),
    }
}

fn filled(template: &str, name: &str) -> String {
    let module = name.replace('-', "_");
    template
        .replace("{name}", name)
        .replace("{module}", &module)
}

/// Writes the files into a folder that must not be there yet. `build` may be executed.
fn write(folder: &Path, files: Vec<File>) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(folder)?;
    for File { path, bytes } in files {
        let file = folder.join(&path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(&file, bytes)?;
        if path == Path::new("build") {
            fs::set_permissions(file, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn unwritable(folder: &Path, error: &io::Error) -> Problem {
    let place = folder.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists if folder.exists() => {
            Problem::new(format!("{place} is there already"), "give another name")
        }
        _ => Problem::new(
            format!("cannot write {place}: {error}"),
            "give a folder that can be made",
        ),
    }
}
