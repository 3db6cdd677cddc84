//! Published ports at the flock's address.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::{
    eventually,
    harness::{Answer, FakeDocker, Flockerd, Node, Scope, container, flock},
};

/// A server that answers with what it is named.
const SERVE: &str = "hostname > index.html; httpd -f -p 80";

/// A flockerd that forwards, at an address of its own: every one forwards for all the hosts, which others use too.
struct Forwarding {
    flockerd: Flockerd,
    address: Ipv4Addr,
}

impl Forwarding {
    fn start() -> Self {
        Self::with("")
    }

    fn with(toml: &str) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let address = Ipv4Addr::new(127, 0, 77, COUNT.fetch_add(1, Ordering::Relaxed));
        let flockerd = Flockerd::over_flock()
            .arg("--publish")
            .arg("forward")
            .toml(&format!("publish_address = \"{address}\""))
            .toml(toml)
            .start();
        Self { flockerd, address }
    }

    fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        connect(self.address, port)
    }

    fn is_open(&self, port: u16) -> bool {
        self.connect(port).is_ok()
    }

    fn serves(&self, port: u16, name: &str) -> bool {
        served(self.address, port).as_deref() == Some(name)
    }

    /// The port that `docker port` shows for port 80, if it is the flock's, and nothing else is shown.
    fn shown(&self, name: &str) -> Option<u16> {
        let text = self.docker(&["port", name]).ok();
        let number = text.strip_prefix(&format!("80/tcp -> {}:", self.address));
        number?.parse().ok()
    }
}

impl Deref for Forwarding {
    type Target = Flockerd;

    fn deref(&self) -> &Flockerd {
        &self.flockerd
    }
}

impl DerefMut for Forwarding {
    fn deref_mut(&mut self) -> &mut Flockerd {
        &mut self.flockerd
    }
}

/// A port that is free here, below those that the system and the daemons give by themselves.
fn free_port() -> u16 {
    loop {
        let any = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = 10_000 + any.local_addr().unwrap().port() % 20_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

fn connect(address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((address, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// The arguments of a container that serves under its name.
fn serve<'a>(name: &'a str, publish: &[&'a str]) -> Vec<&'a str> {
    let start = ["--name", name, "--hostname", name];
    [&start, publish, &["busybox", "sh", "-c", SERVE]].concat()
}

/// What is served at a port of this machine; none when nothing is.
fn served(address: Ipv4Addr, port: u16) -> Option<String> {
    let mut stream = connect(address, port).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.trim().to_owned())
}

/// The port on the container's host.
fn on_host(node: &Node, name: &str) -> u16 {
    let inspect = node
        .api()
        .get(&format!("/containers/{name}/json"))
        .expect(200)
        .json();
    let port = inspect["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].as_str();
    port.and_then(|port| port.parse().ok())
        .expect("a published port")
}

/// Makes a container that serves, on a host of the test's choice; it is not started.
#[track_caller]
fn create_on(node: &Node, name: &str, publish: &[&str]) {
    node.docker(&[&["create"], serve(name, publish).as_slice()].concat())
        .ok();
}

#[test]
fn a_fixed_port_is_the_flocks_while_its_container_runs() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let (name, port) = (scope.name("web"), free_port());
    let publish = format!("{port}:80");
    flockerd
        .docker(&[&["run", "-d"], serve(&name, &["-p", &publish]).as_slice()].concat())
        .ok();
    assert!(flockerd.is_open(port), "when docker says that it runs");
    eventually!(flockerd.serves(port, &name));

    assert_eq!(flockerd.shown(&name), Some(port));
    let filter = format!("name={name}");
    let ports = flockerd
        .docker(&["ps", "--filter", &filter, "--format", "{{.Ports}}"])
        .ok();
    let address = flockerd.address;
    assert_eq!(ports, format!("{address}:{port}->80/tcp"));
    let format = r#"{{json .NetworkSettings.Ports}} {{index .Config.Labels "flocker.backend"}}"#;
    let inspected = flockerd
        .docker(&["inspect", "--format", format, &name])
        .ok();
    let ports = json!({"80/tcp": [{"HostIp": address, "HostPort": port.to_string()}]});
    assert_eq!(inspected, format!("{ports} {}", flock().holder(&name).name));

    flockerd.docker(&["stop", "-t", "0", &name]).ok();
    eventually!(!flockerd.is_open(port));
    assert_eq!(flockerd.docker(&["port", &name]).ok(), "");
    flockerd.docker(&["start", &name]).ok();
    assert!(flockerd.is_open(port));
    eventually!(flockerd.serves(port, &name));
    flockerd.docker(&["restart", "-t", "0", &name]).ok();
    assert!(flockerd.is_open(port));
    eventually!(flockerd.serves(port, &name));
    flockerd.docker(&["rm", "-f", &name]).ok();
    eventually!(!flockerd.is_open(port));
}

#[test]
fn what_is_published_stays_open_over_a_restart_of_flockerd() {
    let scope = flock().shared();
    let mut flockerd = Forwarding::start();
    let [fixed, random] = ["fixed", "random"].map(|name| scope.name(name));
    let port = free_port();
    let publish = format!("{port}:80");
    flockerd
        .docker(&[&["run", "-d"], serve(&fixed, &["-p", &publish]).as_slice()].concat())
        .ok();
    let any = ["-P", "--expose", "80"];
    flockerd
        .docker(&[&["run", "-d"], serve(&random, &any).as_slice()].concat())
        .ok();
    let other = flockerd.shown(&random).expect("a port");
    eventually!(flockerd.serves(other, &random));
    flockerd.kill9();
    assert!(!flockerd.is_open(port) && !flockerd.is_open(other));
    flockerd.restart();
    assert_eq!(
        (flockerd.shown(&fixed), flockerd.shown(&random)),
        (Some(port), Some(other))
    );
    eventually!(flockerd.serves(port, &fixed));
    eventually!(flockerd.serves(other, &random));

    // What ended meanwhile is open no more.
    flockerd.kill9();
    flock().holder(&fixed).docker(&["rm", "-f", &fixed]).ok();
    flockerd.restart();
    eventually!(flockerd.serves(other, &random));
    eventually!(!flockerd.is_open(port));
}

#[test]
fn a_container_that_is_started_past_flockerd_appears_and_disappears() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let (name, port) = (scope.name("direct"), free_port());
    let node = flock().node("node2");
    create_on(node, &name, &["-p", &format!("{port}:80")]);
    node.docker(&["start", &name]).ok();
    eventually!(flockerd.serves(port, &name));
    assert_eq!(flockerd.shown(&name), Some(port));
    node.docker(&["rm", "-f", &name]).ok();
    eventually!(!flockerd.is_open(port));
}

#[test]
fn a_port_that_another_container_of_the_flock_has_is_refused_as_a_daemon_refuses() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let [first, second, third] = ["first", "second", "third"].map(|name| scope.name(name));
    let port = free_port();
    let publish = format!("{port}:80");
    create_on(flock().node("node1"), &first, &["-p", &publish]);
    create_on(flock().node("node2"), &second, &["-p", &publish]);
    create_on(flock().node("node1"), &third, &["-p", &publish]);
    flockerd.docker(&["start", &first]).ok();
    let start = |name: &str| format!("/containers/{name}/start");
    let ours = flockerd
        .api()
        .post(&start(&second), &json!({}))
        .expect(500)
        .message();
    let theirs = flock()
        .node("node1")
        .api()
        .post(&start(&third), &json!({}))
        .expect(500)
        .message();
    let ours = ours.replace(&flockerd.address.to_string(), "0.0.0.0");
    assert_eq!(without_ids(&ours, &second), without_ids(&theirs, &third));

    // As soon as the first is gone the port is free.
    flockerd.docker(&["rm", "-f", &first]).ok();
    flockerd.docker(&["start", &second]).ok();
    eventually!(flockerd.serves(port, &second));
    flock().node("node2").docker(&["rm", "-f", &second]).ok();
    flockerd.docker(&["start", &third]).ok();
    eventually!(flockerd.serves(port, &third));
}

/// A message with the container's name and the id of its endpoint left out.
fn without_ids(message: &str, name: &str) -> String {
    let is_id = |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = message
        .split(|c| "() ".contains(c))
        .filter(|word| !word.is_empty());
    let known = words.map(|word| {
        if word == name {
            "NAME"
        } else if is_id(word) {
            "ID"
        } else {
            word
        }
    });
    known.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_port_that_this_machine_has_is_refused_and_free_afterwards() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let (name, port) = (scope.name("web"), free_port());
    let [taken, other] = [port, free_port()].map(|port| format!("{port}:80"));
    let foreign = TcpListener::bind((flockerd.address, port)).unwrap();
    let both = ["--rm", "-p", &other, "-p", &taken];
    let run = [&["run", "-d"], serve(&name, &both).as_slice()].concat();
    let error = flockerd.docker(&run).fails(125);
    let address = flockerd.address;
    let words = format!("listen tcp4 {address}:{port}: bind: address already in use");
    assert!(error.contains(&words), "{error}");
    // `--rm` holds for what could not be started, and the port that could be had is given back.
    eventually!(flockerd.docker(&["inspect", &name]).code == 1);
    eventually!(!flockerd.is_open(other.trim_end_matches(":80").parse().unwrap()));
    drop(foreign);
    flockerd.docker(&run).ok();
    eventually!(flockerd.serves(port, &name));
}

#[test]
fn a_start_that_fails_gives_the_port_back() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let (name, port) = (scope.name("broken"), free_port());
    let publish = format!("{port}:80");
    let node = flock().node("node3");
    node.docker(&[
        "create",
        "--name",
        &name,
        "-p",
        &publish,
        "busybox",
        "/no/such/program",
    ])
    .ok();
    flockerd.docker(&["start", &name]).fails(1);
    assert!(!flockerd.is_open(port));
}

#[test]
fn two_hosts_with_one_number_have_two_at_the_flock() {
    let scope = flock().shared();
    let mut flockerd = Forwarding::start();
    let [first, second] = ["first", "second"].map(|name| scope.name(name));
    let port = free_port();
    let publish = format!("{port}:80");
    for (node, name) in [("node1", &first), ("node2", &second)] {
        create_on(flock().node(node), name, &["-p", &publish]);
    }
    flockerd.docker(&["start", &first]).ok();
    // Past flockerd nobody refuses it.
    flock().node("node2").docker(&["start", &second]).ok();
    let other = another(&flockerd, &second, port);
    eventually!(flockerd.serves(other, &second));
    eventually!(flockerd.serves(port, &first));
    flockerd.kill9();
    flockerd.restart();
    eventually!(flockerd.serves(other, &second));
    eventually!(flockerd.serves(port, &first));
}

#[test]
fn a_random_number_that_is_taken_becomes_another_and_stays_it() {
    let scope = flock().shared();
    let mut flockerd = Forwarding::start();
    flockerd.kill9();
    let (name, node) = (scope.name("random"), flock().node("node3"));
    create_on(node, &name, &["-P", "--expose", "80"]);
    node.docker(&["start", &name]).ok();
    let number = on_host(node, &name);
    let foreign = TcpListener::bind((flockerd.address, number)).unwrap();
    flockerd.restart();
    let other = another(&flockerd, &name, number);
    eventually!(flockerd.serves(other, &name));
    flockerd.kill9();
    drop(foreign);
    flockerd.restart();
    eventually!(flockerd.serves(other, &name));
    assert_eq!(flockerd.shown(&name), Some(other));
}

/// Waits until another port than this one is shown, and returns it.
#[track_caller]
fn another(flockerd: &Forwarding, name: &str, port: u16) -> u16 {
    let mut other = port;
    eventually!({
        other = flockerd.shown(name).unwrap_or(port);
        other != port
    });
    other
}

#[test]
fn much_goes_through_both_ways_and_each_side_may_end_first() {
    let scope = flock().shared();
    let flockerd = Forwarding::start();
    let sent: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let count = talker(&scope, &flockerd, "count", &["wc", "-c"]);
    assert_eq!(
        String::from_utf8(exchange(&flockerd, count, &sent)).unwrap(),
        "20000000\n"
    );
    let echo = talker(&scope, &flockerd, "echo", &["cat"]);
    assert!(exchange(&flockerd, echo, &sent) == sent);
}

/// Runs a container that gives every connection to a program; returns its port at the flock.
fn talker(scope: &Scope, flockerd: &Forwarding, name: &str, program: &[&str]) -> u16 {
    let name = scope.name(name);
    let run = [
        "run", "-d", "--name", &name, "-p", "80", "busybox", "nc", "-ll", "-p", "80", "-e",
    ];
    flockerd.docker(&[&run, program].concat()).ok();
    let port = flockerd.shown(&name).expect("a port");
    eventually!(exchange_once(flockerd, port, b"").is_ok());
    port
}

#[track_caller]
fn exchange(flockerd: &Forwarding, port: u16, sent: &[u8]) -> Vec<u8> {
    exchange_once(flockerd, port, sent).unwrap()
}

/// Sends everything, ends its side, and reads what comes until the other one ends too.
fn exchange_once(flockerd: &Forwarding, port: u16, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = flockerd.connect(port)?;
    let mut writer = stream.try_clone()?;
    let mut heard = Vec::new();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            writer.write_all(sent)?;
            writer.shutdown(Shutdown::Write)
        });
        stream.read_to_end(&mut heard)?;
        writing.join().unwrap()
    })?;
    Ok(heard)
}

#[test]
fn a_host_that_loses_power_has_its_ports_closed_when_it_is_back() {
    let mut scope = flock().exclusive();
    let flockerd = Forwarding::with("probe_interval = \"300ms\"\nbackend_timeout = \"1s\"");
    let (name, port) = (scope.name("web"), free_port());
    let node = flock().node("node3");
    create_on(node, &name, &["-p", &format!("{port}:80")]);
    flockerd.docker(&["start", &name]).ok();
    eventually!(flockerd.serves(port, &name));
    let mut open = flockerd.connect(port).unwrap();
    scope.stop(node);
    eventually!(served(flockerd.address, port).is_none());
    let ended = open.read(&mut [0]).map_err(|error| error.kind());
    assert!(
        matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "{ended:?}"
    );
    scope.start(node);
    eventually!(!flockerd.is_open(port));
    flockerd.docker(&["start", &name]).ok();
    eventually!(flockerd.serves(port, &name));
}

#[test]
fn a_drain_closes_the_ports_and_cuts_what_goes_through_them_at_its_end() {
    let scope = flock().shared();
    let mut flockerd = Forwarding::with("grace = \"2s\"");
    let port = talker(&scope, &flockerd, "echo", &["cat"]);
    let mut stream = flockerd.connect(port).unwrap();
    let mut echo = |text: &[u8; 4]| {
        let mut heard = [0; 4];
        stream
            .write_all(text)
            .and_then(|()| stream.read_exact(&mut heard))
            .map(|()| heard)
    };
    assert_eq!(echo(b"baah").unwrap(), *b"baah");
    flockerd.signal("TERM");
    eventually!(!flockerd.is_open(port));
    assert_eq!(echo(b"bleh").unwrap(), *b"bleh");
    assert_eq!(flockerd.wait(), 0);
    assert!(echo(b"gone").is_err());
}

#[test]
fn without_an_address_ports_are_open_at_all_of_this_machine() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock()
        .env("FLOCKERD_PUBLISH", "forward")
        .start();
    let (name, port) = (scope.name("web"), free_port());
    let publish = format!("{port}:80");
    flockerd
        .docker(&[&["run", "-d"], serve(&name, &["-p", &publish]).as_slice()].concat())
        .ok();
    eventually!(served(Ipv4Addr::LOCALHOST, port).as_deref() == Some(&name));
    let ports = flockerd.docker(&["port", &name]).ok();
    assert_eq!(ports, format!("80/tcp -> 0.0.0.0:{port}"));
}

#[test]
fn nothing_is_forwarded_unless_it_is_wanted() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let (name, port) = (scope.name("web"), free_port());
    let publish = format!("{port}:80");
    flockerd
        .docker(&[&["run", "-d"], serve(&name, &["-p", &publish]).as_slice()].concat())
        .ok();
    let node = flock().holder(&name);
    assert!(connect(Ipv4Addr::LOCALHOST, port).is_err());
    assert_eq!(
        flockerd.docker(&["port", &name]).ok(),
        node.docker(&["port", &name]).ok()
    );
}

#[test]
fn the_ports_of_a_daemon_on_this_machine_are_left_alone() {
    let mut web = container('a', &["/web"]);
    let port = free_port();
    web["Ports"] = json!([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"}]);
    let fake = FakeDocker::with(&[web.clone()]);
    fake.on("POST /containers/web/start", Answer::Json(204, json!(null)));
    let flockerd = Flockerd::over_fakes(&[&fake])
        .arg("--publish")
        .arg("forward")
        .start();
    assert_eq!(
        flockerd.api().get("/containers/json").json()[0]["Ports"],
        web["Ports"]
    );
    flockerd
        .api()
        .post("/containers/web/start", &json!({}))
        .expect(204);
    assert!(connect(Ipv4Addr::LOCALHOST, port).is_err());
    assert!(
        fake.asked(&format!("GET /containers/{}/json", "a".repeat(64)))
            .is_empty()
    );
}
