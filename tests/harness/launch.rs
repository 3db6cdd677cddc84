//! The binary as a process: how it is started, its first line, its log.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// How long it may take until it listens: a plugin of some 18 MB is compiled before, by a compiler without optimisation.
const START: Duration = Duration::from_secs(120);

/// What stays the same when it is started again.
pub(crate) struct Launch {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl Launch {
    /// Starts it and waits for the line to paste.
    #[track_caller]
    pub(crate) fn start(
        &self,
        listen: &str,
        home: &Path,
        log: &Arc<Mutex<String>>,
    ) -> (Child, String) {
        // It must not outlive a test process that is killed.
        let mut command = Command::new("setpriv");
        clean(&mut command, home);
        command.args([
            "--pdeathsig",
            "KILL",
            env!("CARGO_BIN_EXE_flockerd"),
            "--listen",
            listen,
        ]);
        command.args(&self.args).envs(self.env.iter().cloned());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        collect(child.stderr.take().unwrap(), Arc::clone(log));
        match first_line(child.stdout.take().unwrap()) {
            Some(host) => (child, host),
            None => {
                let _ = child.kill();
                let status = child.wait().unwrap();
                panic!(
                    "flockerd {:?} did not start ({status}):\n{}",
                    self.args,
                    log.lock().unwrap()
                );
            }
        }
    }
}

/// The binary with arguments and nothing from the environment.
pub(crate) fn binary(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flockerd"));
    clean(&mut command, home);
    command
}

fn clean(command: &mut Command, home: &Path) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(home);
    command
        .env("HOME", home)
        .env(
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
        )
        .env("XDG_STATE_HOME", home.join("state"));
}

/// The address in `export DOCKER_HOST=...`, none when it ends or takes too long.
fn first_line(stdout: impl Read + Send + 'static) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        if let Some(Ok(line)) = lines.next() {
            let _ = sender.send(line);
        }
        // The pipe stays open, so that later lines do not fail.
        lines.for_each(drop);
    });
    let line = receiver.recv_timeout(START).ok()?;
    line.strip_prefix("export DOCKER_HOST=").map(str::to_owned)
}

fn collect(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}
