//! Terminals, piped input and large amounts both ways, with the docker CLI.

use std::process::Command;

use crate::{
    eventually, fronts,
    harness::{Flockerd, Front, Running, flock, run},
    run::start,
};

fronts!(
    a_terminal_is_typed_at_resized_and_left,
    exec_has_a_terminal_too,
    input_is_piped_to_its_end_and_output_still_follows,
    a_quarter_gigabyte_goes_both_ways_through_attach,
    a_quarter_gigabyte_goes_both_ways_through_exec,
);

const BULK: u64 = 256 << 20;

fn a_terminal_is_typed_at_resized_and_left(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    let mut terminal = flockerd.docker_on_terminal(&["run", "-it", "--rm", "busybox", "sh"]);
    converse(&mut terminal);
    terminal.say("exit 5\n");
    terminal.finish().fails(5);
}

fn exec_has_a_terminal_too(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("exec-tty");
    flockerd.sleeper(&scope, &name);
    let mut terminal = flockerd.docker_on_terminal(&["exec", "-it", &name, "sh"]);
    converse(&mut terminal);
    terminal.say("exit 6\n");
    terminal.finish().fails(6);
}

/// Types into a shell whose terminal is as large as the harness made it.
fn converse(terminal: &mut Running) {
    terminal.say("echo $((6 * 7)) sheep\n");
    terminal.expect("42 sheep");
    terminal.say("until [ \"$(stty size)\" = '33 77' ]; do sleep 0.1; done; echo re''sized\n");
    terminal.expect("resized");
}

fn input_is_piped_to_its_end_and_output_still_follows(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    let args = [
        "run",
        "-i",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "cat; sleep 0.3; echo after the end",
    ];
    assert_eq!(
        flockerd.docker_with(&args, b"one\ntwo\n").ok(),
        "one\ntwo\nafter the end"
    );
    assert_eq!(
        flockerd
            .docker_with(
                &["run", "-i", "--rm", "busybox", "wc", "-c"],
                &[b'x'; 100_000]
            )
            .ok(),
        "100000"
    );
}

fn a_quarter_gigabyte_goes_both_ways_through_attach(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    // The log driver would write it all to disk, which is not what is tested.
    mirror(
        &flockerd,
        "docker run -i --rm --log-driver none busybox cat",
    );
}

fn a_quarter_gigabyte_goes_both_ways_through_exec(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("bulk");
    flockerd.sleeper(&scope, &name);
    mirror(&flockerd, &format!("docker exec -i {name} cat"));
}

/// Sends random bytes through a command and compares the hashes of what went in and what came out.
fn mirror(flockerd: &Flockerd, command: &str) {
    let script = format!(
        "set -o pipefail; head -c {BULK} /dev/urandom | tee >(sha256sum >in) | {command} | tee >(wc -c >size) | sha256sum >out"
    );
    let mut bash = Command::new("bash");
    let environment = flockerd.command();
    bash.env_clear().envs(
        environment
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    run(bash.current_dir(flockerd.home()).args(["-c", &script]), b"").ok();
    let read = |file: &str| std::fs::read_to_string(flockerd.home().join(file)).unwrap_or_default();
    // The shell does not wait for what it substituted.
    eventually!(read("in").ends_with('\n') && read("size").ends_with('\n'));
    assert_eq!(read("size").trim(), BULK.to_string());
    assert_eq!(read("in"), read("out"));
}
