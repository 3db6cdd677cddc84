//! Credentials for registries, as docker keeps them.

use std::{fs, os::unix::fs::PermissionsExt};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Place, server::Server};
use crate::harness::{plugin, run};

impl Place {
    pub(super) fn configure(&self, config: &Value) {
        let folder = self.0.path().join(".docker");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }
}

/// What `docker login` leaves.
pub(super) fn auths(registry: &str, login: &str) -> Value {
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    json!({"auths": {registry: {"auth": auth}}})
}

#[test]
fn a_closed_registry_wants_dockers_credentials() {
    let (place, server) = (Place::new(), Server::closed());
    server.push("route:1", &plugin("spread"));
    let source = server.source("route:1");
    let hint = format!("`docker login {}`", server.address);
    let said = place.refused(&source);
    assert!(
        said.contains("without credentials") && said.contains(&hint),
        "{said}"
    );
    place.configure(&auths(&server.address, "ann:wrong"));
    let said = place.refused(&source);
    assert!(
        said.contains("with the credentials of the docker configuration"),
        "{said}"
    );
    assert!(said.contains(&hint) && !said.contains("wrong"), "{said}");
    place.configure(&auths(&server.address, "ann:b:c"));
    let said = place.accepted(&source);
    assert!(
        said.contains("plugin pulled") && !said.contains("b:c"),
        "{said}"
    );
    // What the credentials do not open stays closed, though it is in the cache.
    place.configure(&auths(&server.address, "ann:wrong"));
    place.refused(&source);
}

#[test]
fn docker_config_names_another_folder_and_a_config_that_is_none_is_told() {
    let (place, server) = (Place::new(), Server::closed());
    server.push("route:1", &plugin("spread"));
    let source = server.source("route:1");
    place.configure(&auths(&server.address, "ann:b:c"));
    let folder = place.0.path().join(".docker");
    let elsewhere = place.0.path().join("elsewhere");
    fs::rename(&folder, &elsewhere).unwrap();
    place.refused(&source);
    let check = || {
        let mut command = place.command(&["plugin", "check", &source]);
        run(command.env("DOCKER_CONFIG", &elsewhere), b"")
    };
    assert_eq!(check().code, 0);
    fs::write(elsewhere.join("config.json"), "{").unwrap();
    let said = check().text();
    assert!(
        said.contains("is not as docker writes it") && said.contains("without credentials"),
        "{said}"
    );
}

#[test]
fn credential_helpers_are_asked() {
    let (place, server) = (Place::new(), Server::closed());
    server.push("route:1", &plugin("spread"));
    let source = server.source("route:1");
    let programs = place.0.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let helper = |script: &str| {
        let file = programs.join("docker-credential-sheep");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let check = || {
        let mut command = place.command(&["plugin", "check", &source]);
        run(command.env("PATH", &path), b"")
    };
    helper(
        "read server; echo \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"ann\\\",\\\"Secret\\\":\\\"b:c\\\"}\"",
    );
    for config in [
        json!({"credsStore": "sheep"}),
        json!({"credHelpers": {&server.address: "sheep"}}),
        json!({"credsStore": "sheep", "auths": {&server.address: {}}}),
    ] {
        place.configure(&config);
        let output = check();
        assert_eq!(output.code, 0, "{config}: {}", output.text());
    }
    helper("cat >/dev/null; echo 'my secret'; exit 1");
    let said = check().text();
    assert!(
        said.contains("docker-credential-sheep failed") && !said.contains("my secret"),
        "{said}"
    );
    helper("cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
    let said = check().text();
    assert!(
        said.contains("without credentials") && !said.contains("gives no credentials"),
        "{said}"
    );
}
