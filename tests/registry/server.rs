//! A real registry of a test's own, and what authors' tools push to it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    manifest::OciImageManifest,
    secrets::RegistryAuth,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::harness::{flock, run};

/// The media type of a component.
pub(super) const WASM: &str = "application/wasm";

/// `docker-registry`; it ends with this.
pub(super) struct Server {
    process: Child,
    pub(super) address: String,
    login: Option<[&'static str; 2]>,
    secure: bool,
    folder: TempDir,
}

impl Server {
    /// Everybody may pull and push, on the loopback and without TLS.
    pub(super) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        Self::start(folder, "addr: \"127.0.0.1:0\"", None)
    }

    /// Only `ann` with the password `b:c` may.
    pub(super) fn closed() -> Self {
        let folder = TempDir::new().unwrap();
        let [user, password] = ["ann", "b:c"];
        let mut htpasswd = Command::new("htpasswd");
        let entry = htpasswd.args(["-Bbn", user, password]).output().unwrap();
        fs::write(folder.path().join("htpasswd"), entry.stdout).unwrap();
        Self::start(folder, "addr: \"127.0.0.1:0\"", Some([user, password]))
    }

    /// Everybody may, at an address of this host, with a certificate from an authority of its own.
    pub(super) fn secure(host: &str) -> Self {
        let folder = TempDir::new().unwrap();
        certify(folder.path(), host);
        let place = folder.path().display().to_string();
        let tls = format!(
            "addr: \"{host}:0\", tls: {{certificate: {place}/cert.pem, key: {place}/key.pem}}"
        );
        let mut server = Self::start(folder, &tls, None);
        server.secure = true;
        server
    }

    fn start(folder: TempDir, http: &str, login: Option<[&'static str; 2]>) -> Self {
        // What starts the hosts installs the registry.
        flock();
        let place = folder.path().display();
        let mut config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp: {{{http}}}\n"
        );
        if login.is_some() {
            config += &format!("auth: {{htpasswd: {{realm: sheep, path: {place}/htpasswd}}}}\n");
        }
        let file = folder.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "docker-registry", "serve"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(listening);
        // Its log must not stand still.
        thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address: address.expect("the registry says where it listens"),
            login,
            secure: false,
            folder,
        }
    }

    /// The certificate of the authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Goes away, as a registry does that is out of reach.
    pub(super) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// `oci://127.0.0.1:40000/team/NAME`
    pub(super) fn source(&self, name: &str) -> String {
        format!("oci://{}/team/{name}", self.address)
    }

    /// Pushes a component as `wkg oci push` does; returns the digest of its manifest.
    pub(super) fn push(&self, name: &str, component: &Path) -> String {
        let component = fs::read(component).unwrap();
        self.push_as(
            name,
            "application/vnd.wasm.config.v0+json",
            &[(WASM, &component)],
        )
    }

    /// Pushes layers with their media types; returns the digest of the manifest.
    pub(super) fn push_as(&self, name: &str, config: &str, layers: &[(&str, &[u8])]) -> String {
        let title = BTreeMap::from([(
            "org.opencontainers.image.title".to_owned(),
            format!("{name}.wasm"),
        )]);
        let layer = |(kind, data): &(&str, &[u8])| {
            ImageLayer::new(data.to_vec(), kind.to_string(), Some(title.clone()))
        };
        let layers: Vec<ImageLayer> = layers.iter().map(layer).collect();
        let digests: Vec<String> = layers.iter().map(ImageLayer::sha256_digest).collect();
        let about = json!({
            "created": "2026-01-02T03:04:05Z", "architecture": "wasm", "os": "wasip2", "layerDigests": digests,
            "component": {"exports": ["flocker:plugin/route@0.1.0"], "imports": []},
        });
        let config = Config::new(about.to_string().into_bytes(), config.to_owned(), None);
        let mut manifest = OciImageManifest::build(&layers, &config, None);
        manifest.media_type = Some("application/vnd.oci.image.manifest.v1+json".to_owned());
        let client = Client::new(ClientConfig {
            protocol: match self.secure {
                true => ClientProtocol::Https,
                false => ClientProtocol::Http,
            },
            accept_invalid_certificates: true,
            ..ClientConfig::default()
        });
        let reference = Reference::try_from(format!("{}/team/{name}", self.address)).unwrap();
        let auth = match self.login {
            Some([user, password]) => RegistryAuth::Basic(user.to_owned(), password.to_owned()),
            None => RegistryAuth::Anonymous,
        };
        Runtime::new().unwrap().block_on(async {
            let pushed = client
                .push(&reference, &layers, config, &auth, Some(manifest))
                .await;
            pushed.unwrap();
            client
                .fetch_manifest_digest(&reference, &auth)
                .await
                .unwrap()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes the address out of a line of the registry's log.
fn listening(line: String) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let address = rest.split(['"', ',', ' ']).next()?;
    Some(address.to_owned())
}

/// Makes an authority, and a certificate of it for an address.
fn certify(folder: &Path, host: &str) {
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        run(command.current_dir(folder).args(line.split(' ')), b"").ok();
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=shepherd"
    ));
    openssl(&format!(
        "req {key} -keyout key.pem -out request.pem -subj /CN=sheep -addext subjectAltName=IP:{host}"
    ));
    openssl(
        "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -copy_extensions copyall -days 2 -out cert.pem",
    );
}
