//! A scripted Docker daemon: answers as told, misbehaves as told, and remembers what it was asked.

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, Weak},
    thread,
};

use serde_json::{Value, json};

use super::poll::DEADLINE;

mod request;
mod usual;

pub(crate) use request::Request;
pub(crate) use usual::{container, long_list};

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

    /// Scripts the answer to requests whose query has this in it; the connection is closed after it. Others are answered
    /// as usual.
    pub(crate) fn on_query(
        &self,
        line: &str,
        query: &'static str,
        answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
    ) {
        let usual = Arc::downgrade(&self.shared);
        self.on(
            line,
            Answer::talk(move |request, mut stream| {
                if request.target.contains(query) {
                    return answer(&mut stream);
                }
                let Some(shared) = usual.upgrade() else {
                    return;
                };
                let usual = usual::answer(&shared.containers.lock().unwrap(), request);
                if let Answer::Json(status, body) = usual {
                    write_json(&mut stream, request, status, &body);
                }
            }),
        );
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
        self.shared.listeners.lock().unwrap().clear();
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
        rule.map_or_else(
            || usual::answer(&self.containers.lock().unwrap(), request),
            |(_, answer)| answer.clone(),
        )
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

fn matches(rule: &str, line: &str) -> bool {
    rule.strip_suffix('*')
        .map_or(rule == line, |start| line.starts_with(start))
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
