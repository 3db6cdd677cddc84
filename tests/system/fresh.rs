//! What was made past flockerd a moment ago: a host is asked before flockerd says that nobody has it.

use serde_json::json;

use crate::{
    harness::{Flockerd, Node, flock},
    networks::holders,
};

/// Does this for every host, a few times over; each time nothing but the host itself knows of what was made.
fn everywhere(check: impl Fn(&Flockerd, &Node, &str)) {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for round in 0..3 {
        for node in &flock().nodes {
            let name = scope.name(&format!("{}-{round}", node.name));
            check(&flockerd, node, &name);
        }
    }
}

/// By the raw API, because the CLI takes its time.
fn make(node: &Node, path: &str, body: &serde_json::Value) {
    node.api().post(path, body).expect(201);
}

#[test]
fn a_container_goes_to_its_network() {
    everywhere(|flockerd, node, name| {
        make(node, "/networks/create", &json!({"Name": name}));
        let body = json!({"Image": "busybox", "HostConfig": {"NetworkMode": name}});
        let path = format!("/containers/create?name={name}");
        flockerd.api().post(&path, &body).expect(201);
        assert_eq!(flock().holder(name).name, node.name);
    });
}

#[test]
fn a_container_goes_to_its_volume() {
    everywhere(|flockerd, node, name| {
        make(node, "/volumes/create", &json!({"Name": name}));
        let body = json!({"Image": "busybox", "HostConfig": {"Binds": [format!("{name}:/data")]}});
        let path = format!("/containers/create?name={name}");
        flockerd.api().post(&path, &body).expect(201);
        assert_eq!(flock().holder(name).name, node.name);
        assert_eq!(holders(&format!("/volumes/{name}")), [node.name.as_str()]);
    });
}

#[test]
fn a_container_goes_to_its_image() {
    everywhere(|flockerd, node, name| {
        make(
            node,
            &format!("/images/busybox/tag?repo={name}&tag=1"),
            &json!(null),
        );
        let body = json!({"Image": format!("{name}:1")});
        let path = format!("/containers/create?name={name}");
        flockerd.api().post(&path, &body).expect(201);
        assert_eq!(flock().holder(name).name, node.name);
    });
}

#[test]
fn a_network_or_volume_of_the_name_is_not_made_twice() {
    everywhere(|flockerd, node, name| {
        let body = json!({"Name": name, "CheckDuplicate": true});
        make(node, "/networks/create", &body);
        flockerd.api().post("/networks/create", &body).expect(409);
        make(node, "/volumes/create", &body);
        flockerd
            .api()
            .post("/volumes/create", &json!({"Name": name}))
            .expect(201);
        assert_eq!(holders(&format!("/volumes/{name}")), [node.name.as_str()]);
    });
}
