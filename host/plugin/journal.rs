//! What a plugin writes: its log lines, its standard output and its standard error, within the budget of one call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::bindings::flocker::plugin::log::Level;

/// The bytes that one call may write; more is dropped.
const BUDGET: usize = 64 << 10;

/// The log of one instance. Clones write into the same.
#[derive(Clone)]
pub(super) struct Journal(Arc<Mutex<Pages>>);

/// Standard output or standard error.
#[derive(Clone, Copy)]
pub(super) enum Channel {
    Out,
    Err,
}

struct Pages {
    plugin: Arc<str>,
    hook: &'static str,
    left: usize,
    /// Whether it is said that something was dropped.
    told: bool,
    /// The line begun on standard output.
    out: Vec<u8>,
    /// The line begun on standard error.
    err: Vec<u8>,
}

impl Journal {
    pub(super) fn new(plugin: Arc<str>, hook: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Pages {
            plugin,
            hook,
            left: BUDGET,
            told: false,
            out: Vec::new(),
            err: Vec::new(),
        })))
    }

    /// Renews the budget for a call of the hook.
    pub(super) fn begin(&self, hook: &'static str) {
        let mut pages = self.pages();
        pages.hook = hook;
        pages.left = BUDGET;
        pages.told = false;
    }

    /// Writes out the lines that were begun.
    pub(super) fn flush(&self) {
        self.pages().flush();
    }

    pub(super) fn write(&self, level: Level, message: &str) {
        let mut pages = self.pages();
        let allowed = pages.spend(message.len());
        pages.emit(level, &message[..message.floor_char_boundary(allowed)]);
    }

    /// Takes a line that flockerd writes about the plugin from the budget; false when that is used up.
    pub(super) fn admits(&self, bytes: usize) -> bool {
        self.pages().spend(bytes) == bytes
    }

    pub(super) fn stream(&self, channel: Channel) -> Stream {
        Stream {
            journal: self.clone(),
            channel,
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// Takes up to `wanted` bytes from the budget and says once that it is used up.
    fn spend(&mut self, wanted: usize) -> usize {
        let allowed = wanted.min(self.left);
        if allowed < wanted && !self.told {
            self.told = true;
            tracing::warn!(plugin = %self.plugin, hook = self.hook, "the rest of the plugin's log is dropped");
        }
        self.left -= allowed;
        allowed
    }

    fn print(&mut self, channel: Channel, bytes: &[u8]) {
        let bytes = &bytes[..self.spend(bytes.len())];
        let line = self.line(channel);
        let begun = line.len();
        line.extend_from_slice(bytes);
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = line.split_off(begun + end + 1);
        let lines = std::mem::replace(line, rest);
        self.emit(channel.level(), &String::from_utf8_lossy(&lines));
    }

    fn flush(&mut self) {
        for channel in [Channel::Out, Channel::Err] {
            let line = std::mem::take(self.line(channel));
            self.emit(channel.level(), &String::from_utf8_lossy(&line));
        }
    }

    fn line(&mut self, channel: Channel) -> &mut Vec<u8> {
        match channel {
            Channel::Out => &mut self.out,
            Channel::Err => &mut self.err,
        }
    }

    /// One event per line, so that no plugin forges lines of the log.
    fn emit(&self, level: Level, text: &str) {
        let (plugin, hook) = (&*self.plugin, self.hook);
        for line in text.lines().filter(|line| !line.is_empty()) {
            match level {
                Level::Trace => tracing::trace!(plugin, hook, "{line}"),
                Level::Debug => tracing::debug!(plugin, hook, "{line}"),
                Level::Info => tracing::info!(plugin, hook, "{line}"),
                Level::Warn => tracing::warn!(plugin, hook, "{line}"),
                Level::Error => tracing::error!(plugin, hook, "{line}"),
            }
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Channel {
    fn level(self) -> Level {
        match self {
            Self::Out => Level::Info,
            Self::Err => Level::Warn,
        }
    }
}

/// A standard stream of an instance. It always takes everything, because a full one makes `println!` panic.
pub(super) struct Stream {
    journal: Journal,
    channel: Channel,
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.journal.stream(self.channel))
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.journal.pages().print(self.channel, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines of flockerd's log that the work writes: level and text.
    fn logged(work: impl FnOnce(&Journal)) -> Vec<String> {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            work(&Journal::new("pet".into(), "route"))
        });
        let bytes = captured.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        lines.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn print(journal: &Journal, channel: Channel, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        OutputStream::write(&mut journal.stream(channel), bytes).unwrap();
    }

    #[test]
    fn output_becomes_lines_whatever_pieces_it_comes_in() {
        let lines = logged(|journal| {
            print(journal, Channel::Out, "one\ntw");
            print(journal, Channel::Err, "oops");
            print(journal, Channel::Out, "o\n\nrest");
        });
        let fields = r#"plugin="pet" hook="route""#;
        let expected = ["INFO one", "INFO two", "INFO rest", "WARN oops"]
            .map(|line| format!("{line} {fields}"));
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_message_cannot_forge_another_line() {
        let lines = logged(|journal| journal.write(Level::Error, "bad\nINFO all is well"));
        assert_eq!(lines.len(), 2);
        assert!(
            lines.iter().all(|line| line.starts_with("ERROR ")),
            "{lines:?}"
        );
    }

    #[test]
    fn what_exceeds_the_budget_is_dropped_until_the_next_call() {
        let lines = logged(|journal| {
            journal.write(Level::Info, &"x".repeat(BUDGET - 1));
            journal.write(Level::Info, "éé");
            journal.write(Level::Info, "lost");
            print(journal, Channel::Out, "lost\n");
            journal.begin("map");
            journal.write(Level::Info, "heard");
        });
        let said: Vec<&str> = lines[1..]
            .iter()
            .map(|line| line.split(" plugin=").next().unwrap())
            .collect();
        assert_eq!(
            said,
            ["WARN the rest of the plugin's log is dropped", "INFO heard"]
        );
        assert!(lines[2].ends_with(r#"hook="map""#));
    }
}
