//! Registries with TLS, and without where that is allowed.

use std::fs;

use super::{Place, server::Server};
use crate::harness::{flock, plugin, run};

#[test]
fn a_registry_elsewhere_is_insecure_only_when_it_is_named() {
    let scope = flock().shared();
    let image = flock().registry.seed(&scope);
    let place = Place::new();
    flock().registry.login(&place.0.path().join(".docker"));
    let source = format!("oci://{image}");
    let said = place.refused(&source);
    assert!(said.contains("the registry is out of reach"), "{said}");
    let config = place.0.path().join("flockerd.toml");
    fs::write(
        &config,
        format!("insecure_registries = [\"{}\"]", flock().registry.address),
    )
    .unwrap();
    let config = config.to_string_lossy();
    let said = run(
        &mut place.command(&["--config", &config, "plugin", "check", &source]),
        b"",
    );
    // What docker itself pushed.
    assert!(
        said.text()
            .contains("it is a container image, not a wasm component"),
        "{}",
        said.text()
    );
    assert_eq!(said.code, 1);
}

#[test]
fn certificates_are_checked_against_the_systems() {
    let host = flock().registry.address.split(':').next().unwrap();
    let (place, server) = (Place::new(), Server::secure(host));
    server.push("route:1", &plugin("spread"));
    let source = server.source("route:1");
    let said = place.refused(&source);
    assert!(
        said.contains("out of reach") && said.contains("certificate"),
        "{said}"
    );
    let mut trusting = place.command(&["plugin", "check", &source]);
    let said = run(trusting.env("SSL_CERT_FILE", server.authority()), b"");
    assert!(said.text().contains("plugin pulled"), "{}", said.text());
    let config = place.0.path().join("flockerd.toml");
    let insecure = format!("insecure_registries = [\"{}\"]", server.address);
    fs::write(&config, insecure).unwrap();
    let config = config.to_string_lossy();
    let place = Place::new();
    let mut careless = place.command(&["--config", &config, "plugin", "check", &source]);
    let said = run(&mut careless, b"");
    assert!(said.text().contains("plugin pulled"), "{}", said.text());
}
