//! `docker run` and how what it made is found, with the docker CLI on a flock of three hosts.

use crate::{
    fronts,
    harness::{Flockerd, Front, flock},
};

fronts!(
    run_prints_what_the_container_says_and_rm_removes_it,
    run_returns_the_exit_code,
    a_detached_run_prints_the_full_id,
    a_taken_name_is_refused_in_the_daemons_words,
    a_run_without_a_name_is_given_one,
    a_container_is_found_by_any_prefix_of_its_id,
    a_container_is_found_by_its_name_at_a_host,
    an_unknown_container_is_refused_in_the_daemons_words,
);

pub(crate) fn start(front: Front) -> Flockerd {
    Flockerd::over_flock().front(front).start()
}

fn run_prints_what_the_container_says_and_rm_removes_it(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("hello");
    assert_eq!(
        flockerd
            .docker(&[
                "run", "--rm", "--name", &name, "busybox", "echo", "hi there"
            ])
            .ok(),
        "hi there"
    );
    for node in &flock().nodes {
        assert_eq!(
            node.api().get(&format!("/containers/{name}/json")).status,
            404
        );
    }
    flockerd.docker(&["inspect", &name]).fails(1);
}

fn run_returns_the_exit_code(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    for code in [0, 1, 7, 255] {
        let script = format!("exit {code}");
        assert_eq!(
            flockerd
                .docker(&["run", "--rm", "busybox", "sh", "-c", &script])
                .code,
            code
        );
    }
    let errors = flockerd
        .docker(&["run", "--rm", "busybox", "no-such-command"])
        .fails(127);
    assert!(errors.contains("executable file not found"), "{errors}");
    let errors = flockerd
        .docker(&[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ])
        .fails(3);
    assert_eq!(errors, "err\n");
}

fn a_detached_run_prints_the_full_id(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("detached");
    let id = flockerd.sleeper(&scope, &name);
    assert!(
        id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    let holder = flock().holder(&name);
    assert_eq!(
        holder
            .docker(&["inspect", "--format", "{{.Id}}", &name])
            .ok(),
        id
    );
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", "{{.State.Running}}", &name])
            .ok(),
        "true"
    );
}

fn a_taken_name_is_refused_in_the_daemons_words(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("taken");
    let node = flock().node("node2");
    node.sleeper(&scope, &name);
    let from_flock = flockerd
        .docker(&["run", "--name", &name, "busybox", "true"])
        .fails(125);
    let from_daemon = node
        .docker(&["run", "--name", &name, "busybox", "true"])
        .fails(125);
    assert_eq!(from_flock, from_daemon);
    assert_eq!(flock().holder(&name).name, "node2");
}

fn a_run_without_a_name_is_given_one(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = flockerd
        .docker(&["create", "--label", &scope.label(), "busybox"])
        .ok();
    let name = flockerd
        .docker(&["inspect", "--format", "{{.Name}}", &id])
        .ok();
    assert!(name.len() > 2, "{name}");
    assert_eq!(
        flockerd
            .docker(&[
                "inspect",
                "--format",
                "{{.Id}}",
                name.trim_start_matches('/')
            ])
            .ok(),
        id
    );
}

fn a_container_is_found_by_any_prefix_of_its_id(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = flock().node("node3").sleeper(&scope, &scope.name("prefix"));
    for length in [12, 20, 63, 64] {
        assert_eq!(
            flockerd
                .docker(&["inspect", "--format", "{{.Id}}", &id[..length]])
                .ok(),
            id
        );
    }
    assert_eq!(
        flockerd.docker(&["exec", &id[..12], "echo", "found"]).ok(),
        "found"
    );
}

fn a_container_is_found_by_its_name_at_a_host(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("there");
    let id = flock().node("node2").sleeper(&scope, &name);
    let at = format!("{name}@node2");
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", "{{.Id}}", &at])
            .ok(),
        id
    );
    assert_eq!(
        flockerd.docker(&["exec", &at, "echo", "there"]).ok(),
        "there"
    );
    flockerd
        .docker(&["inspect", &format!("{name}@node1")])
        .fails(1);
    flockerd.docker(&["rm", "--force", &at]).ok();
    flockerd.docker(&["inspect", &name]).fails(1);
}

fn an_unknown_container_is_refused_in_the_daemons_words(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    let node = flock().node("node1");
    for args in [
        &["start", "nobody"][..],
        &["logs", "nobody"],
        &["exec", "nobody", "true"],
        &["rm", "nobody"],
        &["container", "inspect", "nobody"],
        &["top", "nobody"],
        &["cp", "nobody:/etc", "-"],
    ] {
        let expected = node.docker(args);
        assert_eq!(
            flockerd.docker(args).fails(expected.code),
            expected.stderr,
            "{args:?}"
        );
    }
}
