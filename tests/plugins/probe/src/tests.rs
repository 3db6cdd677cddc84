//! The traces that the probe leaves.

use flocker_plugin::testing::{self, Flock};

use super::*;

fn flock(config: Value) -> Flock {
    Flock::new()
        .config(config)
        .backend(testing::backend("node1", 0))
        .backend(testing::backend("node2", 0))
}

fn place(flock: &mut Flock) -> Decision {
    let decision = flock.call(|| Probe::place(testing::create("{}")));
    decision.expect("the probe places")
}

fn start(flock: &mut Flock, labels: Value) -> Result<Option<String>, Error> {
    let request = start::Request {
        name: "web".into(),
        container: json!({"Config": {"Labels": labels}}).to_string(),
        image: None,
        backend: testing::backend("node2", 0),
        body: None,
        client: testing::client(),
    };
    flock.call(|| <Probe as Start>::rewrite(request))
}

#[test]
fn routes_to_the_backend_or_in_turn() {
    let cases: [(Value, [Option<&str>; 3]); 3] = [
        (json!({}), [None; 3]),
        (json!({"backend": "node2"}), [Some("node2"); 3]),
        (
            json!({"sequence": ["node1", "node2"]}),
            [Some("node1"), Some("node2"), Some("node1")],
        ),
    ];
    for (config, expected) in cases {
        let mut flock = flock(config);
        for backend in expected {
            let decision = place(&mut flock);
            assert_eq!(decision.backend.as_deref(), backend);
            assert_eq!(
                decision.body.as_deref(),
                Some(r#"{"Labels":{"probe.route":"container"}}"#)
            );
        }
    }
}

#[test]
fn a_call_for_the_probe_tells_what_it_saw() -> Result<(), Error> {
    let mut flock = flock(json!({}));
    place(&mut flock);
    place(&mut flock);
    let verdict = flock.call(|| Probe::handle(testing::call("GET", "/probe")))?;
    assert_eq!(
        verdict,
        Verdict::json(200, &json!({"backends": ["node1", "node2"], "calls": 2}))?
    );
    let verdict = flock.call(|| Probe::handle(testing::call("GET", "/info")))?;
    assert_eq!(verdict, Verdict::Proceed);
    Ok(())
}

#[test]
fn a_container_shows_its_backend_and_the_entrypoint_of_its_image() {
    let request = map::Request {
        name: "web".into(),
        container: r#"{"Env":["A=1"]}"#.into(),
        image: r#"{"Config":{"Entrypoint":["tini","--"]}}"#.into(),
        backend: testing::backend("node2", 0),
        client: testing::client(),
    };
    let json = flock(json!({})).call(|| <Probe as Map>::rewrite(request));
    let expected =
        r#"{"Env":["A=1","PROBE_MAP=node2"],"Labels":{"probe.entrypoint":"[\"tini\",\"--\"]"}}"#;
    assert_eq!(json, Ok(Some(expected.into())));
}

#[test]
fn a_start_is_logged_and_refused_by_label() {
    let mut flock = flock(json!({}));
    assert_eq!(start(&mut flock, json!({})), Ok(None));
    let refused = Err(Error::refuse(403, "probe refuses the start"));
    assert_eq!(
        start(&mut flock, json!({"probe.refuse-start": ""})),
        refused
    );
    assert_eq!(flock.log(), ["info start web", "info start web"]);
}

#[test]
fn hooks_that_are_not_named_have_no_opinion() {
    let mut flock = flock(json!({"hooks": ["map"], "backend": "node1"}));
    assert_eq!(place(&mut flock), Decision::no_opinion());
    assert_eq!(
        start(&mut flock, json!({"probe.refuse-start": ""})),
        Ok(None)
    );
    let verdict = flock.call(|| Probe::handle(testing::call("GET", "/probe")));
    assert_eq!(verdict, Ok(Verdict::Proceed));
    assert!(flock.keyspace().is_empty() && flock.log().is_empty());
}
