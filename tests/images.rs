//! Images of every host as the images of one daemon.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, Node, Registry, Target, flock, same_as_one_daemon, step, tar},
    networks::holders,
    same::{labels, prunes},
};

/// Save, load and import.
mod archives;
/// Images and where their containers must be.
pub(crate) mod places;
/// Pull and push.
mod registry;

/// The hosts that have this reference.
pub(crate) fn having(image: &str) -> Vec<String> {
    holders(&format!("/images/{image}/json"))
}

/// The id of a reference, asked of one daemon or of the flock.
#[track_caller]
pub(crate) fn id_of(api: &Target, image: &str) -> String {
    let reply = api.get(&format!("/images/{image}/json")).expect(200).json();
    reply["Id"].as_str().unwrap().to_owned()
}

/// Imports an image of one small file on this host, behind the flock's back; returns its id.
#[track_caller]
pub(crate) fn import(node: &Node, image: &str) -> String {
    let path = format!("/images/create?fromSrc=-&repo={image}");
    send(&node.api(), &path, &[], &tar(&[("file", image)]));
    id_of(&node.api(), image)
}

/// Copies an image from host to host as it is, behind the flock's back.
#[track_caller]
pub(crate) fn copy(from: &Node, to: &Node, image: &str) {
    let archive = from
        .api()
        .get(&format!("/images/{image}/get"))
        .expect(200)
        .body;
    send(&to.api(), "/images/load", &[], &archive);
    assert_eq!(id_of(&to.api(), image), id_of(&from.api(), image));
}

/// Posts an archive and returns the lines of the answer.
#[track_caller]
pub(crate) fn send(api: &Target, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Value> {
    let mut head =
        format!("POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut connection = api.connect();
    connection.send(&[head.as_bytes(), b"\r\n", body].concat());
    let reply = connection.reply().expect(200);
    let values = serde_json::Deserializer::from_slice(&reply.body).into_iter();
    values.collect::<Result<_, _>>().unwrap()
}

/// The value of `X-Registry-Auth` for the private registry.
pub(crate) fn credentials() -> String {
    let registry = &flock().registry.address;
    let login = json!({"username": Registry::USER, "password": Registry::PASSWORD, "serveraddress": registry});
    base64::engine::general_purpose::URL_SAFE.encode(login.to_string())
}

/// Makes an image of one file with a label and a command.
const IMPORT: &str =
    "POST /images/create?fromSrc=-&repo={p}-i:1&message=why&changes=LABEL+same={p}&changes=CMD+x";

#[test]
fn images_as_one_daemon_has_them() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let file = |p: &str| tar(&[("file", p)]);
    let list = |query: &str| step(200, &format!("GET /images/json?{query}")).whole();
    let script = [
        step(200, IMPORT)
            .made("application/x-tar", file)
            .keep("i", "/status"),
        step(200, "GET /images/{p}-i:1/json").keep("i", "/Id"),
        step(200, "GET /images/{i}/json"),
        step(200, "GET /images/{p}-i:1/history"),
        list(r#"filters={"label":["same={p}"]}"#),
        list(r#"all=1&digests=1&filters={"reference":{"{p}-i":true}}"#),
        list(r#"filters={"reference":["{p}-*:1"]}"#),
        list(r#"filters={"dangling":["true"],"label":["same={p}"]}"#),
        list(r#"filters={"label":["same=nobody"]}"#),
        step(404, r#"GET /images/json?filters={"since":["{p}-nosuch"]}"#),
        step(
            404,
            r#"GET /images/json?filters={"before":["{p}-nosuch:1"]}"#,
        ),
        step(400, r#"GET /images/json?filters={"dangling":["nonsense"]}"#),
        step(400, r#"GET /images/json?filters={"nonsense":["a"]}"#),
        step(500, "GET /images/json?filters=nonsense"),
        step(404, "GET /images/{p}-nosuch/json"),
        step(404, "GET /images/{p}-nosuch:7/history"),
        step(404, "GET /images/sha256:0123456789abcdef/json"),
        step(201, "POST /images/{p}-i:1/tag?repo={p}-i&tag=2"),
        step(
            201,
            "POST /images/{i}/tag?repo=docker.io/library/{p}-i&tag=3",
        ),
        step(201, "POST /images/{p}-i:1/tag?repo={p}-i"),
        step(500, "POST /images/{p}-i:1/tag?repo=UPPER&tag=t"),
        step(500, "POST /images/{p}-i:1/tag"),
        step(404, "POST /images/{p}-nosuch/tag?repo={p}-i&tag=t"),
        list(r#"filters={"label":["same={p}"]}"#),
        step(200, "DELETE /images/{i}?force=1"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn images_are_removed_as_by_one_daemon() {
    let _turn = prunes();
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let file = |p: &str| tar(&[("file", p)]);
    let user = json!({"Image": "{p}-i:1", "Labels": labels()});
    let script = [
        step(200, IMPORT)
            .made("application/x-tar", file)
            .keep("i", "/status"),
        step(200, "GET /images/{p}-i:1/json").keep("i", "/Id"),
        step(201, "POST /images/{i}/tag?repo={p}-i&tag=2"),
        step(201, "POST /images/{i}/tag?repo={p}-i&tag=3"),
        step(201, "POST /images/{i}/tag?repo={p}-i"),
        step(200, "DELETE /images/{p}-i:3"),
        step(200, "DELETE /images/{p}-i"),
        step(409, "DELETE /images/{i}"),
        step(201, "POST /containers/create?name={p}-user")
            .json(&user)
            .keep("user", "/Id"),
        step(200, "DELETE /images/{p}-i:2"),
        step(409, "DELETE /images/{p}-i:1"),
        step(409, "DELETE /images/{i}"),
        step(404, "DELETE /images/{p}-nosuch"),
        step(404, "DELETE /images/{p}-nosuch?force=1"),
        step(400, "DELETE /images/UPPER"),
        step(
            200,
            r#"POST /images/prune?filters={"dangling":["false"],"label":["same={p}"]}"#,
        ),
        step(204, "DELETE /containers/{user}"),
        step(200, r#"POST /images/prune?filters={"label":["same={p}"]}"#),
        step(
            200,
            r#"POST /images/prune?filters={"dangling":["false"],"label":["same={p}"]}"#,
        ),
        step(
            200,
            r#"POST /images/prune?filters={"dangling":["false"],"label":["same={p}"]}"#,
        ),
        step(400, r#"POST /images/prune?filters={"nonsense":["a"]}"#),
        step(404, "DELETE /images/{i}"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn images_are_cut_before_and_since_another_one_of_any_host() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let names = ["a", "b", "c"].map(|name| scope.name(name));
    let created = |node: &Node, image: &str| {
        let reply = node
            .api()
            .get(&format!("/images/{image}/json"))
            .expect(200)
            .json();
        reply["Created"].as_str().unwrap()[..19].to_owned()
    };
    let mut last = String::new();
    for (name, node) in names.iter().zip(&flock().nodes) {
        // Each in a second of its own.
        crate::eventually!({
            import(node, name);
            created(node, name) > last
        });
        last = created(node, name);
    }
    let listed = |filter: &str| {
        let mine = format!("reference={}", scope.name("*"));
        let args = [
            "images",
            "--format",
            "{{.Repository}}",
            "--filter",
            &mine,
            "--filter",
            filter,
        ];
        let mut listed = flockerd.docker(&args).lines();
        listed.dedup();
        listed
    };
    let [a, b, c] = names.clone();
    assert_eq!(listed("dangling=false"), [c.clone(), b.clone(), a.clone()]);
    assert_eq!(listed(&format!("since={b}")), [c.as_str()]);
    assert_eq!(listed(&format!("before={b}")), [a.as_str()]);
    assert_eq!(listed(&format!("since={a}")), [c.clone(), b.clone()]);
    let id = id_of(&flock().nodes[2].api(), &c);
    assert_eq!(listed(&format!("before={id}")), [b, a]);
}

#[test]
fn a_reference_is_one_image_for_the_whole_flock() {
    let scope = flock().shared();
    let mut flockerd = Flockerd::over_flock().start();
    let ids: Vec<String> = flock()
        .nodes
        .iter()
        .map(|node| id_of(&node.api(), "busybox"))
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    let first = id_of(&flockerd.api(), "busybox");
    assert!(ids.contains(&first));
    for _ in 0..5 {
        for reference in [
            "busybox",
            "busybox:latest",
            "docker.io/library/busybox:latest",
        ] {
            assert_eq!(id_of(&flockerd.api(), reference), first, "{reference}");
        }
    }
    flockerd.terminate();
    flockerd.restart();
    assert_eq!(id_of(&flockerd.api(), "busybox"), first);
    // Each of the others is found by its id.
    for id in &ids {
        assert_eq!(id_of(&flockerd.api(), id), *id);
        let short = id.trim_start_matches("sha256:")[..12].to_owned();
        assert_eq!(id_of(&flockerd.api(), &short), *id);
    }
    // A create may go to any host that has the reference, whatever its id.
    let hosts: std::collections::BTreeSet<String> = (0..9)
        .map(|number| {
            let name = scope.name(&number.to_string());
            flockerd.sleeper(&scope, &name);
            flock().holder(&name).name.clone()
        })
        .collect();
    assert!(hosts.len() > 1, "{hosts:?}");
}

#[test]
fn tag_and_rmi_reach_every_host_that_has_the_image() {
    let scope = flock().shared();
    let (image, other) = (scope.name("some"), format!("{}:2", scope.name("other")));
    let (one, three) = (flock().node("node1"), flock().node("node3"));
    let id = import(one, &image);
    copy(one, three, &image);
    let flockerd = Flockerd::over_flock().start();
    flockerd.docker(&["tag", &image, &other]).ok();
    assert_eq!(having(&other), ["node1", "node3"]);
    // By id and by name, once each in the answer.
    let said = flockerd.docker(&["rmi", &image]).lines();
    assert_eq!(said, [format!("Untagged: {image}:latest")]);
    assert_eq!(having(&image), Vec::<String>::new());
    let said = flockerd.docker(&["rmi", &id]).lines();
    let deleted = format!("Deleted: {id}");
    assert_eq!(
        said.iter().filter(|line| **line == deleted).count(),
        1,
        "{said:?}"
    );
    assert_eq!(having(&id), Vec::<String>::new());
}

/// Nothing is removed anywhere when one host must keep the image.
#[test]
fn an_image_in_use_on_one_host_stays_on_all() {
    let scope = flock().shared();
    let image = scope.name("used");
    let (one, two) = (flock().node("node1"), flock().node("node2"));
    let id = import(one, &image);
    copy(one, two, &image);
    let body = json!({"Image": image, "Cmd": ["x"]});
    let path = format!("/containers/create?name={}", scope.name("user"));
    let user = two.api().post(&path, &body).expect(201).json();
    let flockerd = Flockerd::over_flock().start();
    let path = format!("/images/{image}:latest");
    let expected = two.api().delete(&path).expect(409).message();
    assert!(expected.contains(&user["Id"].as_str().unwrap()[..12]));
    assert_eq!(flockerd.api().delete(&path).expect(409).message(), expected);
    let expected = two
        .api()
        .delete(&format!("/images/{id}"))
        .expect(409)
        .message();
    assert_eq!(
        flockerd
            .api()
            .delete(&format!("/images/{id}"))
            .expect(409)
            .message(),
        expected
    );
    assert_eq!(having(&image), ["node1", "node2"]);
}

#[test]
fn prune_removes_the_unused_images_of_every_host() {
    let _turn = prunes();
    let scope = flock().shared();
    let name = scope.name("prune");
    for node in &flock().nodes {
        let image = format!("{name}:{}", node.name);
        let path = format!(
            "/images/create?fromSrc=-&repo={image}&changes=LABEL+{}",
            scope.label()
        );
        send(&node.api(), &path, &[], &tar(&[("file", &image)]));
    }
    let flockerd = Flockerd::over_flock().start();
    let path = format!("/containers/create?name={}", scope.name("user"));
    let body = json!({"Image": format!("{name}:node3"), "Cmd": ["x"]});
    flockerd.api().post(&path, &body).expect(201);
    let filter = format!("label={}", scope.label());
    let said = flockerd
        .docker(&["image", "prune", "--all", "--force", "--filter", &filter])
        .ok();
    for node in ["node1", "node2"] {
        assert_eq!(
            said.matches(&format!("untagged: {name}:{node}")).count(),
            1,
            "{said}"
        );
    }
    let left = |tag: &str| having(&format!("{name}:{tag}"));
    assert_eq!((left("node1"), left("node2")), (vec![], vec![]));
    assert_eq!(left("node3"), ["node3"]);
}
