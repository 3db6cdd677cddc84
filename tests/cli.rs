//! The command line: flags, file and environment, what `check` says, and how mistakes are told.

use std::{net::TcpListener, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    eventually,
    harness::{
        Answer, FakeDocker, Flockerd, Front, Output, Target, binary, container, plugin, run,
    },
};

/// Runs the binary with these arguments in a folder of its own.
#[track_caller]
fn flockerd(args: &[&str], config: &str) -> Output {
    let home = TempDir::new().unwrap();
    let file = home.path().join("flockerd.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = binary(home.path());
    command.args(args);
    if !config.is_empty() {
        command.arg("--config").arg(file);
    }
    run(&mut command, b"")
}

/// A mistake ends with exit code 2, `error: ...` and `hint: ...`, and these words among them.
#[track_caller]
fn is_told(args: &[&str], config: &str, words: &[&str]) {
    let errors = flockerd(args, config).fails(2);
    assert!(
        errors.lines().any(|line| line.starts_with("error: ")),
        "{errors}"
    );
    assert!(
        errors.lines().any(|line| line.starts_with("hint: ")),
        "{errors}"
    );
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in:\n{errors}");
    }
}

#[test]
fn a_bad_flag_is_told() {
    is_told(&["--plugni", "x.wasm"], "", &["--plugni", "--plugin"]);
    is_told(&["--pull", "sometimes"], "", &["sometimes"]);
    is_told(&["--backend-timeout", "soon"], "", &["soon"]);
    is_told(&["--listen", "http://x"], "", &["http://x"]);
    is_told(&["bogus"], "", &["bogus"]);
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_one() {
    is_told(
        &[],
        "state = \"memory\"\nlisen = [\"tcp://127.0.0.1:0\"]\n",
        &["lisen", "listen", "2"],
    );
    is_told(
        &[],
        "[[backend]]\nname = \"a\"\nadress = \"tcp://h:1\"\n",
        &["adress", "address", "3"],
    );
    is_told(
        &["check"],
        "[[plugin]]\npath = \"x.wasm\"\non_failur = \"skip\"\n",
        &["on_failur", "on_failure", "3"],
    );
}

#[test]
fn a_wrong_value_is_told_with_its_line() {
    is_told(
        &[],
        "state = \"memory\"\nprobe_interval = \"soon\"\n",
        &["soon", "2"],
    );
    is_told(&[], "pull = \"never\"\n", &["never", "1"]);
    is_told(&[], "[[backend]]\nname = \"a\"\n", &["address"]);
    is_told(&[], "state = ", &["1"]);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    is_told(
        &["--config", "/no/such/flockerd.toml"],
        "",
        &["/no/such/flockerd.toml"],
    );
    is_told(
        &["--plugin", "/no/such/route.wasm"],
        "",
        &["/no/such/route.wasm"],
    );
}

#[test]
fn two_backends_of_one_name_are_told() {
    is_told(
        &["--backend", "a=tcp://h:1", "--backend", "a=tcp://i:1"],
        "",
        &["a"],
    );
    is_told(
        &["--backend", "tcp://h:1", "--backend", "tcp://h:2"],
        "",
        &["h"],
    );
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    is_told(
        &[
            "--listen",
            &format!("tcp://{address}"),
            "--backend",
            "tcp://127.0.0.1:1",
        ],
        "",
        &[&address],
    );
}

#[test]
fn check_has_a_line_for_every_part_and_fails_when_one_does() {
    let fake = FakeDocker::start();
    let backend = format!("good=tcp://{}", fake.address);
    let plugin = plugin("spread");
    let plugin = plugin.to_str().unwrap();
    let said = flockerd(&["check", "--backend", &backend, "--plugin", plugin], "").ok();
    assert!(said.lines().any(|line| line.contains("good")), "{said}");
    assert!(
        said.lines()
            .any(|line| line.contains("spread") && line.contains("route")),
        "{said}"
    );
    let output = flockerd(
        &[
            "check",
            "--backend",
            &backend,
            "--backend",
            "bad=tcp://127.0.0.1:1",
        ],
        "",
    );
    assert_eq!(output.code, 1, "{}", output.text());
    assert!(
        output.text().lines().any(|line| line.contains("bad")),
        "{}",
        output.text()
    );
}

#[test]
fn a_flag_beats_the_environment_and_the_environment_beats_the_file() {
    let fakes = ['a', 'b', 'c'].map(|id| FakeDocker::with(&[container(id, &[&format!("/{id}")])]));
    let backend = |i: usize| format!("n=tcp://{}", fakes[i].address);
    let file = format!(
        "[[backend]]\nname = \"n\"\naddress = \"tcp://{}\"",
        fakes[0].address
    );
    let seen = |flockerd: Flockerd| {
        let list = flockerd.api().get("/containers/json").json();
        assert_eq!(list.as_array().unwrap().len(), 1);
        list[0]["Id"].as_str().unwrap()[..1].to_owned()
    };
    assert_eq!(seen(Flockerd::builder().toml(&file).start()), "a");
    assert_eq!(
        seen(
            Flockerd::builder()
                .toml(&file)
                .env("FLOCKERD_BACKEND", &backend(1))
                .start()
        ),
        "b"
    );
    let all = Flockerd::builder()
        .toml(&file)
        .env("FLOCKERD_BACKEND", &backend(1))
        .backend(&backend(2));
    assert_eq!(seen(all.start()), "c");
}

#[test]
fn without_a_backend_the_local_daemon_is_used() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let flockerd = Flockerd::builder()
        .env("DOCKER_HOST", &format!("tcp://{}", fake.address))
        .start();
    assert_eq!(
        flockerd
            .api()
            .get("/containers/json")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn backends_without_a_name_are_called_after_their_host() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let flockerd = Flockerd::builder().backend(&fake.address).start();
    flockerd
        .api()
        .get("/containers/web@127.0.0.1/json")
        .expect(200);
}

#[test]
fn it_listens_on_tcp_and_unix_at_once() {
    let fake = FakeDocker::start();
    let folder = TempDir::new().unwrap();
    let socket = format!("unix://{}", folder.path().join("s").display());
    let flockerd = Flockerd::over_fakes(&[&fake])
        .arg("--listen")
        .arg(&socket)
        .start();
    flockerd.api().get("/_ping").expect(200);
    eventually!(folder.path().join("s").exists());
    Target::parse(&socket).get("/_ping").expect(200);
}

#[test]
fn it_starts_again_over_the_socket_a_crash_left() {
    let fake = FakeDocker::start();
    let mut flockerd = Flockerd::over_fakes(&[&fake]).front(Front::Unix).start();
    flockerd.kill9();
    flockerd.restart();
    flockerd.api().get("/_ping").expect(200);
    assert_eq!(flockerd.terminate(), 0);
    assert!(!Path::new(flockerd.host.trim_start_matches("unix://")).exists());
}

#[test]
fn state_is_kept_under_the_state_folder_by_default() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    assert!(flockerd.home().join("state/flockerd/state.redb").exists());
}

#[test]
fn a_call_under_way_is_finished_before_the_end() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    let top = Answer::Json(200, json!({"Titles": ["PID"], "Processes": []}));
    fake.on(
        "GET /containers/web/top",
        Answer::Gated(Box::new(top.clone())),
    );
    fake.on(
        &format!("GET /containers/{}/top", "a".repeat(64)),
        Answer::Gated(Box::new(top)),
    );
    let mut flockerd = Flockerd::over_fakes(&[&fake]).start();
    let mut call = flockerd.api().connect();
    call.request("GET", "/containers/web/top", &[], b"");
    eventually!(
        fake.requests()
            .iter()
            .any(|request| request.path.ends_with("/top"))
    );
    flockerd.signal("TERM");
    let Target::Tcp(address) = flockerd.api() else {
        panic!("tcp is the default")
    };
    eventually!(std::net::TcpStream::connect(&address).is_err());
    fake.open();
    assert_eq!(call.reply().expect(200).json()["Titles"][0], "PID");
    assert_eq!(flockerd.wait(), 0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let fake = FakeDocker::with(&[container('a', &["/web"])]);
    fake.on("GET /containers/web/top", Answer::Hang);
    fake.on(
        &format!("GET /containers/{}/top", "a".repeat(64)),
        Answer::Hang,
    );
    let mut flockerd = Flockerd::over_fakes(&[&fake])
        .toml("grace = \"10m\"")
        .start();
    let mut call = flockerd.api().connect();
    call.request("GET", "/containers/web/top", &[], b"");
    eventually!(
        fake.requests()
            .iter()
            .any(|request| request.path.ends_with("/top"))
    );
    flockerd.signal("INT");
    let Target::Tcp(address) = flockerd.api() else {
        panic!("tcp is the default")
    };
    eventually!(std::net::TcpStream::connect(&address).is_err());
    flockerd.signal("INT");
    flockerd.wait();
}
