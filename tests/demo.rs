//! The demonstration that `make demo` shows.

use std::process::Command;

use crate::harness::{plugin, run};

#[test]
fn the_demo_shows_containers_on_several_hosts_and_cleans_up() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/demo.sh");
    let mut command = Command::new(script);
    command
        .env("DEMO_EXIT", "1")
        .env("FLOCKERD", env!("CARGO_BIN_EXE_flockerd"))
        .env("PLUGIN", plugin("label-placement"));
    let said = run(&mut command, b"").ok();
    let list = said.split("docker ps").nth(1).expect("the list is shown");
    let host_of = |container: &str| {
        let line = list
            .lines()
            .find(|line| line.contains(&format!("-{container}@")))
            .expect("it is listed");
        line.split('@')
            .nth(1)
            .unwrap()
            .split([' ', ','])
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(host_of("goat"), "node3");
    assert_ne!(host_of("sheep1"), "node3");
    assert_ne!(host_of("sheep1"), host_of("sheep2"));
    assert_eq!(host_of("lamb"), host_of("sheep1"));
    assert!(said.contains("grass"));
    let namespaces = run(Command::new("ip").args(["netns", "list"]), b"").ok();
    assert!(!namespaces.contains("fldemo"), "{namespaces}");
}
