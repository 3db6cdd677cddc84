//! The life of a container, from its start to its removal, with the docker CLI on a flock of three hosts.

use crate::{
    eventually, fronts,
    harness::{Front, flock},
    run::start,
};

fronts!(
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
