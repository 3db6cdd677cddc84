//! A registry that says what a test wants it to say.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flockerd::plugin::digest;
use serde_json::{Value, json};

use super::server::WASM;

/// What it answers to a path.
#[derive(Clone)]
pub(super) struct Says {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// How many bytes it announces, if not as many as it gives.
    pub(super) announces: Option<usize>,
}

/// A registry with one repository, `sheep`, on the loopback, without TLS.
pub(super) struct Liar {
    pub(super) address: String,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    says: Mutex<BTreeMap<String, Says>>,
    /// The heads of the requests.
    asked: Mutex<Vec<String>>,
}

impl Liar {
    /// One that has nothing yet.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let told = Arc::new(Told::default());
        let serving = Arc::clone(&told);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&serving);
                thread::spawn(move || answer(stream, &told));
            }
        });
        let liar = Self { address, told };
        liar.say("/v2/", ok(b"{}"));
        liar
    }

    pub(super) fn say(&self, path: &str, says: Says) {
        self.told.says.lock().unwrap().insert(path.to_owned(), says);
    }

    /// Gives a manifest for the tag `1`; returns its digest.
    pub(super) fn tag(&self, manifest: &Value) -> String {
        let body = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", digest(&body));
        self.say("/v2/sheep/manifests/1", ok(&body));
        self.say(&format!("/v2/sheep/manifests/{digest}"), ok(&body));
        digest
    }

    /// Gives a blob under the digest of other bytes.
    pub(super) fn blob(&self, of: &[u8], says: Says) {
        self.say(&format!("/v2/sheep/blobs/sha256:{}", digest(of)), says);
    }

    /// The heads of the requests for what begins so.
    pub(super) fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.told.asked.lock().unwrap();
        let of_path = |head: &&String| head.starts_with(&format!("GET {path}"));
        asked.iter().filter(of_path).cloned().collect()
    }

    /// `oci://127.0.0.1:40000/sheep:1`
    pub(super) fn source(&self) -> String {
        format!("oci://{}/sheep:1", self.address)
    }
}

pub(super) fn ok(body: &[u8]) -> Says {
    Says {
        status: 200,
        headers: Vec::new(),
        body: body.to_vec(),
        announces: None,
    }
}

/// The manifest of a component of these bytes.
pub(super) fn manifest(component: &[u8]) -> Value {
    let layer = json!({
        "mediaType": WASM, "digest": format!("sha256:{}", digest(component)), "size": component.len(),
    });
    let config = json!({
        "mediaType": "application/vnd.wasm.config.v0+json", "digest": format!("sha256:{}", digest(b"{}")), "size": 2,
    });
    json!({"schemaVersion": 2, "config": config, "layers": [layer]})
}

/// Answers one request; what is no HTTP, such as TLS, finds the connection closed.
fn answer(stream: TcpStream, told: &Told) {
    let mut reader = BufReader::new(stream);
    if !matches!(reader.fill_buf(), Ok([first, ..]) if first.is_ascii_uppercase()) {
        return;
    }
    let head: Vec<String> = reader
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let unknown = Says {
        status: 404,
        ..ok(b"{}")
    };
    let path = path.split('?').next().unwrap_or_default();
    let says = told.says.lock().unwrap().get(path).cloned();
    let says = says.unwrap_or(unknown);
    told.asked.lock().unwrap().push(head.join("\n"));
    let length = says.announces.unwrap_or(says.body.len());
    let mut answer = format!(
        "HTTP/1.1 {} Said\r\nConnection: close\r\nContent-Length: {length}\r\n",
        says.status
    );
    for (name, value) in &says.headers {
        answer += &format!("{name}: {value}\r\n");
    }
    answer += "\r\n";
    let mut stream = reader.into_inner();
    // Whoever has read enough hangs up.
    let _ = stream
        .write_all(answer.as_bytes())
        .and_then(|()| stream.write_all(&says.body));
}
