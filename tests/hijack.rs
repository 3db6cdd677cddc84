//! Connections that leave HTTP, stay open or are given up, byte by byte.

use std::{io::Write, process::Command};

use serde_json::{Value, json};

use crate::{
    eventually, fronts,
    harness::{
        Answer, Connection, FakeDocker, Flockerd, Front, Output, Scope, container, flock, run,
    },
    run::start,
};

fronts!(
    a_half_closed_attach_still_reads,
    what_is_sent_before_the_101_is_not_lost,
    an_exec_without_upgrade_is_answered_200_and_still_goes_both_ways,
    wait_answers_its_head_before_the_start,
    attaching_to_an_unknown_container_is_refused_as_a_daemon_does,
    a_connection_serves_call_after_call,
    a_body_that_nobody_wants_costs_no_connection,
    a_body_announced_with_expect_is_taken,
    detaching_leaves_the_container_running,
);

const UPGRADE: [(&str, &str); 2] = [("Connection", "Upgrade"), ("Upgrade", "tcp")];

fn a_half_closed_attach_still_reads(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = create(
        &flockerd,
        &scope,
        "half",
        json!({"Cmd": ["sh", "-c", "cat; sleep 0.3; echo bye"]}),
    );
    let mut attach = attach(&flockerd, &id);
    assert_eq!(
        attach.head().expect(101).header("content-type"),
        Some("application/vnd.docker.raw-stream")
    );
    flockerd
        .api()
        .post(&format!("/containers/{id}/start"), &Value::Null)
        .expect(204);
    attach.send(b"hello\n");
    attach.half_close();
    assert_eq!(frames(&attach.rest()), b"hello\nbye\n");
}

fn what_is_sent_before_the_101_is_not_lost(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = create(&flockerd, &scope, "early", json!({"Cmd": ["cat"]}));
    let mut attach = flockerd.api().connect();
    let head = format!(
        "POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    );
    attach.send(&[head.as_bytes(), b"early bird\n"].concat());
    attach.half_close();
    attach.head().expect(101);
    flockerd
        .api()
        .post(&format!("/containers/{id}/start"), &Value::Null)
        .expect(204);
    assert_eq!(frames(&attach.rest()), b"early bird\n");
}

fn an_exec_without_upgrade_is_answered_200_and_still_goes_both_ways(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("plain");
    flockerd.sleeper(&scope, &name);
    let exec =
        json!({"AttachStdin": true, "AttachStdout": true, "Cmd": ["sh", "-c", "cat; echo bye"]});
    let exec = flockerd
        .api()
        .post(&format!("/containers/{name}/exec"), &exec)
        .expect(201)
        .json();
    let mut plain = flockerd.api().connect();
    let body = br#"{"Detach":false,"Tty":false}"#;
    plain.request(
        "POST",
        &format!("/exec/{}/start", exec["Id"].as_str().unwrap()),
        &[],
        body,
    );
    let head = plain.head().expect(200);
    assert_eq!(
        (
            head.header("content-length"),
            head.header("transfer-encoding")
        ),
        (None, None)
    );
    plain.send(b"hello\n");
    plain.half_close();
    assert_eq!(frames(&plain.rest()), b"hello\nbye\n");
}

fn wait_answers_its_head_before_the_start(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = create(
        &flockerd,
        &scope,
        "waited",
        json!({"Cmd": ["sh", "-c", "exit 4"]}),
    );
    let mut wait = flockerd.api().connect();
    wait.request(
        "POST",
        &format!("/v1.41/containers/{id}/wait?condition=next-exit"),
        &[],
        b"",
    );
    let head = wait.head().expect(200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    flockerd
        .api()
        .post(&format!("/containers/{id}/start"), &Value::Null)
        .expect(204);
    let body: Value = serde_json::from_slice(&wait.chunk().expect("the body")).unwrap();
    assert_eq!(body["StatusCode"], 4);
}

fn attaching_to_an_unknown_container_is_refused_as_a_daemon_does(front: Front) {
    let _scope = flock().shared();
    let flockerd = start(front);
    let path = "/v1.41/containers/nobody/attach?stream=1&stdout=1";
    let refused = |mut connection: Connection| {
        connection.request("POST", path, &UPGRADE, b"");
        connection.reply().expect(404).text()
    };
    assert!(refused(flockerd.api().connect()).contains("No such container: nobody"));
    assert!(refused(flock().nodes[0].api().connect()).contains("No such container: nobody"));
}

fn a_connection_serves_call_after_call(front: Front) {
    let fakes = [
        FakeDocker::with(&[container('a', &["/a"])]),
        FakeDocker::with(&[container('b', &["/b"])]),
    ];
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1]])
        .front(front)
        .start();
    let mut connection = flockerd.api().connect();
    for name in ["a", "b", "a", "b"] {
        connection.request("GET", &format!("/containers/{name}/json"), &[], b"");
        assert_eq!(
            connection.reply().expect(200).json()["Name"],
            format!("/{name}")
        );
    }
    // All at once, answered in order.
    let head = |name| format!("GET /containers/{name}/json HTTP/1.1\r\nHost: d\r\n\r\n");
    connection.send(format!("{}{}{}", head("b"), head("nobody"), head("a")).as_bytes());
    assert_eq!(connection.reply().json()["Name"], "/b");
    assert_eq!(connection.reply().status, 404);
    assert_eq!(connection.reply().json()["Name"], "/a");
}

fn a_body_that_nobody_wants_costs_no_connection(front: Front) {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).front(front).start();
    let head = |length: usize| {
        format!(
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut connection = flockerd.api().connect();
    // The body comes by itself, mostly after the head has been refused.
    for _ in 0..20 {
        connection.send(head(2).as_bytes());
        connection.send(b"{}");
        let reply = connection.reply().expect(400);
        assert_eq!(reply.header("connection"), None);
    }
    // Too much of it, and what never comes, is not waited for.
    for length in [1 << 20, 2] {
        let mut connection = flockerd.api().connect();
        connection.send(head(length).as_bytes());
        if length > 2 {
            connection.send(&vec![b' '; 300 << 10]);
        }
        let reply = connection.reply().expect(400);
        assert_eq!(reply.header("connection"), Some("close"));
        assert_eq!(connection.until_closed(), b"");
    }
}

fn a_body_announced_with_expect_is_taken(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let name = scope.name("expects");
    flockerd.sleeper(&scope, &name);
    let output: Output = run(
        Command::new("tar").args(["-C", "/etc", "-c", "hostname"]),
        b"",
    );
    let head = |container: &str| {
        format!(
            "PUT /containers/{container}/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            output.bytes.len()
        )
    };
    let mut connection = flockerd.api().connect();
    connection.send(head(&name).as_bytes());
    connection.head().expect(100);
    connection.send(&output.bytes);
    connection.reply().expect(200);
    flockerd
        .docker(&["exec", &name, "test", "-e", "/tmp/hostname"])
        .ok();
    // One that cannot be taken is refused before it is sent.
    let mut connection = flockerd.api().connect();
    connection.send(head("nobody").as_bytes());
    connection.reply().expect(404);
}

fn detaching_leaves_the_container_running(front: Front) {
    let scope = flock().shared();
    let flockerd = start(front);
    let id = create(
        &flockerd,
        &scope,
        "detached",
        json!({"Cmd": ["sh", "-c", "cat; sleep 600"]}),
    );
    let mut attach = attach(&flockerd, &id);
    attach.head().expect(101);
    flockerd
        .api()
        .post(&format!("/containers/{id}/start"), &Value::Null)
        .expect(204);
    attach.send(b"one\n");
    assert_eq!(frames(&attach.exactly(12)), b"one\n");
    drop(attach);
    assert_eq!(
        flockerd
            .docker(&["inspect", "--format", "{{.State.Running}}", &id])
            .ok(),
        "true"
    );
}

#[test]
fn a_client_that_hangs_up_cancels_its_call_at_the_daemon() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    // The container may be asked for by name or by id.
    fake.on("POST /containers/*", Answer::Follow);
    fake.on("GET /containers/web/logs", Answer::Follow);
    fake.on(
        &format!("GET /containers/{}/logs", "a".repeat(64)),
        Answer::Follow,
    );
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    for (method, path) in [("POST", "wait"), ("GET", "logs")] {
        let mut connection = flockerd.api().connect();
        connection.request(
            method,
            &format!("/containers/web/{path}?follow=1&stdout=1"),
            &[],
            b"",
        );
        connection.head().expect(200);
        drop(connection);
        eventually!(
            fake.hangups()
                .iter()
                .any(|hangup| hangup.starts_with(method) && hangup.ends_with(path))
        );
    }
}

#[test]
fn a_client_that_hangs_up_before_any_answer_cancels_its_call_at_the_daemon() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    fake.on("POST /containers/*", Answer::Hang);
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut connection = flockerd.api().connect();
    connection.request("POST", "/containers/web/stop?t=600", &[], b"");
    eventually!(!fake.asked("POST /containers/*").is_empty());
    drop(connection);
    eventually!(
        fake.hangups()
            .iter()
            .any(|hangup| hangup.ends_with("/stop"))
    );
}

/// Creates a container with its input open.
fn create(flockerd: &Flockerd, scope: &Scope, name: &str, mut config: Value) -> String {
    let fixed = json!({"Image": "busybox", "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true});
    config
        .as_object_mut()
        .unwrap()
        .extend(fixed.as_object().unwrap().clone());
    let path = format!("/containers/create?name={}", scope.name(name));
    flockerd.api().post(&path, &config).expect(201).json()["Id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn attach(flockerd: &Flockerd, id: &str) -> Connection {
    let mut attach = flockerd.api().connect();
    attach.request(
        "POST",
        &format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1"),
        &UPGRADE,
        b"",
    );
    attach
}

/// The payload of Docker's frames: a byte for the stream, three of nothing, four of length.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        payload.write_all(&rest[..length]).unwrap();
        bytes = &rest[length..];
    }
    payload
}
