//! Plugins out of image registries: a real one of the test's own, and one that lies.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    eventually,
    harness::{Flockerd, Output, binary, plugin, run},
    plugins::fakes,
};

mod liar;
mod lies;
mod login;
mod server;
mod tls;
mod token;

use server::{Server, WASM};

/// A place for one flockerd's cache and docker configuration.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// The files of the cache for registries, those of components first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache().join("flockerd/registry")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|file| std::cmp::Reverse(fs::metadata(file).unwrap().len()));
        files
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = binary(self.0.path());
        command.env("XDG_CACHE_HOME", self.cache()).args(args);
        command
    }

    /// `flockerd plugin check`
    #[track_caller]
    fn check(&self, source: &str) -> Output {
        run(&mut self.command(&["plugin", "check", source]), b"")
    }

    /// A check that fails; what it says.
    #[track_caller]
    fn refused(&self, source: &str) -> String {
        let output = self.check(source);
        assert_eq!(output.code, 1, "{}", output.text());
        output.text()
    }

    /// A check that is well; what it says.
    #[track_caller]
    fn accepted(&self, source: &str) -> String {
        let output = self.check(source);
        assert_eq!(output.code, 0, "{}", output.text());
        output.text()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The last column of a row of `plugin check`.
fn row<'a>(said: &'a str, name: &str) -> &'a str {
    let rows = said.lines().filter_map(|line| line.trim().split_once(' '));
    let mut values = rows
        .filter(|(first, _)| *first == name)
        .map(|(_, value)| value.trim());
    values
        .next()
        .unwrap_or_else(|| panic!("no {name} in {said}"))
}

/// The status of the answer to the create of a privileged container.
fn privileged(flockerd: &Flockerd) -> u16 {
    let body = json!({"Image": "wool", "HostConfig": {"Privileged": true}});
    flockerd.api().post("/containers/create", &body).status
}

#[test]
fn a_tag_is_pulled_and_pinned_and_a_digest_asks_nobody_again() {
    let (place, mut server) = (Place::new(), Server::open());
    let digest = server.push("route:1.2", &plugin("spread"));
    let source = server.source("route");
    let pinned = format!("{source}@{digest}");
    let said = place.accepted(&format!("{source}:1.2"));
    assert!(
        said.contains("plugin pulled") && said.contains(&digest),
        "{said}"
    );
    assert_eq!(row(&said, "pinned"), pinned);
    assert_eq!(row(&said, "hooks"), "route");
    let size = fs::metadata(plugin("spread")).unwrap().len();
    assert_eq!(row(&said, "size"), format!("{size} bytes"));
    let files = place.files();
    assert_eq!(files.len(), 3, "component, manifest and tag: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    assert_eq!(mode(&place.cache().join("flockerd/registry")), 0o700);
    // The tag is looked up again, but nothing is pulled again; a digest asks nobody.
    let again = place.accepted(&format!("{source}:1.2"));
    assert!(again.contains("plugin found in the cache"), "{again}");
    server.stop();
    let offline = place.accepted(&pinned);
    assert!(offline.contains("plugin found in the cache"), "{offline}");
    assert_eq!(row(&offline, "pinned"), pinned);
    assert_eq!(place.files(), files);
}

#[test]
fn a_digest_is_pulled_and_without_a_tag_it_is_latest() {
    let (place, server) = (Place::new(), Server::open());
    let digest = server.push("route", &plugin("spread"));
    let source = server.source("route");
    let said = place.accepted(&format!("{source}@{digest}"));
    assert!(said.contains("plugin pulled"), "{said}");
    let said = Place::new().accepted(&format!("{source}:gone@{digest}"));
    assert!(said.contains("plugin pulled"), "the digest counts: {said}");
    let said = place.accepted(&source);
    assert!(said.contains(&format!("ok    {source}")), "{said}");
    assert_eq!(row(&said, "pinned"), format!("{source}@{digest}"));
}

#[test]
fn artifacts_of_other_tools_are_taken_and_images_are_not() {
    let (place, server) = (Place::new(), Server::open());
    let component = fs::read(plugin("spread")).unwrap();
    let old = "application/vnd.wasm.content.layer.v1+wasm";
    server.push_as(
        "old:1",
        "application/vnd.wasm.config.v1+json",
        &[(old, &component)],
    );
    let readme: &[u8] = b"# Spread";
    let layers = [("text/markdown", readme), (WASM, &component[..])];
    server.push_as("oras:1", "application/vnd.oci.empty.v1+json", &layers);
    for name in ["old:1", "oras:1"] {
        place.accepted(&server.source(name));
    }
    let image = "application/vnd.oci.image.config.v1+json";
    server.push_as(
        "image:1",
        image,
        &[("application/vnd.oci.image.layer.v1.tar+gzip", readme)],
    );
    let said = place.refused(&server.source("image:1"));
    assert!(
        said.contains("it is a container image, not a wasm component"),
        "{said}"
    );
    assert!(said.contains("wkg oci push"), "{said}");
    server.push_as(
        "text:1",
        "application/vnd.wasm.config.v0+json",
        &[(WASM, readme)],
    );
    let said = place.refused(&server.source("text:1"));
    assert!(said.contains("it is no WebAssembly file"), "{said}");
}

#[test]
fn a_registry_out_of_reach_is_bridged_by_what_was_pulled_last() {
    let (place, mut server) = (Place::new(), Server::open());
    let digest = server.push("route:1", &plugin("spread"));
    let source = server.source("route:1");
    let fakes = fakes();
    place.accepted(&source);
    server.stop();
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .env("XDG_CACHE_HOME", &place.cache().to_string_lossy())
        .arg("--plugin")
        .arg(&source)
        .start();
    let warning = || {
        let log = flockerd.log();
        let line = log
            .lines()
            .find(|line| line.contains("registry out of reach"));
        line.map(str::to_owned)
    };
    eventually!(warning().is_some());
    let warning = warning().unwrap();
    assert!(
        warning.contains("WARN") && warning.contains(&digest),
        "{warning}"
    );
    // What was never pulled cannot be bridged.
    for (place, source) in [(&Place::new(), source), (&place, server.source("route:2"))] {
        let said = place.refused(&source);
        assert!(said.contains("the registry is out of reach: "), "{said}");
        assert!(said.contains("insecure_registries"), "{said}");
    }
}

#[test]
fn a_tag_that_moved_is_taken_on_hangup_and_a_bad_one_is_not() {
    let (place, server) = (Place::new(), Server::open());
    let old = server.push("policy:1", &plugin("refuse-privileged"));
    let fakes = fakes();
    let source = server.source("policy:1");
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .env("XDG_CACHE_HOME", &place.cache().to_string_lossy())
        .toml(&format!("[[plugin]]\npath = \"{source}\""))
        .start();
    assert_eq!(privileged(&flockerd), 403);
    let told = |key: &str| -> Value {
        let told = flockerd.api().get("/flockerd/plugins").body;
        serde_json::from_slice::<Value>(&told).unwrap()[0][key].clone()
    };
    let pinned = |digest: &str| json!(format!("{}@{digest}", server.source("policy")));
    assert_eq!(
        (told("source"), told("pinned")),
        (json!(source), pinned(&old))
    );
    assert_eq!(told("name"), json!("policy"));

    let new = server.push("policy:1", &plugin("spread"));
    flockerd.signal("HUP");
    eventually!(privileged(&flockerd) == 201);
    eventually!(told("pinned") == pinned(&new));
    let status = run(
        &mut place.command(&["plugin", "status", "--host", &flockerd.host]),
        b"",
    )
    .ok();
    let pinned = pinned(&new);
    assert_eq!(row(&status, "pinned"), pinned.as_str().unwrap());
    assert_eq!(row(&status, "source"), source);

    let tar = ("application/vnd.oci.image.layer.v1.tar", &b"tar"[..]);
    server.push_as(
        "policy:1",
        "application/vnd.oci.image.config.v1+json",
        &[tar],
    );
    flockerd.signal("HUP");
    eventually!(
        flockerd
            .log()
            .contains("plugin not reloaded, the old one goes on")
    );
    assert_eq!(privileged(&flockerd), 201);
}

#[test]
fn a_cache_that_was_tampered_with_is_found_out() {
    let (place, server) = (Place::new(), Server::open());
    let digest = server.push("route:1", &plugin("spread"));
    let pinned = format!("{}@{digest}", server.source("route"));
    place.accepted(&pinned);
    let component = fs::read(plugin("spread")).unwrap();
    let files = place.files();
    assert_eq!(fs::read(&files[0]).unwrap(), component);
    let hostile = fs::read(plugin("refuse-privileged")).unwrap();
    for (file, content) in [
        (&files[0], &hostile[..]),
        (&files[0], b""),
        (&files[1], b"{}"),
    ] {
        fs::write(file, content).unwrap();
        let said = place.accepted(&pinned);
        assert!(said.contains("does not match its digest"), "{said}");
        assert_eq!(row(&said, "hooks"), "route");
        assert_eq!(fs::read(&files[0]).unwrap(), component);
        assert!(
            place
                .accepted(&pinned)
                .contains("plugin found in the cache")
        );
    }
    fs::set_permissions(
        place.cache().join("flockerd/registry"),
        PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let said = place.accepted(&pinned);
    assert!(
        said.contains("mode 0700") && said.contains("plugin pulled"),
        "{said}"
    );
}

#[test]
fn the_tools_take_a_reference_wherever_they_take_a_file() {
    let (place, server) = (Place::new(), Server::open());
    server.push("spread:1", &plugin("spread"));
    let source = server.source("spread:1");
    let file = |name: &str, text: &str| {
        let path = place.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let cases = file(
        "cases.toml",
        "[[backend]]\nname = \"node1\"\n[[case]]\nname = \"one\"\nroute = { body = {} }\nexpect = { backend = \"node1\" }\n",
    );
    let (create, hosts) = (
        file("create.json", "{}"),
        file("flock.toml", "[[backend]]\nname = \"node1\"\n"),
    );
    let tool = |args: &[&str]| run(&mut place.command(args), b"").ok();
    assert!(tool(&["plugin", "test", &source, &cases]).contains("one"));
    assert!(tool(&["plugin", "bench", &source, &cases, "--calls", "2"]).contains("fresh"));
    let explained = tool(&[
        "plugin", "explain", &source, "--create", &create, "--flock", &hosts,
    ]);
    assert!(
        explained.contains("route    spread: backend node1"),
        "{explained}"
    );
    let checked = run(&mut place.command(&["check", "--plugin", &source]), b"");
    assert!(
        checked.text().contains("ok    plugin spread: route"),
        "{}",
        checked.text()
    );
}
