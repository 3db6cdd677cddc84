//! Commands with an input, an output and a deadline.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// No command may take longer than this.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) command: String,
    /// The exit code; 128 + the number of the signal that ended it.
    pub(crate) code: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Both streams, for messages that one client writes here and another there.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr)
    }

    /// The standard output without the last newline, after asserting success.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{} failed:\n{}", self.command, self.text());
        self.stdout().trim_end().to_owned()
    }

    /// The lines of the standard output, after asserting success.
    #[track_caller]
    pub(crate) fn lines(self) -> Vec<String> {
        self.ok().lines().map(str::to_owned).collect()
    }

    /// The standard error, after asserting the exit code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{} said:\n{}", self.command, self.text());
        self.stderr
    }
}

/// Runs a command to its end with this input; kills it and fails at the deadline.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut running = Running::spawn(command);
    running.write(input);
    running.finish()
}

/// A command under way, whose standard output can be read as it comes.
pub(crate) struct Running {
    child: Child,
    line: String,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Running {
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let line = describe(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let stdin = child.stdin.take();
        let stdout = pump(child.stdout.take().unwrap());
        let stderr = pump(child.stderr.take().unwrap());
        Self {
            child,
            line,
            stdin,
            stdout,
            stderr,
            seen: Vec::new(),
        }
    }

    /// Writes from a thread of its own, because the command may answer before it has read all of it, and then closes.
    pub(crate) fn write(&mut self, input: &[u8]) {
        let Some(mut stdin) = self.stdin.take() else {
            return;
        };
        let input = input.to_vec();
        thread::spawn(move || stdin.write_all(&input));
    }

    /// Writes without closing.
    pub(crate) fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("the input was closed");
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Reads the standard output until this text has been seen.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let end = Instant::now() + COMMAND_DEADLINE;
        while !self.has_said(text) {
            match self
                .stdout
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!(
                    "{} never said {text:?}, but:\n{}",
                    self.line,
                    String::from_utf8_lossy(&self.seen)
                ),
            }
        }
    }

    /// Whether this text is in the standard output so far.
    pub(crate) fn has_said(&mut self, text: &str) -> bool {
        self.seen.extend(self.stdout.try_iter().flatten());
        String::from_utf8_lossy(&self.seen).contains(text)
    }

    /// Sends a signal by name, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), pid.as_str()])
            .status()
            .unwrap();
    }

    /// Closes the input and waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Output {
        drop(self.stdin.take());
        let end = Instant::now() + COMMAND_DEADLINE;
        let mut bytes = std::mem::take(&mut self.seen);
        let in_time = drain(&self.stdout, &mut bytes, end);
        let mut errors = Vec::new();
        let in_time = in_time && drain(&self.stderr, &mut errors, end);
        let stderr = String::from_utf8_lossy(&errors).into_owned();
        if !in_time {
            self.child.kill().unwrap();
            panic!(
                "{} did not end; it said:\n{}{stderr}",
                self.line,
                String::from_utf8_lossy(&bytes)
            );
        }
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| {
            128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap()
        });
        Output {
            command: self.line.clone(),
            code,
            bytes,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already collected after `finish`; then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects until the stream ends; false at the deadline.
fn drain(stream: &Receiver<Vec<u8>>, into: &mut Vec<u8>, end: Instant) -> bool {
    loop {
        match stream.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(bytes) => into.extend(bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => return true,
            Err(mpsc::RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// Reads a stream on a thread of its own.
fn pump(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
