//! What a registry says is not believed.

use std::fs;

use serde_json::json;

use super::{
    Place,
    liar::{Liar, Says, manifest, ok},
};
use crate::harness::plugin;

fn component() -> Vec<u8> {
    fs::read(plugin("spread")).unwrap()
}

#[test]
fn a_registry_that_tells_the_truth_is_believed() {
    let (place, liar) = (Place::new(), Liar::start());
    let component = component();
    liar.tag(&manifest(&component));
    liar.blob(&component, ok(&component));
    place.accepted(&liar.source());
}

#[test]
fn a_component_that_does_not_match_its_digest_is_refused() {
    let component = component();
    let mut other = component.clone();
    *other.last_mut().unwrap() ^= 1;
    let longer = [&component[..], b"more"].concat();
    for wrong in [&other[..], &longer, &component[..1000], b""] {
        let (place, liar) = (Place::new(), Liar::start());
        liar.tag(&manifest(&component));
        liar.blob(&component, ok(wrong));
        let said = place.refused(&liar.source());
        assert!(
            said.contains("the component does not match its digest"),
            "{said}"
        );
        // And nothing of it is kept.
        liar.blob(&component, ok(&component));
        assert!(place.accepted(&liar.source()).contains("plugin pulled"));
    }
}

#[test]
fn a_component_that_ends_early_is_a_registry_out_of_reach() {
    let (place, liar) = (Place::new(), Liar::start());
    let component = component();
    liar.tag(&manifest(&component));
    let cut = Says {
        announces: Some(component.len()),
        ..ok(&component[..1000])
    };
    liar.blob(&component, cut);
    let said = place.refused(&liar.source());
    assert!(said.contains("the registry is out of reach: "), "{said}");
}

#[test]
fn a_manifest_that_does_not_match_its_digest_is_refused() {
    let (place, liar) = (Place::new(), Liar::start());
    let component = component();
    let digest = liar.tag(&manifest(&component));
    liar.blob(&component, ok(&component));
    let mut other = manifest(&component);
    other["annotations"] = json!({"a": "wolf"});
    let pinned = format!("oci://{}/sheep@{digest}", liar.address);
    let body = other.to_string();
    // With the digest that was asked for in the header, with the one of the bytes, and with none.
    let own = format!("sha256:{}", flockerd::plugin::digest(body.as_bytes()));
    for header in [Some(&digest), Some(&own), None] {
        let headers = header.map(|digest| ("Docker-Content-Digest", digest.clone()));
        let lie = Says {
            headers: headers.into_iter().collect(),
            ..ok(body.as_bytes())
        };
        liar.say(&format!("/v2/sheep/manifests/{digest}"), lie);
        let said = place.refused(&pinned);
        assert!(
            said.contains("the manifest does not match its digest"),
            "{said}"
        );
    }
}

#[test]
fn a_component_that_is_too_large_is_not_pulled() {
    let (place, liar) = (Place::new(), Liar::start());
    let mut large = manifest(b"");
    large["layers"][0]["size"] = json!(300 << 20);
    liar.tag(&large);
    let said = place.refused(&liar.source());
    assert!(
        said.contains("it has 314572800 bytes, which is more than 268435456"),
        "{said}"
    );
}

#[test]
fn what_a_registry_answers_is_told_apart() {
    let place = Place::new();
    let error = |status, code: &str| Says {
        status,
        ..ok(json!({"errors": [{"code": code, "message": "no wool"}]})
            .to_string()
            .as_bytes())
    };
    for (says, reason, hint) in [
        (
            error(404, "MANIFEST_UNKNOWN"),
            "the registry does not have it",
            "repository and tag",
        ),
        (
            Says {
                status: 404,
                ..ok(b"<html>")
            },
            "the registry does not have it",
            "repository and tag",
        ),
        (
            error(401, "UNAUTHORIZED"),
            "without credentials",
            "docker login",
        ),
        (error(403, "DENIED"), "without credentials", "docker login"),
        (
            error(429, "TOOMANYREQUESTS"),
            "out of reach: no wool",
            "network",
        ),
        (error(400, "NAME_INVALID"), "refused: no wool", "a registry"),
        (
            Says {
                status: 503,
                ..ok(b"")
            },
            "out of reach: it answers 503",
            "network",
        ),
        (ok(b"{}"), "without a manifest", "wkg oci push"),
        (ok(b"<html>"), "without a manifest", "wkg oci push"),
        (
            ok(br#"{"schemaVersion": 2, "manifests": []}"#),
            "an image for several platforms",
            "wkg oci push",
        ),
    ] {
        let liar = Liar::start();
        liar.say("/v2/sheep/manifests/1", says);
        let said = place.refused(&liar.source());
        assert!(
            said.contains(reason) && said.contains(hint),
            "{reason}: {said}"
        );
    }
}
