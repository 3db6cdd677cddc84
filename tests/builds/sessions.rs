//! The connections of BuildKit's clients, byte by byte.

use std::io::Write;

use crate::harness::{Answer, Connection, FakeDocker, Flockerd, container, flock};

/// What an HTTP/2 client sends first: the preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Asks as buildx does: no version, an empty Host.
fn open(flockerd: &Flockerd, path: &str, headers: &str) -> Connection {
    let mut connection = flockerd.api().connect();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost:\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{headers}\r\n"
    );
    connection.send(head.as_bytes());
    connection
}

#[test]
fn grpc_speaks_http2_after_the_101() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for path in ["/grpc", "/v1.41/grpc"] {
        let mut grpc = open(&flockerd, path, "");
        let head = grpc.head().expect(101);
        assert_eq!(head.header("upgrade"), Some("h2c"));
        grpc.send(PREFACE);
        let frame = grpc.exactly(9);
        assert_eq!(frame[3], 4, "not SETTINGS: {frame:?}");
        let length = usize::from(frame[2]);
        grpc.exactly(length);
        grpc.half_close();
        grpc.until_closed();
    }
}

/// buildx opens two of these and closes them before it says anything.
#[test]
fn a_grpc_connection_that_says_nothing_ends() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for _ in 0..2 {
        let mut grpc = open(&flockerd, "/grpc", "");
        grpc.head().expect(101);
        grpc.half_close();
        grpc.until_closed();
    }
}

/// The daemon is the client here and speaks first.
#[test]
fn a_session_is_spoken_to_by_the_daemon() {
    let _scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let headers = "X-Docker-Expose-Session-Uuid: abc\r\nX-Docker-Expose-Session-Name: x\r\n\
                   X-Docker-Expose-Session-Grpc-Method: /grpc.health.v1.Health/Check\r\n";
    let mut session = open(&flockerd, "/session", headers);
    session.head().expect(101);
    assert_eq!(session.exactly(24), &PREFACE[..24]);
}

/// Scripted daemons that take every BuildKit connection and close it.
fn builders() -> [FakeDocker; 3] {
    let upgraded = Answer::talk(|_, mut stream| {
        let head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
        let _ = stream.write_all(head);
    });
    [(); 3].map(|()| {
        let fake = FakeDocker::start();
        fake.on("POST /grpc", upgraded.clone());
        fake.on("POST /session", upgraded.clone());
        fake.on(
            "POST /build",
            Answer::Progress(serde_json::json!({"stream": "built\n"})),
        );
        fake
    })
}

/// How many of the builders were asked for any of these.
fn asked(fakes: &[FakeDocker; 3]) -> Vec<usize> {
    let calls = |fake: &FakeDocker| {
        let paths = ["POST /grpc", "POST /session", "POST /build"];
        paths.iter().map(|path| fake.asked(path).len()).sum()
    };
    fakes.iter().map(calls).filter(|count| *count > 0).collect()
}

#[test]
fn every_call_of_one_build_goes_to_one_host() {
    // The first call decides, whichever it is: CLI 20.10 sends the build before its session.
    for first in [
        "/grpc",
        "/session",
        "/build?version=2&session=abc&remote=client-session&buildid=b",
    ] {
        let fakes = builders();
        let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1], &fakes[2]]).start();
        let uuid = "X-Docker-Expose-Session-Uuid: abc\r\n";
        let call = |path: &str| {
            if path.contains("/build") {
                flockerd.api().call("POST", path, None).expect(200);
            } else {
                let mut connection = open(&flockerd, path, uuid);
                connection.head().expect(101);
                connection.until_closed();
            }
        };
        call(first);
        // The host that was chosen is now the fullest.
        let builder = fakes
            .iter()
            .find(|fake| fake.requests().iter().any(|r| r.method == "POST"))
            .unwrap();
        for id in ['a', 'b'] {
            builder.add(container(id, &[&format!("/{id}")]));
        }
        flockerd.api().get("/containers/json").expect(200);
        for path in [
            "/grpc",
            "/grpc",
            "/session",
            "/v1.41/session",
            "/build?version=2&session=abc",
            "/grpc",
            "/v1.41/build?t=x",
        ] {
            call(path);
        }
        assert_eq!(asked(&fakes), [8], "after {first}");
    }
}

#[test]
fn an_image_that_is_loaded_after_a_build_is_beside_it() {
    let fakes = builders();
    for fake in &fakes {
        fake.on(
            "POST /images/load",
            Answer::Progress(serde_json::json!({"stream": "Loaded image: x:1\n"})),
        );
    }
    let flockerd = Flockerd::over_fakes(&[&fakes[0], &fakes[1], &fakes[2]]).start();
    flockerd.api().call("POST", "/build", None).expect(200);
    let builder = fakes
        .iter()
        .position(|fake| !fake.asked("POST /build").is_empty())
        .unwrap();
    for id in ['a', 'b'] {
        fakes[builder].add(container(id, &[&format!("/{id}")]));
    }
    flockerd.api().get("/containers/json").expect(200);
    flockerd
        .api()
        .call("POST", "/images/load", None)
        .expect(200);
    assert_eq!(fakes[builder].asked("POST /images/load").len(), 1);
}
