//! A raw HTTP/1.1 client: what it sends and reads is decided byte by byte, so that half-close, pipelining and hijacking
//! can be tested.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

/// A read that takes longer fails the test.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Where a Docker API is served.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Tcp(String),
    Unix(PathBuf),
}

impl Target {
    /// Parses `tcp://host:port` or `unix:///path`.
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix("unix://") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.trim_start_matches("tcp://").to_owned()),
        }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        let stream = match self {
            Self::Tcp(address) => Stream::Tcp(
                TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}")),
            ),
            Self::Unix(path) => {
                Stream::Unix(UnixStream::connect(path).unwrap_or_else(|e| panic!("{path:?}: {e}")))
            }
        };
        stream.deadline(READ_DEADLINE);
        Connection {
            stream: BufReader::new(stream),
        }
    }

    /// One call on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let mut connection = self.connect();
        connection.request(
            method,
            path,
            &[],
            body.map(Value::to_string).unwrap_or_default().as_bytes(),
        );
        connection.reply_to(method)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, Some(body))
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None)
    }
}

/// One connection, kept alive until dropped.
pub(crate) struct Connection {
    stream: BufReader<Stream>,
}

impl Connection {
    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends a request with `Content-Length`; a body is announced as JSON.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !body.is_empty() {
            head += "Content-Type: application/json\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.send(&[head.as_bytes(), body].concat());
    }

    /// Reads the head of an answer, with no body.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Reply {
        let status = self.line();
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = code.unwrap_or_else(|| panic!("not an answer: {status:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Reply {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// Reads a whole answer.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// Reads a whole answer to a request of this method; one to `HEAD` has no body.
    #[track_caller]
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        let mut reply = self.head();
        let bare = method == "HEAD" || matches!(reply.status, 101 | 204 | 304);
        if bare {
            return reply;
        }
        reply.body = match (
            reply.header("transfer-encoding"),
            reply.header("content-length"),
        ) {
            (Some(_), _) => std::iter::from_fn(|| self.chunk()).flatten().collect(),
            (None, Some(length)) => self.exactly(length.parse().unwrap()),
            (None, None) => self.rest(),
        };
        reply
    }

    /// Reads one chunk of a chunked body, none at its end.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(self.line().trim(), 16).expect("a chunk's size");
        let data = self.exactly(size);
        self.line();
        (size > 0).then_some(data)
    }

    #[track_caller]
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut data = vec![0; count];
        self.stream.read_exact(&mut data).unwrap();
        data
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        self.stream.read_to_end(&mut data).unwrap();
        data
    }

    /// Reads until the peer closes, whatever way it does so.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        match self.stream.read_to_end(&mut data) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("the connection stays open")
            }
            _ => data,
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn half_close(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended in {line:?}");
        line.trim_end().to_owned()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} {:?}: {e}", self.status, self.text()))
    }

    /// The text of Docker's error object.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{}",
            self.text()
        );
        self.json()["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// A socket of either kind.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn deadline(&self, deadline: Duration) {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(Some(deadline)).unwrap(),
            Self::Unix(socket) => socket.set_read_timeout(Some(deadline)).unwrap(),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(how),
            Self::Unix(socket) => socket.shutdown(how),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
