//! A request as the scripted daemon reads and remembers it.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
};

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
    pub(super) fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
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
