//! Real programs, the same against one daemon and against a flock of three behind flockerd.

use crate::harness::{Client, Flockerd, NODES, Node, Scope, flock};

/// Makes two tests of each client.
macro_rules! clients {
    ($($name:ident: $client:ident),+ $(,)?) => {
        mod on_a_daemon {
            $(#[test] fn $name() { super::on_a_daemon(crate::harness::Client::$client) })+
        }
        mod on_a_flock {
            $(#[test] fn $name() { super::on_a_flock(crate::harness::Client::$client) })+
        }
    };
}

clients!(
    bollard: Bollard,
    compose: Compose,
    compose_2: Compose2,
    docker_py: DockerPy,
    dockerode: Dockerode,
    testcontainers_node: TestcontainersNode,
    testcontainers_python: TestcontainersPython,
);

fn on_a_daemon(client: Client) {
    let scope = flock().shared();
    let node = flock().node("node2");
    passes(client, &scope, &format!("tcp://{}", node.address), 1);
}

fn on_a_flock(client: Client) {
    let scope = flock().shared();
    // Testcontainers looks for published ports at the address of Docker.
    let flockerd = Flockerd::over_flock()
        .arg("--publish")
        .arg("forward")
        .toml("publish_address = \"127.0.0.1\"")
        .start();
    passes(client, &scope, &flockerd.host, NODES);
}

/// The client goes through to its end, and leaves nothing behind.
#[track_caller]
fn passes(client: Client, scope: &Scope, host: &str, hosts: usize) {
    let said = client.run(scope, host, hosts);
    // A program for node that waits for what never comes ends with exit code 0 too.
    let errors = said.stderr.clone();
    assert!(said.ok().ends_with("fine"), "it gave up:\n{errors}");
    for node in &flock().nodes {
        assert_eq!(
            left(node, scope),
            "",
            "{client:?} left this on {}",
            node.name
        );
    }
}

/// The names of what bears the scope's label or name on a host.
fn left(node: &Node, scope: &Scope) -> String {
    let label = format!("label={}", scope.label());
    let named = format!("name={}", scope.name(""));
    let images = format!("reference=*/{}*", scope.name(""));
    let own = format!("reference={}*", scope.name(""));
    let lists: [&[&str]; 8] = [
        &["ps", "--all", "--quiet", "--filter", &label],
        &["ps", "--all", "--quiet", "--filter", &named],
        &["network", "ls", "--quiet", "--filter", &label],
        &["network", "ls", "--quiet", "--filter", &named],
        &["volume", "ls", "--quiet", "--filter", &label],
        &["volume", "ls", "--quiet", "--filter", &named],
        &["images", "--quiet", "--filter", &own],
        &["images", "--quiet", "--filter", &images],
    ];
    lists.map(|list| node.docker(list).ok()).concat()
}
