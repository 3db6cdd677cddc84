//! Containers go where their image is, and images to where a container must be.

use super::{having, id_of};
use crate::harness::{Flockerd, flock};

#[test]
fn an_image_of_one_host_is_run_there() {
    let scope = flock().shared();
    let images: Vec<String> = flock()
        .nodes
        .iter()
        .map(|node| {
            let image = format!("{}:1", scope.name(&format!("only-{}", node.name)));
            node.docker(&["tag", "busybox", &image]).ok();
            image
        })
        .collect();
    let flockerd = Flockerd::over_flock().start();
    for (node, image) in flock().nodes.iter().zip(&images) {
        for number in 0..2 {
            let name = scope.name(&format!("run{number}-{}", node.name));
            let args = ["run", "--name", &name, image, "echo", "baa"];
            assert_eq!(flockerd.docker(&args).ok(), "baa");
            assert_eq!(flock().holder(&name).name, node.name);
        }
        assert_eq!(having(image), [node.name.as_str()]);
    }
}

#[test]
fn an_image_follows_its_container_to_where_that_must_be() {
    let scope = flock().shared();
    let (image, volume) = (format!("{}:1", scope.name("far")), scope.name("near"));
    let (near, far) = (flock().node("node1"), flock().node("node3"));
    let base = scope.name("base");
    far.docker(&["create", "--name", &base, "busybox"]).ok();
    far.docker(&["commit", &base, &image]).ok();
    near.docker(&["volume", "create", &volume]).ok();
    let flockerd = Flockerd::over_flock().start();
    let name = scope.name("both");
    let data = format!("{volume}:/data");
    let args = [
        "run", "--pull", "never", "--name", &name, "-v", &data, &image, "echo", "baa",
    ];
    assert_eq!(flockerd.docker(&args).ok(), "baa");
    assert_eq!(flock().holder(&name).name, near.name);
    assert_eq!(id_of(&near.api(), &image), id_of(&far.api(), &image));
}

#[test]
fn an_image_follows_its_container_to_where_a_plugin_sends_it() {
    let scope = flock().shared();
    let image = format!("{}:1", scope.name("sent"));
    flock()
        .node("node3")
        .docker(&["tag", "busybox", &image])
        .ok();
    let flockerd = Flockerd::over_flock().toml(&route_to("node2")).start();
    let name = scope.name("sent");
    let args = [
        "run", "--pull", "never", "--name", &name, &image, "echo", "baa",
    ];
    assert_eq!(flockerd.docker(&args).ok(), "baa");
    assert_eq!(flock().holder(&name).name, "node2");
    assert_eq!(having(&image), ["node2", "node3"]);
}

/// A plugin that sends everything to one host.
pub(crate) fn route_to(node: &str) -> String {
    let path = crate::harness::plugin("probe");
    format!("[[plugin]]\npath = {path:?}\nconfig = {{ hooks = [\"route\"], backend = {node:?} }}")
}
