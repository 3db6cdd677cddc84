//! Compiled components: kept between starts, in a folder that nobody else may enter, and never trusted when they are not whole.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::harness::{Output, binary, plugin, run};

/// A place for one flockerd's cache.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache/flockerd/compiled")
    }

    fn command(&self) -> Command {
        let mut command = binary(self.0.path());
        command.env("XDG_CACHE_HOME", self.0.path().join("cache"));
        command
    }

    /// Asks whether the plugin `spread` loads.
    #[track_caller]
    fn check(&self) -> Output {
        let mut command = self.command();
        command.args(["plugin", "check"]).arg(plugin("spread"));
        let output = run(&mut command, b"");
        assert_eq!(output.code, 0, "{}", output.text());
        output
    }

    /// The files of the cache.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn compiled(output: &Output) -> bool {
    output.text().contains("component compiled")
}

#[test]
fn a_component_is_compiled_once() {
    let place = Place::new();
    assert!(compiled(&place.check()));
    let files = place.files();
    assert_eq!((files.len(), mode(&files[0])), (1, 0o600));
    assert_eq!(mode(&place.cache()), 0o700);
    assert!(!compiled(&place.check()));
    assert_eq!(place.files(), files);
}

#[test]
fn a_file_that_is_not_whole_is_made_again() {
    let place = Place::new();
    place.check();
    let file = &place.files()[0];
    let code = fs::read(file).unwrap();
    let mut noisy = code.clone();
    noisy[code.len() / 2] ^= 1;
    for damaged in [&code[..0], &code[..code.len() / 2], b"hello", &noisy] {
        fs::write(file, damaged).unwrap();
        let output = place.check();
        assert!(output.text().contains("unusable") && compiled(&output));
        assert_eq!(fs::read(file).unwrap().len(), code.len());
    }
}

#[test]
fn a_folder_that_others_may_enter_is_not_used() {
    let place = Place::new();
    place.check();
    fs::set_permissions(place.cache(), PermissionsExt::from_mode(0o755)).unwrap();
    let output = place.check();
    assert!(output.text().contains("mode 0700") && compiled(&output));
}

/// A file system with room for 64 KiB, until this is dropped.
struct Narrow(PathBuf);

impl Narrow {
    fn mount(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&folder).status();
        assert!(mounted.unwrap().success());
        Self(folder)
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_cache_without_room_costs_time_only() {
    let place = Place::new();
    let _narrow = Narrow::mount(place.cache());
    let output = place.check();
    assert!(output.text().contains("cannot be written") && compiled(&output));
    assert_eq!(place.files(), Vec::<PathBuf>::new());
}

#[test]
fn without_a_home_plugins_load_all_the_same() {
    let place = Place::new();
    let mut command = place.command();
    command
        .env_remove("XDG_CACHE_HOME")
        .env_remove("HOME")
        .args(["--state", "memory", "plugin", "check"])
        .arg(plugin("spread"));
    let output = run(&mut command, b"");
    assert_eq!(output.code, 0, "{}", output.text());
}

#[test]
fn the_child_that_compiles_says_what_is_wrong() {
    let place = Place::new();
    let output = place.0.path().join("out");
    fs::write(&output, "").unwrap();
    let compile = |input: &[u8]| run(place.command().arg("compile").arg(&output), input);
    let said = compile(b"\0asm\x0d\0\x01\0\x63");
    assert_eq!(said.code, 1, "{}", said.text());
    assert!(!said.text().trim().is_empty());
    assert_eq!(fs::read(&output).unwrap(), b"");
}

#[test]
fn a_component_can_be_compiled_into_the_cache_beforehand() {
    let place = Place::new();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place.cache())
        .unwrap();
    let component = fs::read(plugin("spread")).unwrap();
    let mut command = place.command();
    let output = run(command.arg("compile").arg(place.cache()), &component);
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(mode(&place.files()[0]), 0o600);
    assert!(!compiled(&place.check()));
}
