//! `flockerd plugin test`.

use super::{Desk, documented, has};

#[test]
fn the_documented_cases_hold() {
    let cases = documented("toml");
    let (code, report) = Desk::new().test("%label-placement", cases[0]);
    assert_eq!(code, 0, "{report}");
    has(
        &report,
        &["ok    route: the constraint is met", "3 cases, 0 failed"],
    );
}

#[test]
fn a_wrong_expectation_shows_what_differs() {
    let wrong = documented("toml")[0]
        .replace("backend = \"node1\"", "backend = \"node2\"")
        .replace("{ Env = [\"A=1\"] }", "{ Env = [\"A=2\"], User = \"me\" }")
        .replace("message = \"zone==moon\"", "status = 400")
        .replace("none = true", "backend = \"node1\"");
    let (code, report) = Desk::new().test("%label-placement", &wrong);
    assert_eq!(code, 1, "{report}");
    has(
        &report,
        &[
            "fail  route: the constraint is met, and taken out of the environment\n",
            "      - backend = \"node2\"\n      + backend = \"node1\"\n",
            "      - body.Env[0] = \"A=2\"\n      + body.Env[0] = \"A=1\"\n",
            "      - body.User = \"me\"\n      + body.User is absent\n",
            "      - refused.status = 400\n      + refused.status = ",
            "      - backend = \"node1\"\n      + no opinion\n",
            "3 cases, 3 failed",
        ],
    );
}

#[test]
fn a_trap_fails_its_case_alone_and_may_be_expected() {
    let hostile = |expect: &str| {
        format!(
            "[config]\nhook = \"map\"\nbehaviour = \"panic\"\n[[backend]]\nname = \"node1\"\n\
             [[case]]\nname = \"maps\"\nmap = {{ container = {{}}, backend = \"node1\" }}\nexpect = {expect}\n\
             [[case]]\nname = \"goes on\"\nroute = {{}}\nexpect = {{ none = true }}\n"
        )
    };
    let desk = Desk::new();
    let (code, report) = desk.test("%hostile", &hostile("{ unchanged = true, none = true }"));
    assert_eq!(code, 1, "{report}");
    has(
        &report,
        &[
            "fail  map: maps",
            "+ failed = \"it panicked",
            "ok    route: goes on",
        ],
    );
    let (code, report) = desk.test("%hostile", &hostile("{ failed = \"it panicked\" }"));
    assert_eq!(code, 0, "{report}");
}

#[test]
fn cases_begin_with_the_keys_and_the_flock_they_describe() {
    let cases = r#"
        [config]
        sequence = ["node1", "node2"]
        [[backend]]
        name = "node1"
        [[backend]]
        name = "node2"
        [[case]]
        name = "the first turn"
        route = { body = {}, subject = "network" }
        expect = { backend = "node1", body = { Labels = { "probe.route" = "network" } }, absent = ["/Env"] }
        [[case]]
        name = "the first turn again"
        route = { body = {} }
        expect = { backend = "node1" }
        [[case]]
        name = "the second turn"
        keyspace = { turn = "1" }
        route = { body = {} }
        expect = { backend = "node2" }
        [[case]]
        name = "down"
        route = { body = {} }
        expect = { failed = "\"node1\", which is down" }
        [[case.backend]]
        name = "node1"
        health = "down"
        [[case]]
        name = "a call is answered"
        keyspace = { calls = "4" }
        request = { method = "GET", path = "/probe" }
        expect = { response = { status = 200, body = { calls = 4, backends = ["node1", "node2"] } } }
        [[case]]
        name = "a start is refused"
        start = { container = { Config = { Labels = { "probe.refuse-start" = "1" } } }, backend = "node2" }
        expect = { refused = { status = 403, message = "refuses the start" } }
    "#;
    let (code, report) = Desk::new().test("%probe", cases);
    assert_eq!(code, 0, "{report}");
    has(&report, &["6 cases, 0 failed"]);
}

#[test]
fn lists_credentials_and_bodies_of_calls_are_compared_too() {
    let desk = Desk::new();
    let backends = "backends = [{ name = \"one\", address = \"tcp://h:1\" }]";
    let listed = format!(
        "[config]\n{backends}\n[[case]]\nname = \"lists\"\nlist = {{}}\n[case.expect]\n{backends}\n"
    );
    assert_eq!(desk.test("%fixed-backends", &listed).0, 0);
    let login = r#"
        [config.registries."r:1"]
        username = "me"
        password = "secret"
        [[case]]
        name = "known"
        registry-auth = { registry = "r:1" }
        expect = { credentials = { username = "me", password = "secret" } }
        [[case]]
        name = "unknown"
        registry-auth = { registry = "s" }
        expect = { none = true }
    "#;
    assert_eq!(desk.test("%registry-login", login).0, 0);
    let heard = r#"
        config = { kinds = ["volume"] }
        [[case]]
        name = "all that can happen"
        event = [
            { backend = "node1", what = "joined" },
            { backend = "node1", what = "up", time = 1, dropped = 3 },
            { backend = "node1", what = { docker = { Type = "image", Action = "pull", Actor = { ID = "wool" } } } },
            { backend = "node1", what = { docker = '{"Type":"volume","Action":"create","Actor":{"ID":"v"}}' } },
            { backend = "node1", what = { down = "no route" } },
            { backend = "node1", what = "left" },
        ]
        expect = { none = true, keyspace = {} }
        [[case]]
        name = "a key that it does not write"
        event = []
        expect = { keyspace = { a = "1" } }
    "#;
    let (code, report) = desk.test("%event-log", heard);
    assert_eq!(code, 1, "{report}");
    has(
        &report,
        &[
            "ok    event: all that can happen",
            "fail  event: a key that it does not write",
            "2 cases, 1 failed",
        ],
    );
    let call = r#"
        [[case]]
        name = "privileged"
        [case.request]
        method = "POST"
        path = "/containers/create"
        headers = { content-type = "application/json" }
        body = { HostConfig = { Privileged = true } }
        [case.expect]
        refused = { status = 403 }
    "#;
    assert_eq!(desk.test("%refuse-privileged", call).0, 0);
}

#[test]
fn cases_that_cannot_be_run_are_told() {
    let desk = Desk::new();
    let case = "[[case]]\nname = \"a\"\n";
    for (cases, parts) in [
        (
            format!("{case}route = {{}}\nexpcet = {{}}\n"),
            &["cases.toml:4:1", "\"expcet\"", "\"expect\""][..],
        ),
        (
            format!("{case}event = [{{ backend = \"a\", what = {{ docker = \"{{\" }} }}]\n"),
            &["cases.toml:3", "no event as `GET /events` gives it"],
        ),
        (
            format!("{case}[case.route]\nbdy = {{}}\n"),
            &["cases.toml:4:1", "\"bdy\"", "\"body\""],
        ),
        (
            "[[backend]]\nname = \"b\"\nhealth = \"ill\"\n".to_owned(),
            &["cases.toml:3", "ill"],
        ),
        (
            format!("{case}expect = {{ none = true }}\n"),
            &["case \"a\"", "exactly one hook"],
        ),
        (
            format!("{case}route = {{}}\nlist = {{}}\n"),
            &["case \"a\"", "exactly one hook"],
        ),
        (
            format!("{case}route = {{}}\n"),
            &["case \"a\"", "expects nothing"],
        ),
        (
            format!(
                "{case}map = {{ container = {{}}, backend = \"b\" }}\nexpect = {{ none = true }}\n"
            ),
            &["case \"a\"", "no backend b"],
        ),
    ] {
        has(&desk.wrong_cases(&cases), parts);
    }
    let errors = desk.tool(&["test", "%spread", "absent.toml"]).fails(2);
    has(&errors, &["error: cannot read absent.toml"]);
    let cases = format!("{case}list = {{}}\nexpect = {{ none = true }}\n");
    let (code, report) = desk.test("%spread", &cases);
    assert_eq!(code, 1);
    has(
        &report,
        &["asks the list hook, which spread does not export"],
    );
}
