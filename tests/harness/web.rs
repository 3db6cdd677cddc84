//! A real web server: nginx before a folder of files, gone with this.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Serves its files; what lies below `/v1/` only to who knows the token.
pub(crate) struct Web {
    folder: TempDir,
    server: Child,
    /// `127.0.0.1:40000`
    pub(crate) address: String,
    /// The same with TLS.
    pub(crate) secure: String,
}

impl Web {
    /// What `/v1/` wants in `X-Consul-Token` or `X-Vault-Token`.
    pub(crate) const TOKEN: &str = "shears";

    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        certify(folder.path());
        fs::create_dir(folder.path().join("files")).unwrap();
        // Between the choice of a port and its use another program may take it.
        let attempts = (0..5).find_map(|_| launch(folder.path()));
        let (server, [address, secure]) = attempts.unwrap_or_else(|| {
            let log = fs::read_to_string(folder.path().join("error.log"));
            panic!("nginx does not start: {}", log.unwrap_or_default());
        });
        Self {
            folder,
            server,
            address,
            secure,
        }
    }

    /// Puts a file there, or another in its place, in one step.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let file = self.folder.path().join("files").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The certificate of who signed the server's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The lines of its log: `GET /v1/file 200`.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.server.kill();
        self.server.wait().unwrap();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts nginx on two free ports; none when it ends at once.
fn launch(folder: &Path) -> Option<(Child, [String; 2])> {
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = free.map(|listener| listener.local_addr().unwrap().to_string());
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration(folder, &addresses)).unwrap();
    let errors = File::create(folder.join("error.log")).unwrap();
    // It must not outlive a test process that is killed.
    let mut server = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "nginx", "-e", "stderr", "-c"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut ended = false;
    crate::eventually!({
        ended = server.try_wait().unwrap().is_some();
        ended
            || addresses
                .iter()
                .all(|address| TcpStream::connect(address).is_ok())
    });
    (!ended).then_some((server, addresses))
}

fn configuration(folder: &Path, [address, secure]: &[String; 2]) -> String {
    let (folder, token) = (folder.display(), Web::TOKEN);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}/{name};\n"));
    let temporary = temporary.concat();
    format!(
        r#"
daemon off;
master_process off;
user root;
pid {folder}/pid;
events {{}}
http {{
  {temporary}
  log_format short '$request_method $request_uri $status';
  access_log {folder}/access.log short;
  default_type application/json;
  map $http_x_consul_token$http_x_vault_token $known {{ "{token}" 1; default 0; }}
  server {{
    listen {address};
    listen {secure} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    root {folder}/files;
    location /v1/ {{
      if ($known = 0) {{ return 403 '{{"errors":["permission denied"]}}'; }}
    }}
    location = /away {{ return 302 http://{address}/elsewhere; }}
    location = /length {{ return 200 $http_content_length; }}
  }}
}}
"#
    )
}

/// Makes `ca.pem`, which nobody trusts, and a certificate for 127.0.0.1 that it has signed.
fn certify(folder: &Path) {
    let make = |args: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(args.split(' ')).current_dir(folder);
        let output = openssl.output().expect("openssl can be started");
        assert!(output.status.success(), "{output:?}");
    };
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    make(&format!(
        "{key} -subj /CN=authority -keyout ca.key -out ca.pem"
    ));
    make(&format!(
        "{key} -subj /CN=server -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    ));
}
