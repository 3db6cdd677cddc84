//! The flock answers as one daemon does: the same requests to both, and the answers compared.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::harness::{Flockerd, Step, flock, same_as_one_daemon, step, tar};

/// The comparison itself.
mod comparison;
/// What a container answers while nothing is wrong.
mod containers;
/// What goes wrong with containers, word for word.
mod refusals;

/// The labels of a side's objects, to filter by and to remove by.
pub(crate) fn labels() -> Value {
    json!({"same": "{p}", "test": "{test}"})
}

/// For a test that prunes, taken before the hosts are: a daemon prunes one thing at a time and refuses others meanwhile.
pub(crate) fn prunes() -> MutexGuard<'static, ()> {
    static PRUNES: Mutex<()> = Mutex::new(());
    PRUNES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn lists_of_containers() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let create = |name: &str, more: Value| {
        let mut body = json!({"Image": "busybox", "Cmd": ["sleep", "600"], "Labels": labels()});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        step(201, &format!("POST /containers/create?name={{p}}-{name}"))
            .json(&body)
            .keep(name, "/Id")
    };
    let list = |query: &str| {
        step(200, &format!("GET /containers/json?{query}"))
            .differs(&["Status", "Image", "ImageID"])
            .whole()
    };
    let mine = r#"{"label":["same={p}"]}"#;
    let script: Vec<Step> = vec![
        create("first", json!({"ExposedPorts": {"80/tcp": {}}})),
        create(
            "second",
            json!({"HostConfig": {"Binds": ["/tmp:/host:ro"]}}),
        )
        .later(),
        step(204, "POST /containers/{first}/start"),
        list(&format!("filters={mine}")),
        list(&format!("all=1&filters={mine}")),
        list(&format!("all=true&size=1&filters={mine}")),
        list(&format!("limit=1&filters={mine}")),
        list(&format!("limit=-1&filters={mine}")),
        list(r#"all=1&filters={"name":["{p}-sec"]}"#),
        list(r#"all=1&filters={"id":["{second}"]}"#),
        list(r#"all=1&filters={"label":{"same={p}":true},"status":{"created":true}}"#),
        list(r#"all=1&filters={"label":["same={p}"],"ancestor":["busybox"]}"#),
        list(r#"all=1&filters={"label":["same={p}"],"network":["bridge"]}"#),
        list(r#"all=1&filters={"label":["same={p}"],"expose":["80"]}"#),
        list(r#"all=1&filters={"label":["same={p}"],"volume":["/host"]}"#),
        list(r#"all=1&filters={"label":["same={p}"],"before":["{p}-second"]}"#),
        list(r#"all=1&filters={"label":["same={p}"],"since":["{first}"]}"#),
        list(r#"all=1&filters={"label":["same=nobody"]}"#),
        step(200, &format!("POST /containers/prune?filters={mine}")),
        step(200, &format!("POST /containers/prune?filters={mine}")),
        step(204, "DELETE /containers/{p}-first?force=1"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn lists_that_are_wrong() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let script = [
        step(400, r#"GET /containers/json?filters={"nonsense":["a"]}"#),
        step(500, "GET /containers/json?filters=nonsense"),
        step(500, "GET /containers/json?limit=nonsense"),
        step(
            500,
            r#"GET /containers/json?all=1&filters={"before":["nobody"]}"#,
        ),
        step(
            500,
            r#"GET /containers/json?all=1&filters={"since":["nobody"]}"#,
        ),
        step(
            400,
            r#"GET /containers/json?filters={"status":["nonsense"]}"#,
        ),
        step(400, r#"POST /containers/prune?filters={"nonsense":["a"]}"#),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn commit_makes_an_image_of_a_container() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let create = json!({"Image": "busybox", "Cmd": ["true"], "Labels": labels()});
    let file = |p: &str| tar(&[("hello", p)]);
    let script = [
        step(201, "POST /containers/create?name={p}-from").json(&create).keep("from", "/Id"),
        step(200, "PUT /containers/{from}/archive?path=/tmp").made("application/x-tar", file),
        step(201, "POST /commit?container={p}-from&repo={p}-image&tag=1&comment=why&author=who")
            .json(&json!({"Env": ["A=1"]}))
            .keep("image", "/Id"),
        step(200, "GET /images/{p}-image:1/json").keep("image", "/Id"),
        step(200, "GET /images/{p}-image:1/history").differs(&["*/Id", "*/CreatedBy", "*/Tags"]),
        step(201, "POST /commit?container={from}&repo=docker.io/library/{p}-image&tag=2&changes=CMD+x&pause=0")
            .json(&json!({})),
        step(400, "POST /commit?container={from}&repo={p}-image&changes=NONSENSE").json(&json!({})),
        step(500, "POST /commit?container={from}&repo=UPPER").json(&json!({})),
        step(404, "POST /commit?container=nobody&repo={p}-image").json(&json!({})),
        step(400, "POST /commit?repo={p}-image").json(&json!({})),
        step(201, "POST /containers/create?name={p}-to").json(&json!({"Image": "{p}-image:1", "Labels": labels()})),
        step(409, "DELETE /images/{p}-image:1"),
        step(204, "DELETE /containers/{p}-to"),
        step(204, "DELETE /containers/{p}-from"),
        step(200, "DELETE /images/{p}-image:2"),
        step(200, "DELETE /images/{p}-image:1"),
        step(404, "GET /images/{p}-image:1/json"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// `/commit` names its container by prefix too, wherever it is.
#[test]
fn a_container_of_every_host_is_committed_where_it_is() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for node in &flock().nodes {
        let id = node.sleeper(&scope, &scope.name(&node.name));
        let image = format!("{}:1", scope.name(&format!("of-{}", node.name)));
        flockerd.docker(&["commit", &id[..12], &image]).ok();
        let path = format!("/images/{image}/json");
        for other in &flock().nodes {
            let expected = if other.name == node.name { 200 } else { 404 };
            assert_eq!(
                other.api().get(&path).status,
                expected,
                "{image} on {}",
                other.name
            );
        }
        flockerd.api().get(&path).expect(200);
    }
}

/// `flocker.backend` is a label that lists show, so filters know it, though no host does.
#[test]
fn filters_know_the_host_of_a_container() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let mine = format!("label={}", scope.label());
    let create = |node: &str| {
        let args = [
            "create",
            "--name",
            &scope.name(node),
            "--label",
            &scope.label(),
            "busybox",
            "true",
        ];
        flock().node(node).docker(&args).ok()
    };
    let ids = ["node1", "node2", "node3"].map(create);
    let listed = |filter: &str| {
        flockerd
            .docker(&[
                "ps",
                "-aq",
                "--no-trunc",
                "--filter",
                &mine,
                "--filter",
                filter,
            ])
            .lines()
    };
    assert_eq!(listed("label=flocker.backend=node2"), [ids[1].as_str()]);
    assert_eq!(listed("label=flocker.backend").len(), 3);
    assert_eq!(listed("label=flocker.backend=nobody"), Vec::<String>::new());
    let prune = |filter: &str| {
        let args = [
            "container",
            "prune",
            "--force",
            "--filter",
            &mine,
            "--filter",
            filter,
        ];
        let output = flockerd.docker(&args).ok();
        let deleted = output.lines().filter(|line| line.len() == 64);
        deleted.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(prune("label=flocker.backend=nobody"), Vec::<String>::new());
    let mut others = prune("label!=flocker.backend=node2");
    others.sort();
    let mut expected = vec![ids[0].clone(), ids[2].clone()];
    expected.sort();
    assert_eq!(others, expected);
    create("node1");
    assert_eq!(prune("label=flocker.backend=node2"), [ids[1].as_str()]);
    flock().holder(&scope.name("node1"));
}

#[test]
fn a_prefix_that_fits_several_is_refused_in_the_daemons_words() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let node = flock().node("node2");
    // More than there are hexadecimal digits, so that two ids begin alike.
    let starts: Vec<String> = (0..17)
        .map(|number| {
            let body = json!({"Image": "busybox", "Labels": {"test": scope.label().split_once('=').unwrap().1}});
            let path = format!("/containers/create?name={}", scope.name(&number.to_string()));
            let reply = node.api().post(&path, &body).expect(201).json();
            reply["Id"].as_str().unwrap()[..1].to_owned()
        })
        .collect();
    let twice = starts
        .iter()
        .enumerate()
        .find(|(at, start)| starts[..*at].contains(start));
    let path = format!("/v1.41/containers/{}/json", twice.unwrap().1);
    let expected = node.api().get(&path);
    let seen = flockerd.api().get(&path).expect(expected.status);
    assert_eq!(seen.message(), expected.message());
}
