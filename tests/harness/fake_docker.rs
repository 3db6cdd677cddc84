//! A scripted Docker daemon: answers as told, misbehaves as told, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, Weak},
    thread,
};

use serde_json::{Value, json};

use super::poll::DEADLINE;

/// How one request is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    Json(u16, Value),
    /// An object of progress in a chunked answer, as pulls are answered.
    Progress(Value),
    /// These bytes instead of an HTTP answer, then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is reset in the middle of the answer.
    Cut(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Hang,
    /// A chunked head at once and then nothing until the client hangs up, which is remembered.
    Follow,
    /// What this function writes; the connection is closed when it returns.
    Talk(Talk),
    /// Another answer, once [`FakeDocker::open`] was called.
    Gated(Box<Answer>),
}

/// Answers a request on its connection.
type Talk = Arc<dyn Fn(&Request, TcpStream) + Send + Sync>;

impl Answer {
    /// An error in Docker's form.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::Json(status, json!({ "message": message }))
    }

    pub(crate) fn talk(talk: impl Fn(&Request, TcpStream) + Send + Sync + 'static) -> Self {
        Self::Talk(Arc::new(talk))
    }
}

/// What the daemon was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the version prefix and the query: `/containers/json`.
    pub(crate) path: String,
    /// As it was sent: `/v1.41/containers/json?all=1`.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// `POST /containers/create`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Reads one; none at the end of the connection. An upgrading request has no body.
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" if lines.is_empty() => {}
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut first = lines[0].split(' ').map(str::to_owned);
        let (method, target) = (first.next()?, first.next()?);
        let split = |line: &String| {
            line.split_once(':')
                .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        };
        let headers = lines[1..].iter().filter_map(split).collect();
        let path = strip_version(target.split('?').next().unwrap_or_default()).to_owned();
        let mut request = Self {
            method,
            path,
            target,
            headers,
            body: Vec::new(),
        };
        request.body = request.read_body(stream)?;
        Some(request)
    }

    fn read_body(&self, stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
        if self.header("transfer-encoding").is_some() {
            return read_chunks(stream);
        }
        let length = self
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some(body)
    }
}

/// The daemon; it is gone when dropped.
pub(crate) struct FakeDocker {
    /// `127.0.0.1:40000`
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<Vec<(String, Answer)>>,
    containers: Mutex<Vec<Value>>,
    requests: Mutex<Vec<Request>>,
    hangups: Mutex<Vec<String>>,
    listeners: Mutex<Vec<Weak<TcpStream>>>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    gate: (Mutex<bool>, Condvar),
    gone: Mutex<bool>,
}

impl FakeDocker {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if *serving.gone.lock().unwrap() {
                    return;
                }
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// With containers as `/containers/json` lists them.
    pub(crate) fn with(containers: &[Value]) -> Self {
        let fake = Self::start();
        *fake.shared.containers.lock().unwrap() = containers.to_vec();
        fake
    }

    /// Scripts the answer to `GET /info`; a path that ends in `*` stands for all that begin so, and the rule given last
    /// wins.
    pub(crate) fn on(&self, line: &str, answer: Answer) {
        self.shared
            .script
            .lock()
            .unwrap()
            .insert(0, (line.to_owned(), answer));
    }

    /// Lets gated answers go.
    pub(crate) fn open(&self) {
        *self.shared.gate.0.lock().unwrap() = true;
        self.shared.gate.1.notify_all();
    }

    /// Adds a container to the list.
    pub(crate) fn add(&self, container: Value) {
        self.shared.containers.lock().unwrap().push(container);
    }

    /// Sends an event to whoever listens.
    pub(crate) fn emit(&self, event: &Value) {
        let line = format!("{event}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        for listener in self
            .shared
            .listeners
            .lock()
            .unwrap()
            .iter()
            .filter_map(Weak::upgrade)
        {
            let _ = (&*listener).write_all(chunk.as_bytes());
        }
    }

    /// Closes every connection, as a daemon does that restarts.
    pub(crate) fn hang_up(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            if let Some(connection) = connection.upgrade() {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }

    /// How many connections listen to the events.
    pub(crate) fn listeners(&self) -> usize {
        self.shared
            .listeners
            .lock()
            .unwrap()
            .iter()
            .filter(|listener| listener.strong_count() > 0)
            .count()
    }

    /// What was asked with this method and path.
    pub(crate) fn asked(&self, line: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| matches(line, &request.line()))
            .collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The requests whose client hung up before [`Answer::Follow`] or [`Answer::Hang`] ended.
    pub(crate) fn hangups(&self) -> Vec<String> {
        self.shared.hangups.lock().unwrap().clone()
    }
}

impl Drop for FakeDocker {
    fn drop(&mut self) {
        *self.shared.gone.lock().unwrap() = true;
        self.open();
        self.hang_up();
        // Wakes the accepting thread, which then ends and closes the listener.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        // A second handle for as long as the connection is served, and no longer: the last one to go closes it.
        let handle = Arc::new(stream.try_clone().unwrap());
        self.connections
            .lock()
            .unwrap()
            .push(Arc::downgrade(&handle));
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream) {
            self.requests.lock().unwrap().push(request.clone());
            let answer = self.answer(&request);
            if !self.give(&request, answer, &mut stream) {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let script = self.script.lock().unwrap();
        let rule = script
            .iter()
            .find(|(line, _)| matches(line, &request.line()));
        rule.map_or_else(|| self.usual(request), |(_, answer)| answer.clone())
    }

    /// What a daemon with these containers and nothing else would say.
    fn usual(&self, request: &Request) -> Answer {
        let containers = self.containers.lock().unwrap().clone();
        match request.line().as_str() {
            "GET /_ping" | "HEAD /_ping" => Answer::Json(200, json!("OK")),
            "GET /version" => Answer::Json(200, version()),
            "GET /info" => Answer::Json(200, info(&containers)),
            "GET /containers/json" => Answer::Json(200, Value::Array(containers)),
            "GET /images/json" | "GET /networks" => Answer::Json(200, json!([])),
            "GET /volumes" => Answer::Json(200, json!({"Volumes": [], "Warnings": null})),
            line => match container_of(&request.path) {
                Some(reference) => inspect(&containers, line, reference),
                None => Answer::error(404, "page not found"),
            },
        }
    }

    /// Returns whether the connection goes on.
    fn give(&self, request: &Request, answer: Answer, stream: &mut BufReader<TcpStream>) -> bool {
        match answer {
            _ if request.line() == "GET /events"
                && !matches!(answer, Answer::Hang | Answer::Cut(_) | Answer::Bytes(_)) =>
            {
                self.follow_events(stream)
            }
            Answer::Json(status, body) => write_json(stream.get_mut(), request, status, &body),
            Answer::Progress(object) => {
                let line = format!("{object}\r\n");
                let chunks = format!("{}{:x}\r\n{line}\r\n0\r\n\r\n", chunked_head(), line.len());
                stream.get_mut().write_all(chunks.as_bytes()).is_ok()
            }
            Answer::Bytes(bytes) => stream
                .get_mut()
                .write_all(&bytes)
                .and(Ok(false))
                .unwrap_or(false),
            Answer::Cut(bytes) => cut(stream.get_mut(), &bytes),
            Answer::Hang => self.until_hangup(request, stream),
            Answer::Follow => {
                let head = chunked_head();
                stream.get_mut().write_all(head.as_bytes()).is_ok()
                    && self.until_hangup(request, stream)
            }
            Answer::Talk(talk) => {
                talk(request, stream.get_ref().try_clone().unwrap());
                false
            }
            Answer::Gated(answer) => {
                let (open, opened) = &self.gate;
                drop(
                    opened
                        .wait_timeout_while(open.lock().unwrap(), DEADLINE, |open| !*open)
                        .unwrap(),
                );
                self.give(request, *answer, stream)
            }
        }
    }

    fn follow_events(&self, stream: &mut BufReader<TcpStream>) -> bool {
        if stream
            .get_mut()
            .write_all(chunked_head().as_bytes())
            .is_ok()
        {
            let listener = Arc::new(stream.get_ref().try_clone().unwrap());
            self.listeners
                .lock()
                .unwrap()
                .push(Arc::downgrade(&listener));
            let _ = stream.read(&mut [0]);
        }
        false
    }

    fn until_hangup(&self, request: &Request, stream: &mut BufReader<TcpStream>) -> bool {
        if matches!(stream.read(&mut [0]), Ok(0) | Err(_)) {
            self.hangups.lock().unwrap().push(request.line());
        }
        false
    }
}

/// A container as a list shows it; the id is one character, 64 times.
pub(crate) fn container(id: char, names: &[&str]) -> Value {
    json!({
        "Id": id.to_string().repeat(64), "Names": names, "Image": "busybox", "ImageID": "sha256:1", "Command": "sh",
        "Created": 1_700_000_000 + u32::from(id), "Ports": [], "Labels": {}, "State": "running", "Status": "Up 1 second",
        "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": []
    })
}

fn version() -> Value {
    json!({
        "Platform": {"Name": ""}, "Components": [], "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12",
        "GitCommit": "fake", "GoVersion": "go1", "Os": "linux", "Arch": "amd64", "KernelVersion": "6", "BuildTime": ""
    })
}

fn info(containers: &[Value]) -> Value {
    json!({
        "ID": "FAKE", "Containers": containers.len(), "ContainersRunning": containers.len(), "ContainersPaused": 0,
        "ContainersStopped": 0, "Images": 1, "NCPU": 2, "MemTotal": 1_000_000_000_u64, "Name": "fake", "Driver": "overlay2",
        "ServerVersion": "20.10.24", "OSType": "linux", "Architecture": "x86_64", "Labels": [], "Warnings": null,
        "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": false}
    })
}

fn inspect(containers: &[Value], line: &str, reference: &str) -> Answer {
    let is_it = |container: &&Value| {
        let id = container["Id"].as_str().unwrap_or_default();
        let named = |name: &Value| name.as_str() == Some(&format!("/{reference}"));
        id.starts_with(reference)
            || container["Names"]
                .as_array()
                .into_iter()
                .flatten()
                .any(named)
    };
    match containers.iter().find(is_it) {
        None => Answer::error(404, &format!("No such container: {reference}")),
        Some(found) if line.starts_with("GET ") && line.ends_with("/json") => {
            Answer::Json(200, details(found))
        }
        Some(_) => Answer::Json(204, Value::Null),
    }
}

fn details(container: &Value) -> Value {
    let name = container["Names"][0].as_str().unwrap_or("/nameless");
    json!({
        "Id": container["Id"], "Name": name, "Created": "2023-11-14T22:13:20Z", "Image": "sha256:1",
        "Path": "sh", "Args": [], "State": {"Status": "running", "Running": true},
        "Config": {"Image": "busybox", "Tty": false, "Labels": {}, "Env": [], "Cmd": ["sh"]},
        "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": []
    })
}

/// The reference in `/containers/{c}` and `/containers/{c}/...`.
fn container_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/containers/")?;
    let reference = rest.split('/').next()?;
    (!matches!(reference, "create" | "prune")).then_some(reference)
}

fn matches(rule: &str, line: &str) -> bool {
    rule.strip_suffix('*')
        .map_or(rule == line, |start| line.starts_with(start))
}

fn strip_version(path: &str) -> &str {
    match path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.find('/').map(|at| &rest[at..]))
    {
        Some(rest) => rest,
        None => path,
    }
}

fn read_chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&chunk[..size]);
    }
}

fn common_headers() -> &'static str {
    "Api-Version: 1.41\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/20.10.24 (linux)\r\n"
}

fn chunked_head() -> String {
    let common = common_headers();
    format!(
        "HTTP/1.1 200 OK\r\n{common}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

fn write_json(stream: &mut TcpStream, request: &Request, status: u16, body: &Value) -> bool {
    let common = common_headers();
    let bare = body.is_null();
    let body = if bare {
        String::new()
    } else {
        format!("{body}\n")
    };
    let kind = if bare {
        ""
    } else {
        "Content-Type: application/json\r\n"
    };
    let length = if status == 204 {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("HTTP/1.1 {status} Scripted\r\n{common}{kind}{length}\r\n");
    let body = if request.method == "HEAD" { "" } else { &body };
    stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
}

/// Closes with a reset, as a daemon does that dies.
fn cut(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let _ = stream.write_all(bytes);
    let _ = rustix::net::sockopt::set_socket_linger(&*stream, Some(std::time::Duration::ZERO));
    false
}
