//! A real registry of a test's own, and what authors' tools push to it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
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

/// The media type of a component.
pub(super) const WASM: &str = "application/wasm";

/// `docker-registry` on the loopback, without TLS; it ends with this.
pub(super) struct Server {
    process: Child,
    pub(super) address: String,
    login: Option<[&'static str; 2]>,
    _folder: TempDir,
}

impl Server {
    /// Everybody may pull and push.
    pub(super) fn open() -> Self {
        Self::start(None)
    }

    /// Only `ann` with the password `b:c` may.
    pub(super) fn closed() -> Self {
        Self::start(Some(["ann", "b:c"]))
    }

    fn start(login: Option<[&'static str; 2]>) -> Self {
        let folder = TempDir::new().unwrap();
        let place = folder.path().display();
        let mut config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n"
        );
        if let Some([user, password]) = login {
            let entry = Command::new("htpasswd")
                .args(["-Bbn", user, password])
                .output();
            fs::write(folder.path().join("htpasswd"), entry.unwrap().stdout).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: sheep, path: {place}/htpasswd}}}}\n");
        }
        let file = folder.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "docker-registry", "serve"])
            .arg(&file)
            .env_remove("OTEL_TRACES_EXPORTER")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(
                    line.split_once("listening on ")?
                        .1
                        .split(['"', ' '])
                        .next()?
                        .to_owned(),
                )
            })
            .expect("the registry says where it listens");
        // Its log must not stand still.
        thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address,
            login,
            _folder: folder,
        }
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
        let layer =
            |(kind, data): &(&str, &[u8])| ImageLayer::new(data.to_vec(), kind.to_string(), None);
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
            protocol: ClientProtocol::Http,
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
