//! Registries that want a token of another server, as the public ones do.

use std::fs;

use serde_json::json;

use super::{
    Place,
    liar::{Liar, Says, manifest, ok},
    login::auths,
};
use crate::harness::plugin;

/// A registry, and the server of its tokens, which gives `wool`.
fn start() -> (Liar, Liar) {
    let (registry, tokens) = (Liar::start(), Liar::start());
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"sheep\"",
        tokens.address
    );
    let greeting = Says {
        status: 401,
        headers: vec![("WWW-Authenticate", challenge)],
        ..ok(b"{}")
    };
    registry.say("/v2/", greeting);
    tokens.say("/token", ok(br#"{"token": "wool"}"#));
    let component = fs::read(plugin("spread")).unwrap();
    registry.tag(&manifest(&component));
    registry.blob(&component, ok(&component));
    (registry, tokens)
}

#[test]
fn a_token_is_fetched_with_the_credentials_and_shown_to_the_registry() {
    for login in [None, Some("ann:b:c")] {
        let (place, (registry, tokens)) = (Place::new(), start());
        if let Some(login) = login {
            place.configure(&auths(&registry.address, login));
        }
        place.accepted(&registry.source());
        let asked = tokens.asked("/token?");
        assert!(
            asked[0].contains("scope=repository%3Asheep%3Apull"),
            "{asked:?}"
        );
        assert!(asked[0].contains("service=sheep"), "{asked:?}");
        let basic = "authorization: Basic YW5uOmI6Yw==";
        assert_eq!(asked[0].contains(basic), login.is_some(), "{asked:?}");
        let pulls = [
            registry.asked("/v2/sheep/manifests/"),
            registry.asked("/v2/sheep/blobs/"),
        ];
        for head in pulls.concat() {
            assert!(head.contains("authorization: Bearer wool"), "{head}");
        }
    }
}

#[test]
fn a_token_that_is_refused_is_a_matter_of_credentials() {
    let (place, (registry, tokens)) = (Place::new(), start());
    let refused = Says {
        status: 401,
        ..ok(json!({"details": "incorrect username or password"})
            .to_string()
            .as_bytes())
    };
    tokens.say("/token", refused);
    place.configure(&auths(&registry.address, "ann:wrong"));
    let said = place.refused(&registry.source());
    assert!(
        said.contains("with the credentials of the docker configuration"),
        "{said}"
    );
    assert!(
        said.contains(&format!("docker login {}", registry.address)),
        "{said}"
    );
}
