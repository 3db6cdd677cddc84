//! What is refused, and what is not.

use flocker_plugin::testing;
use serde_json::{Value, json};

use super::*;

const CREATE: &str = "/containers/create";
const EXEC: &str = "/containers/{container}/exec";
const VOLUME: &str = "/volumes/create";

/// Returns the message of the refusal, none when the call may proceed.
fn refusal(path: &str, config: &Value, body: Result<Option<&str>, &str>) -> Option<String> {
    let mut flock = testing::Flock::new().config(config.clone()).body(body);
    match flock.call(|| RefusePrivileged::handle(testing::call("POST", path))) {
        Ok(Verdict::Proceed) => None,
        Err(Error::Refused(refusal)) if refusal.status == 403 => Some(refusal.message),
        other => panic!("{other:?}"),
    }
}

fn refused(path: &str, config: &Value, body: &str) -> bool {
    refusal(path, config, Ok(Some(body))).is_some()
}

#[test]
fn privileged_is_refused_however_it_is_written() {
    let cases = [
        (CREATE, r#"{"HostConfig":{"Privileged":true}}"#, true),
        (CREATE, r#"{"hostconfig":{"privileged":true}}"#, true),
        (CREATE, r#"{"HoſtConfig":{"Privileged":true}}"#, true),
        (
            CREATE,
            r#"{"HostConfig":{"Privileged":true},"HostConfig":{}}"#,
            true,
        ),
        (CREATE, r#"{"HostConfig":{"Privileged":false}}"#, false),
        (CREATE, r#"{"HostConfig":null,"Image":"nginx"}"#, false),
        (CREATE, r#"{"Labels":{"Privileged":"true"}}"#, false),
        (EXEC, r#"{"Cmd":["sh"],"Privileged":true}"#, true),
        (EXEC, r#"{"Cmd":["sh"],"Privileged":false}"#, false),
    ];
    for (path, body, expected) in cases {
        assert_eq!(refused(path, &json!({}), body), expected, "{path} {body}");
    }
}

#[test]
fn each_other_escape_is_refused_only_when_configured() {
    let cases = [
        (
            "capabilities",
            CREATE,
            json!({"HostConfig": {"CapAdd": ["NET_ADMIN"]}}),
        ),
        (
            "capabilities",
            CREATE,
            json!({"HostConfig": {"CapAdd": "ALL"}}),
        ),
        (
            "host-namespaces",
            CREATE,
            json!({"HostConfig": {"PidMode": "host"}}),
        ),
        (
            "host-namespaces",
            CREATE,
            json!({"HostConfig": {"NetworkMode": "host"}}),
        ),
        (
            "host-namespaces",
            CREATE,
            json!({"HostConfig": {"IpcMode": "host"}}),
        ),
        (
            "host-namespaces",
            CREATE,
            json!({"HostConfig": {"UsernsMode": "host"}}),
        ),
        (
            "devices",
            CREATE,
            json!({"HostConfig": {"Devices": [{"PathOnHost": "/dev/sda"}]}}),
        ),
        (
            "devices",
            CREATE,
            json!({"HostConfig": {"DeviceCgroupRules": ["a *:* rwm"]}}),
        ),
        (
            "docker-socket",
            CREATE,
            json!({"HostConfig": {"Binds": ["/var/run/docker.sock:/s:ro"]}}),
        ),
        (
            "docker-socket",
            CREATE,
            json!({"HostConfig": {"Mounts": [{"Source": "/run"}]}}),
        ),
        (
            "docker-socket",
            CREATE,
            json!({"HostConfig": {"Mounts": [{"VolumeOptions": {"DriverConfig":
            {"Options": {"device": "/run", "o": "bind"}}}}]}}),
        ),
        (
            "docker-socket",
            VOLUME,
            json!({"DriverOpts": {"device": "/var/run", "o": "bind"}}),
        ),
    ];
    for (escape, path, body) in cases {
        let configured = json!({"refuse": [escape]});
        assert!(
            refused(path, &configured, &body.to_string()),
            "{escape} {body}"
        );
        assert!(
            !refused(path, &json!({}), &body.to_string()),
            "{escape} {body}"
        );
    }
}

#[test]
fn ordinary_containers_pass_the_strictest_policy() {
    let strict = json!({"refuse": ["privileged", "capabilities", "host-namespaces", "docker-socket", "devices"]});
    let body = json!({
        "Image": "nginx",
        "HostConfig": {
            "Privileged": false, "CapAdd": null, "CapDrop": ["ALL"], "Devices": [], "DeviceRequests": null,
            "NetworkMode": "bridge", "PidMode": "", "IpcMode": "private", "Binds": ["data:/data", "/srv/www:/www:ro"],
            "Mounts": [{"Type": "volume", "Source": "cache", "Target": "/cache"}],
        },
    });
    assert_eq!(refusal(CREATE, &strict, Ok(Some(&body.to_string()))), None);
}

#[test]
fn a_path_reaches_the_socket_through_every_spelling_and_parent() {
    let cases = [
        ("/var/run/docker.sock", true),
        ("/var//run/./docker.sock", true),
        ("/srv/../run/docker.sock", true),
        ("/../run", true),
        ("/", true),
        ("/var", true),
        ("/run/user/1000/docker.sock", true),
        ("/var/lib/app", false),
        ("/running", false),
        ("docker.sock", false),
    ];
    for (path, expected) in cases {
        assert_eq!(reaches_socket(path), expected, "{path}");
    }
}

#[test]
fn the_message_names_what_was_asked_for() {
    let config = json!({"refuse": ["privileged", "host-namespaces", "docker-socket"]});
    let cases = [
        (
            json!({"Privileged": true}),
            "`HostConfig.Privileged` is not allowed here",
        ),
        (
            json!({"PidMode": "host"}),
            "`HostConfig.PidMode` of `host` is not allowed here",
        ),
        (
            json!({"Binds": ["/:/host"]}),
            "the path `/` with Docker's socket is not allowed here",
        ),
    ];
    for (host, expected) in cases {
        let body = json!({"HostConfig": host}).to_string();
        assert_eq!(
            refusal(CREATE, &config, Ok(Some(&body))).as_deref(),
            Some(expected)
        );
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused() {
    let cases = [
        (
            Err("longer than 4 MiB"),
            "the policy cannot read the body: longer than 4 MiB",
        ),
        (Ok(None), "the policy cannot read the body: it is not JSON"),
        (
            Ok(Some("{")),
            "the policy cannot read the body: it is not correct JSON",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(refusal(CREATE, &json!({}), body).as_deref(), Some(expected));
    }
}

#[test]
fn other_calls_proceed_unread() {
    let unreadable = Err("must not be read");
    for path in ["/containers/{container}/start", "/images/create", "/build"] {
        assert_eq!(refusal(path, &json!({}), unreadable), None, "{path}");
    }
    let call = testing::call("GET", "/containers/{container}/json");
    let verdict = testing::Flock::new().call(|| RefusePrivileged::handle(call));
    assert_eq!(verdict, Ok(Verdict::Proceed));
}

#[test]
fn a_misspelt_table_fails() {
    for table in [json!({"refuse": ["priviledged"]}), json!({"deny": []})] {
        let mut flock = testing::Flock::new().config(table).body(Ok(Some("{}")));
        let verdict = flock.call(|| RefusePrivileged::handle(testing::call("POST", CREATE)));
        assert!(matches!(verdict, Err(Error::Failed(_))), "{verdict:?}");
    }
}
