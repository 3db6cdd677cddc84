//! The program under test: started with a configuration, killed, restarted, and talked to.

use std::{
    fmt::Write as _,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use super::{
    FakeDocker, Output, Scope, Target,
    launch::Launch,
    process::{Running, run},
    real_flock::{docker, flock},
};

/// What kind of listener the clients use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Front {
    Tcp,
    Unix,
}

/// How the next flockerd is started.
pub(crate) struct Builder {
    args: Vec<String>,
    env: Vec<(String, String)>,
    toml: String,
    front: Front,
    home: TempDir,
}

impl Builder {
    pub(crate) fn front(mut self, front: Front) -> Self {
        self.front = front;
        self
    }

    /// `[NAME=]ADDRESS[,label=value...]`
    pub(crate) fn backend(self, backend: &str) -> Self {
        self.arg("--backend").arg(backend)
    }

    pub(crate) fn plugin(self, path: &Path) -> Self {
        self.arg("--plugin").arg(&path.to_string_lossy())
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Appends to the configuration file.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        writeln!(self.toml, "{text}").unwrap();
        self
    }

    /// The folder that the program and its clients take for home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    #[track_caller]
    pub(crate) fn start(self) -> Flockerd {
        let listen = match self.front {
            Front::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Front::Unix => format!("unix://{}/flockerd.sock", self.home.path().display()),
        };
        let mut args = self.args;
        if !self.toml.is_empty() {
            let file = self.home.path().join("flockerd.toml");
            std::fs::write(&file, self.toml).unwrap();
            args.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
        }
        let launch = Launch {
            args,
            env: self.env,
        };
        let log = Arc::new(Mutex::new(String::new()));
        let (child, host) = launch.start(&listen, self.home.path(), &log);
        Flockerd {
            child,
            host,
            launch,
            home: self.home,
            log,
        }
    }
}

/// A running flockerd; it ends with this.
pub(crate) struct Flockerd {
    child: Child,
    /// The value for `DOCKER_HOST`.
    pub(crate) host: String,
    launch: Launch,
    home: TempDir,
    log: Arc<Mutex<String>>,
}

impl Flockerd {
    pub(crate) fn builder() -> Builder {
        Builder {
            args: Vec::new(),
            env: Vec::new(),
            toml: String::new(),
            front: Front::Tcp,
            home: TempDir::new().unwrap(),
        }
    }

    /// Over the three real hosts, each with the label `zone=` and its own name.
    pub(crate) fn over_flock() -> Builder {
        flock().nodes.iter().fold(Self::builder(), |builder, node| {
            builder.backend(&format!("{},zone={}", node.backend(), node.name))
        })
    }

    /// Over scripted daemons, named `node1`, `node2`...
    pub(crate) fn over_fakes(fakes: &[&FakeDocker]) -> Builder {
        let names = (1..).map(|number| format!("node{number}"));
        fakes
            .iter()
            .zip(names)
            .fold(Self::builder(), |builder, (fake, name)| {
                builder.backend(&format!("{name}=tcp://{}", fake.address))
            })
    }

    /// The API with nothing of the docker CLI.
    pub(crate) fn api(&self) -> Target {
        Target::parse(&self.host)
    }

    /// The docker CLI with no input.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        self.docker_with(args, b"")
    }

    /// The docker CLI with an input.
    #[track_caller]
    pub(crate) fn docker_with(&self, args: &[&str], input: &[u8]) -> Output {
        run(self.command().args(args), input)
    }

    /// The docker CLI, left running.
    #[track_caller]
    pub(crate) fn docker_running(&self, args: &[&str]) -> Running {
        Running::spawn(self.command().args(args))
    }

    /// The docker CLI on a terminal of its own with 33 lines of 77 characters; the input is typed.
    #[track_caller]
    pub(crate) fn docker_on_terminal(&self, args: &[&str]) -> Running {
        let line = args
            .iter()
            .map(|arg| format!("'{arg}'"))
            .collect::<Vec<_>>()
            .join(" ");
        let mut command = Command::new("script");
        let docker = self.command();
        command.env_clear().envs(
            docker
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.args([
            "--quiet",
            "--return",
            "--command",
            &format!("stty rows 33 cols 77; exec docker {line}"),
            "/dev/null",
        ]);
        Running::spawn(&mut command)
    }

    /// Starts a container that sleeps, wherever the flock puts it; returns its id.
    #[track_caller]
    pub(crate) fn sleeper(&self, scope: &Scope, name: &str) -> String {
        self.docker(&[
            "run",
            "-d",
            "--name",
            name,
            "--label",
            &scope.label(),
            "busybox",
            "sleep",
            "600",
        ])
        .ok()
    }

    /// The docker CLI as a command, with a home of this flockerd's own.
    pub(crate) fn command(&self) -> Command {
        docker(&self.host, self.home.path())
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), pid.as_str()])
            .status()
            .unwrap();
    }

    /// Its resident memory now, and the most it had since [`Flockerd::forget_peak`], in bytes.
    #[track_caller]
    pub(crate) fn resident(&self) -> (usize, usize) {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes: usize = line
                .unwrap()
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .unwrap();
            kibibytes << 10
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    #[track_caller]
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// Kills it as a crash would.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with the same flags, state and address.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let (child, host) = self.launch.start(&self.host, self.home.path(), &self.log);
        assert_eq!(host, self.host);
        self.child = child;
    }

    /// Asks it to end and returns its exit code.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> i32 {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end and returns its exit code, 128 + the signal if one ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        let mut status = None;
        crate::eventually!({
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }
}

impl Drop for Flockerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("---- flockerd's log ----\n{}", self.log());
        }
    }
}
