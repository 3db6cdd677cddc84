//! Constraints and where they lead.

use flocker_plugin::testing;
use serde_json::{Value, json};

use super::*;

fn place(body: &Value) -> Result<Decision, Error> {
    let mut flock = testing::Flock::new()
        .backend(
            testing::backend("node1", 5)
                .with_label("zone", "eu")
                .with_label("disk", "ssd"),
        )
        .backend(testing::backend("node2", 3).with_label("zone", "eu-west"))
        .backend(testing::backend("node3", 1).with_label("zone", "us"));
    flock.call(|| LabelPlacement::place(testing::create(&body.to_string())))
}

/// Places with constraints in the environment; the error is the refusal.
fn placed(constraints: &[&str]) -> Result<String, (u16, String)> {
    let env: Vec<String> = constraints
        .iter()
        .map(|one| format!("constraint:{one}"))
        .collect();
    match place(&json!({"Env": env})) {
        Ok(decision) => Ok(decision.backend.unwrap_or_default()),
        Err(Error::Refused(refusal)) => Err((refusal.status, refusal.message)),
        Err(Error::Failed(reason)) => panic!("failed: {reason}"),
    }
}

#[test]
fn a_container_goes_where_its_constraints_are_met() {
    let cases: &[(&[&str], &str)] = &[
        (&["zone==eu"], "node1"),
        (&["zone==us"], "node3"),
        (&["zone==eu*"], "node2"),
        (&["zone==*e*t"], "node2"),
        (&["zone!=us"], "node2"),
        (&["zone!=eu*"], "node3"),
        (&["node==node2"], "node2"),
        (&["node!=node3"], "node2"),
        (&["node==node*"], "node3"),
        (&["node!=node3", "zone!=eu-west"], "node1"),
        (&["disk==ssd"], "node1"),
        (&["disk!=ssd"], "node3"),
        (&["disk==~ssd"], "node1"),
        (&["disk!=~ssd"], "node3"),
        (&["zone==~nowhere"], "node3"),
        (&["zone==eu*", "disk==~ssd"], "node1"),
        (&["zone==us", "disk==~ssd"], "node3"),
    ];
    for (constraints, expected) in cases {
        assert_eq!(
            placed(constraints).as_deref(),
            Ok(*expected),
            "{constraints:?}"
        );
    }
}

#[test]
fn constraints_that_nobody_meets_are_refused_with_the_reason() {
    let message = "no backend meets the constraints zone==mars, node!=node1; backends looked at: 3";
    let refused = placed(&["zone==mars", "disk==~ssd", "node!=node1"]);
    assert_eq!(refused, Err((409, message.into())));
}

#[test]
fn expressions_that_are_wrong_are_refused_with_the_reason() {
    let cases = [
        (
            "zone=eu",
            "the constraint `zone=eu` is neither `key==value` nor `key!=value`",
        ),
        ("==eu", "the constraint `==eu` names no label"),
        (
            "zone==/e./",
            "the constraint `zone==/e./` is a regular expression; use `*` instead",
        ),
    ];
    for (expression, message) in cases {
        assert_eq!(placed(&[expression]), Err((400, message.into())));
    }
    let Err(Error::Refused(refusal)) = place(&json!({"Labels": {LABEL: "zone==eu"}})) else {
        panic!("a label that is no list must be refused");
    };
    assert_eq!(refusal.status, 400);
}

#[test]
fn the_environment_goes_on_without_its_constraints() {
    let body =
        json!({"Env": ["A=1", "constraint:zone==us", "B=2"], "Image": "nginx", "New": {"x": 1}});
    let expected = json!({"Env": ["A=1", "B=2"], "Image": "nginx", "New": {"x": 1}});
    assert_eq!(
        place(&body),
        Ok(Decision::to("node3").with_body(expected.to_string()))
    );
}

#[test]
fn constraints_of_the_label_join_and_change_nothing() {
    let labels = json!({LABEL: r#"["zone==eu*", "node!=node2"]"#});
    assert_eq!(place(&json!({"Labels": labels})), Ok(Decision::to("node1")));
    let both = json!({"Labels": labels, "Env": ["constraint:node!=node1"]});
    assert!(matches!(place(&both), Err(Error::Refused(_))));
}

#[test]
fn without_constraints_or_backends_there_is_no_opinion() {
    for body in [json!({}), json!({"Env": ["A=1"], "Labels": {"a": "b"}})] {
        assert_eq!(place(&body), Ok(Decision::no_opinion()));
    }
    let wish = json!({"Env": ["constraint:zone==~eu"]}).to_string();
    let nobody = testing::Flock::new().call(|| LabelPlacement::place(testing::create(&wish)));
    assert_eq!(nobody, Ok(Decision::no_opinion()));
    let mut pull = testing::create("");
    (pull.subject, pull.body) = (route::Subject::Pull, None);
    let decision = testing::Flock::new().call(|| LabelPlacement::place(pull));
    assert_eq!(decision, Ok(Decision::no_opinion()));
}

#[test]
fn a_star_stands_for_anything() {
    let cases = [
        ("eu", "eu", true),
        ("eu", "eu-west", false),
        ("eu*", "eu", true),
        ("*", "", true),
        ("a*a", "a", false),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("*a*a", "a", false),
        ("**x", "yx", true),
    ];
    for (pattern, value, expected) in cases {
        assert_eq!(fits(pattern, value), expected, "{pattern} {value}");
    }
}
