//! `docker run` and the life of a container, with the docker CLI on a flock of three hosts.

use crate::{
    eventually, fronts,
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
    a_container_lives_its_life,
    a_container_is_renamed_unless_the_name_is_taken_on_any_host,
    wait_returns_the_exit_code,
    logs_follow_until_the_container_ends,
    signals_reach_the_container,
    exec_returns_the_exit_code_and_reads_its_input,
    files_are_copied_both_ways,
    a_filesystem_is_exported_and_its_changes_are_listed,
    stats_are_shown_once,
    a_stopped_container_is_started_with_its_output,
);

fn start(front: Front) -> Flockerd {
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

fn a_container_lives_its_life(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("life");
    let status = || {
        flockerd
            .docker(&["inspect", "--format", "{{.State.Status}}", &name])
            .ok()
    };
    flockerd.sleeper(&scope, &name);
    let top = flockerd.docker(&["top", &name]).ok();
    assert!(top.contains("sleep 600"), "{top}");
    flockerd.docker(&["pause", &name]).ok();
    assert_eq!(status(), "paused");
    flockerd.docker(&["unpause", &name]).ok();
    assert_eq!(status(), "running");
    flockerd.docker(&["stop", "--time", "0", &name]).ok();
    assert_eq!(status(), "exited");
    flockerd.docker(&["start", &name]).ok();
    assert_eq!(status(), "running");
    let started = flockerd
        .docker(&["inspect", "--format", "{{.State.StartedAt}}", &name])
        .ok();
    flockerd.docker(&["restart", "--time", "0", &name]).ok();
    assert_ne!(
        flockerd
            .docker(&["inspect", "--format", "{{.State.StartedAt}}", &name])
            .ok(),
        started
    );
    flockerd
        .docker(&["update", "--restart", "on-failure:3", &name])
        .ok();
    let policy = "{{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", policy, &name])
            .ok(),
        "3"
    );
    let errors = flockerd.docker(&["rm", &name]).fails(1);
    assert!(
        errors.contains("You cannot remove a running container"),
        "{errors}"
    );
    flockerd.docker(&["kill", "--signal", "KILL", &name]).ok();
    eventually!(status() == "exited");
    flockerd.docker(&["rm", &name]).ok();
    flockerd.docker(&["inspect", &name]).fails(1);
}

fn a_container_is_renamed_unless_the_name_is_taken_on_any_host(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let [old, new, taken] = ["old", "new", "taken"].map(|name| scope.name(name));
    flock().node("node1").sleeper(&scope, &old);
    flock().node("node2").sleeper(&scope, &taken);
    flockerd.docker(&["rename", &old, &new]).ok();
    flockerd.docker(&["inspect", &old]).fails(1);
    assert_eq!(
        flockerd.docker(&["exec", &new, "echo", "renamed"]).ok(),
        "renamed"
    );
    let refused = flockerd.docker(&["rename", &new, &taken]).fails(1);
    // The daemon that has the name would say the same about a container of its own.
    let other = scope.name("other");
    flock().node("node2").sleeper(&scope, &other);
    let expected = flock()
        .node("node2")
        .docker(&["rename", &other, &taken])
        .fails(1);
    assert_eq!(refused, expected.replace(&other, &new));
    assert_eq!(flock().holder(&new).name, "node1");
}

fn wait_returns_the_exit_code(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("wait");
    let id = flockerd.sleeper(&scope, &name);
    let waiting = flockerd.docker_running(&["wait", &id]);
    flockerd.docker(&["kill", &name]).ok();
    assert_eq!(waiting.finish().ok(), "137");
    assert_eq!(flockerd.docker(&["wait", &name]).ok(), "137");
}

fn logs_follow_until_the_container_ends(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("logs");
    let script = "echo one; until [ -e /go ]; do sleep 0.1; done; echo two; echo three >&2";
    flockerd
        .docker(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script])
        .ok();
    let mut logs = flockerd.docker_running(&["logs", "--follow", &name]);
    logs.expect("one");
    flockerd.docker(&["exec", &name, "touch", "/go"]).ok();
    logs.expect("two");
    let output = logs.finish();
    assert_eq!(
        (output.stdout().as_str(), output.stderr.as_str()),
        ("one\ntwo\n", "three\n")
    );
    assert_eq!(
        flockerd
            .docker(&["logs", "--tail", "1", &name])
            .text()
            .lines()
            .count(),
        1
    );
}

fn signals_reach_the_container(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    let script = "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.1; done";
    let mut run = flockerd.docker_running(&["run", "--rm", "busybox", "sh", "-c", script]);
    run.expect("ready");
    run.signal("INT");
    run.expect("caught");
    run.finish().fails(8);
}

fn exec_returns_the_exit_code_and_reads_its_input(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("exec");
    flockerd.sleeper(&scope, &name);
    flockerd
        .docker(&["exec", &name, "sh", "-c", "exit 9"])
        .fails(9);
    let args = [
        "exec",
        "-i",
        "-e",
        "COLOUR=black",
        &name,
        "sh",
        "-c",
        "echo $COLOUR; cat",
    ];
    assert_eq!(flockerd.docker_with(&args, b"sheep\n").ok(), "black\nsheep");
    flockerd
        .docker(&["exec", "-d", &name, "touch", "/made"])
        .ok();
    eventually!(flockerd.docker(&["exec", &name, "ls", "/made"]).code == 0);
    flockerd
        .docker(&["exec", &name, "no-such-command"])
        .fails(126);
}

fn files_are_copied_both_ways(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("copy");
    flockerd.sleeper(&scope, &name);
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let [there, back] = ["there", "back"].map(|file| flockerd.home().join(file));
    std::fs::write(&there, &content).unwrap();
    let in_container = |path: &str| format!("{name}:{path}");
    flockerd
        .docker(&["cp", there.to_str().unwrap(), &in_container("/tmp/new")])
        .ok();
    assert_eq!(
        flockerd
            .docker(&["exec", &name, "stat", "-c", "%s", "/tmp/new"])
            .ok(),
        "3000000"
    );
    flockerd
        .docker(&["cp", &in_container("/tmp/new"), back.to_str().unwrap()])
        .ok();
    assert_eq!(std::fs::read(&back).unwrap(), content);
    let archive = flockerd.docker(&["cp", &in_container("/tmp/new"), "-"]);
    flockerd.docker(&["exec", &name, "mkdir", "/tmp/copy"]).ok();
    flockerd
        .docker_with(&["cp", "-", &in_container("/tmp/copy")], &archive.bytes)
        .ok();
    assert_eq!(
        flockerd
            .docker(&["exec", &name, "cmp", "/tmp/new", "/tmp/copy/new"])
            .ok(),
        ""
    );
    let missing = in_container("/no/such/file");
    let expected = flock().holder(&name).docker(&["cp", &missing, "-"]);
    assert_eq!(
        flockerd.docker(&["cp", &missing, "-"]).fails(expected.code),
        expected.stderr
    );
}

fn a_filesystem_is_exported_and_its_changes_are_listed(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("export");
    flockerd
        .docker(&[
            "run",
            "--name",
            &name,
            "busybox",
            "sh",
            "-c",
            "echo wool > /fleece",
        ])
        .ok();
    assert!(
        flockerd
            .docker(&["diff", &name])
            .lines()
            .contains(&"A /fleece".to_owned())
    );
    let archive = flockerd.docker(&["export", &name]);
    let mut tar = std::process::Command::new("tar");
    let content = crate::harness::run(
        tar.args(["--extract", "--to-stdout", "fleece"]),
        &archive.bytes,
    );
    assert_eq!(content.ok(), "wool");
}

fn stats_are_shown_once(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let names = ["node1", "node2"].map(|node| {
        let name = scope.name(node);
        flock().node(node).sleeper(&scope, &name);
        name
    });
    let format = ["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}"];
    for name in &names {
        let args = [&format[..], &[name.as_str()]].concat();
        assert_eq!(flockerd.docker(&args).ok(), format!("{name} 1"));
    }
    let all = flockerd.docker(&format).ok();
    assert!(
        names.iter().all(|name| all.contains(&format!("{name} 1"))),
        "{all}"
    );
}

fn a_stopped_container_is_started_with_its_output(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("again");
    flockerd
        .docker(&["create", "-i", "--name", &name, "busybox", "cat"])
        .ok();
    assert_eq!(
        flockerd
            .docker_with(&["start", "-ai", &name], b"first\n")
            .ok(),
        "first"
    );
    assert_eq!(
        flockerd
            .docker_with(&["start", "-ai", &name], b"second\n")
            .ok(),
        "second"
    );
}
