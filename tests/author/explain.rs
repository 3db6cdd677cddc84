//! `flockerd plugin explain`.

use serde_json::{Value, json};

use super::{Desk, documented, has};
use crate::plugins::{create, created, entry, fakes, over};

const FLOCK: &str = "[[backend]]\nname = \"node1\"\nlabels = { zone = \"eu\" }\nrunning = 3\n\
                     [[backend]]\nname = \"node2\"\nlabels = { zone = \"us\" }\n";

const CREATE: &str = r#"{"Image": "busybox", "Env": ["A=1", "constraint:zone==eu"]}"#;

fn desk(create: &str, flock: &str) -> Desk {
    let desk = Desk::new();
    desk.file("create.json", create);
    desk.file("flock.toml", flock);
    desk
}

#[track_caller]
fn explained(desk: &Desk, words: &[&str]) -> String {
    let files = ["--create", "create.json", "--flock", "flock.toml"];
    desk.tool(&[&["explain"], words, &files].concat()).ok()
}

#[test]
fn every_plugin_is_heard_in_order() {
    let desk = desk(CREATE, FLOCK);
    let text = explained(&desk, &["%label-placement", "%spread"]);
    assert_eq!(documented("text"), [text]);
    let text = explained(
        &desk,
        &["%refuse-privileged", "%spread", "%label-placement"],
    );
    has(
        &text,
        &[
            "request  refuse_privileged: no opinion\n",
            "route    spread: backend node2\n",
            "route    label_placement: not asked, spread has decided\n",
            "result   node2, chosen by spread",
        ],
    );
}

#[test]
fn without_an_opinion_the_strategy_chooses() {
    let desk = desk(r#"{"Image": "busybox"}"#, FLOCK);
    let text = explained(&desk, &["%label-placement"]);
    has(
        &text,
        &[
            "route    label_placement: no opinion\n",
            "result   node2, chosen by the strategy",
        ],
    );
}

#[test]
fn a_refusal_is_the_result() {
    let privileged = r#"{"HostConfig": {"Privileged": true}}"#;
    let text = explained(
        &desk(privileged, FLOCK),
        &["%refuse-privileged", "%label-placement"],
    );
    has(
        &text,
        &[
            "request  refuse_privileged: refuses with 403: ",
            "result   no backend: ",
        ],
    );
    assert!(!text.contains("route "), "{text}");
}

#[test]
fn a_failure_ends_the_call_or_is_skipped_as_configured() {
    let desk = desk(r#"{"Image": "busybox"}"#, FLOCK);
    let hostile = |settings: &str| {
        entry(
            "hostile",
            settings,
            "{ hook = \"route\", behaviour = \"lie\" }",
        ) + &entry("spread", "", "{}")
    };
    desk.file("flockerd.toml", hostile(""));
    let text = explained(&desk, &["--config", "flockerd.toml"]);
    has(
        &text,
        &[
            "route    hostile: fails: it answered \"nowhere\"",
            "result   no backend: hostile fails",
        ],
    );
    desk.file("flockerd.toml", hostile("on_failure = \"skip\""));
    let text = explained(&desk, &["--config", "flockerd.toml"]);
    has(&text, &["(skipped)\n", "result   node2, chosen by spread"]);
}

#[test]
fn it_says_what_flockerd_does() {
    let fakes = fakes();
    let chain = entry("probe", "", "{ backend = \"node2\" }");
    let flockerd = over(&fakes, &chain);
    let body = json!({"Image": "busybox", "Env": ["A=1"]});
    create(&flockerd, "x", &body).expect(201);
    let sent = created(&fakes[1]).pop().expect("the choice of the plugin");

    let flock = format!(
        "image = {{ Config = {{ Entrypoint = [\"/bin/shear\", \"-v\"] }} }}\n{FLOCK}[config.probe]\nbackend = \"node2\"\n"
    );
    let text = explained(&desk(&body.to_string(), &flock), &["%probe"]);
    let (_, result) = text
        .split_once("result   node2, chosen by probe\n")
        .unwrap();
    let told: Vec<(&str, Value)> = result
        .lines()
        .filter_map(|line| line.trim().strip_prefix("+ ")?.split_once(" = "))
        .map(|(key, value)| (key, serde_json::from_str(value).unwrap()))
        .collect();
    assert_eq!(told.len(), 2, "{text}");
    for (key, value) in told {
        assert_eq!(sent[key], value, "{key}");
    }
}

#[test]
fn what_cannot_be_explained_is_told() {
    let files = ["--create", "create.json", "--flock", "flock.toml"];
    let fails =
        |desk: &Desk, words: &[&str]| desk.tool(&[&["explain"], words, &files].concat()).fails(2);
    let odd = format!("{FLOCK}[config.other]\n");
    has(
        &fails(&desk(CREATE, &odd), &["%spread"]),
        &["[config.other]"],
    );
    has(&fails(&desk("[]", FLOCK), &["%spread"]), &["create.json"]);
    has(
        &fails(&desk(CREATE, "backnd = []"), &["%spread"]),
        &["flock.toml:1:1", "backend"],
    );
    has(&fails(&desk(CREATE, FLOCK), &[]), &["there is no plugin"]);
}
