//! Images as archives: saved from where they are, loaded and imported where the plugins say.

use std::process::Command;

use serde_json::json;

use super::{having, id_of, import, places::route_to, send};
use crate::{
    harness::{Flockerd, flock, run, same_as_one_daemon, step, tar},
    same::labels,
};

#[test]
fn save_load_and_import_as_one_daemon_does() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let first = |p: &str| tar(&[("first", p)]);
    let second = |p: &str| tar(&[("second", p)]);
    let import = "POST /images/create?fromSrc=-";
    let kind = "application/x-tar";
    let script = [
        step(200, &format!("{import}&repo={{p}}-a:1"))
            .made(kind, first)
            .keep("a", "/status"),
        step(200, &format!("{import}&repo={{p}}-a&tag=2&message=m")).made(kind, second),
        step(400, &format!("{import}&repo=UPPER")).made(kind, first),
        step(500, &format!("{import}&repo={{p}}-a&tag=3")).bytes(kind, b"not a tar"),
        step(
            400,
            &format!("{import}&repo={{p}}-a&tag=3&changes=NONSENSE"),
        )
        .made(kind, first),
        step(200, "GET /images/get?names={p}-a:1").keep_body("one"),
        step(200, "GET /images/get?names={p}-a:1&names={p}-a:2").keep_body("two"),
        step(200, "GET /images/{p}-a:1/get"),
        step(200, "GET /images/{a}/get"),
        step(200, "GET /images/get"),
        step(404, "GET /images/get?names={p}-nosuch:1"),
        step(404, "GET /images/get?names={p}-a:1&names={p}-nosuch:1"),
        step(404, "GET /images/{p}-nosuch/get"),
        step(200, "DELETE /images/{p}-a:1"),
        step(200, "DELETE /images/{p}-a:2"),
        step(200, "POST /images/load?quiet=1").send_kept(kind, "one"),
        step(200, "GET /images/{p}-a:1/json"),
        step(404, "GET /images/{p}-a:2/json"),
        step(200, "POST /images/load?quiet=1")
            .send_kept(kind, "two")
            .unordered(),
        step(200, "POST /images/load?quiet=0")
            .send_kept(kind, "two")
            .unordered(),
        step(200, "GET /images/{p}-a:2/json"),
        step(200, "POST /images/load").bytes(kind, b"not a tar"),
        step(201, "POST /containers/create?name={p}-c")
            .json(&json!({"Image": "{p}-a:2", "Cmd": ["x"], "Labels": labels()})),
        step(204, "DELETE /containers/{p}-c"),
        step(200, "DELETE /images/{p}-a:1"),
        step(200, "DELETE /images/{p}-a:2"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// No host has both, so one of them is copied first; the archive is as if one daemon had saved them.
#[test]
fn images_of_several_hosts_are_saved_together() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let names: Vec<String> = flock()
        .nodes
        .iter()
        .map(|node| format!("{}:1", scope.name(&format!("of-{}", node.name))))
        .collect();
    let ids: Vec<String> = flock()
        .nodes
        .iter()
        .zip(&names)
        .map(|(node, name)| import(node, name))
        .collect();
    let file = flockerd.home().join("both.tar");
    let path = file.to_str().unwrap();
    let args = ["save", "-o", path, &names[0], &names[1], &names[2]];
    flockerd.docker(&args).ok();
    let manifest = run(
        Command::new("tar").args(["-xOf", path, "manifest.json"]),
        b"",
    )
    .ok();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let mut saved: Vec<(String, String)> = manifest
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            let config = image["Config"].as_str().unwrap().trim_end_matches(".json");
            (
                image["RepoTags"][0].as_str().unwrap().to_owned(),
                format!("sha256:{config}"),
            )
        })
        .collect();
    saved.sort();
    assert_eq!(
        saved,
        names
            .iter()
            .cloned()
            .zip(ids.iter().cloned())
            .collect::<Vec<_>>()
    );
    let missing = format!("{}:1", scope.name("nosuch"));
    let refused = flockerd
        .docker(&["save", "-o", path, &names[0], &names[1], &missing])
        .fails(1);
    assert!(refused.contains("reference does not exist"), "{refused}");
}

#[test]
fn what_was_saved_from_several_hosts_can_be_loaded() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let names = ["node1", "node2"].map(|node| {
        let name = format!("{}:1", scope.name(node));
        import(flock().node(node), &name);
        name
    });
    let file = flockerd.home().join("two.tar");
    let path = file.to_str().unwrap();
    flockerd
        .docker(&["save", "-o", path, &names[0], &names[1]])
        .ok();
    let ids = names.clone().map(|name| id_of(&flockerd.api(), &name));
    flockerd.docker(&["rmi", &names[0], &names[1]]).ok();
    let mut said = flockerd.docker(&["load", "--quiet", "-i", path]).lines();
    said.sort();
    assert_eq!(
        said,
        names.clone().map(|name| format!("Loaded image: {name}"))
    );
    assert_eq!(names.clone().map(|name| id_of(&flockerd.api(), &name)), ids);
    // All of an archive is on one host.
    assert_eq!(having(&names[0]), having(&names[1]));
    assert_eq!(having(&names[0]).len(), 1);
}

#[test]
fn load_and_import_go_where_the_plugin_says() {
    let scope = flock().shared();
    for node in ["node2", "node3"] {
        let flockerd = Flockerd::over_flock().toml(&route_to(node)).start();
        let name = scope.name(&format!("import-{node}"));
        let path = format!("/images/create?fromSrc=-&repo={name}");
        send(&flockerd.api(), &path, &[], &tar(&[("file", &name)]));
        assert_eq!(having(&name), [node]);
        let archive = flock()
            .node(node)
            .api()
            .get(&format!("/images/{name}/get"))
            .expect(200)
            .body;
        flock().node(node).docker(&["rmi", &name]).ok();
        send(&flockerd.api(), "/images/load", &[], &archive);
        assert_eq!(having(&name), [node]);
    }
}

#[test]
fn the_docker_cli_imports_from_its_input() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let name = format!("{}:1", scope.name("imported"));
    let archive = tar(&[("file", "1\n")]);
    let id = flockerd
        .docker_with(&["import", "--message", "why", "-", &name], &archive)
        .ok();
    assert_eq!(id_of(&flockerd.api(), &name), id);
    let saved = flockerd.docker(&["save", &name]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    flockerd.docker(&["rmi", &name]).ok();
    let loaded = flockerd.docker_with(&["load"], &saved.bytes).ok();
    assert_eq!(loaded, format!("Loaded image: {name}"));
    assert_eq!(id_of(&flockerd.api(), &name), id);
}
