//! A Podman service as one more host: another engine behind the same API.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Output, flock,
    poll::{DEADLINE, holds},
    process::run,
    real_flock::docker,
};

/// Podman's defaults ask for more descriptors than a container on a small machine may have, and for systemd.
const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"#;

/// A running Podman service with a `busybox` image; it ends with this, and what it made with it.
pub(crate) struct Podman {
    child: Child,
    pub(crate) socket: PathBuf,
    folder: TempDir,
}

impl Podman {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("containers.conf"), CONFIG).unwrap();
        let socket = folder.path().join("podman.sock");
        let service = format!("unix://{}", socket.display());
        let child = podman(&folder)
            .args(["system", "service", "--time", "0", &service])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("podman can be started: run `make tools`");
        let podman = Self {
            child,
            socket,
            folder,
        };
        assert!(
            holds(|| podman.socket.exists(), DEADLINE),
            "podman does not listen"
        );
        podman.load();
        podman
    }

    /// The docker CLI on the service itself.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        let home = TempDir::new().unwrap();
        let host = format!("unix://{}", self.socket.display());
        run(docker(&host, home.path()).args(args), b"")
    }

    /// The value for `--backend`.
    pub(crate) fn backend(&self, name: &str) -> String {
        format!("{name}=unix://{}", self.socket.display())
    }

    /// Gives it the image of the first host, under the name that Docker would give it.
    fn load(&self) {
        let archive = self.folder.path().join("busybox.tar");
        let file = archive.to_string_lossy().into_owned();
        flock().nodes[0]
            .docker(&["save", "--output", &file, "busybox:latest"])
            .ok();
        run(podman(&self.folder).args(["load", "--input", &file]), b"").ok();
        let names = ["tag", "localhost/busybox", "docker.io/library/busybox"];
        run(podman(&self.folder).args(names), b"").ok();
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for args in [["rm", "--all", "--force"], ["volume", "prune", "--force"]] {
            let _ = podman(&self.folder).args(args).output();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The podman CLI on a store of the test's own.
fn podman(folder: &TempDir) -> Command {
    let path = |name: &str| folder.path().join(name);
    let mut command = Command::new("podman");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("CONTAINERS_CONF", path("containers.conf"));
    command.arg("--root").arg(path("root"));
    command.arg("--runroot").arg(path("run"));
    command.args(["--storage-driver", "vfs"]);
    command
}
