//! The command line: flags and subcommands, and what clap has to say about them in flockerd's own form.

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, error::ErrorKind};

use crate::{
    app::{Format, plugin::Tool},
    config::{Config, Flags, Problem},
};

/// Makes a flock of Docker hosts look like one
///
/// Serves the Docker API and spreads what it is asked over the backends; plugins, which are WebAssembly components,
/// may decide otherwise. Without a command it serves until SIGTERM.
#[derive(Debug, Clone, Parser)]
#[command(name = "flockerd", version, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub flags: Flags,

    /// None: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Verify configuration, plugins and backends, one line each; the exit code is 0 or 1
    Check,
    /// Print the endpoints of the Docker API and how each is served
    Endpoints {
        /// Print it in this form
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// What a child process does to compile a component from its standard input into a file or a cache's folder.
    #[command(hide = true)]
    Compile { output: PathBuf },
    /// Make, check, test, measure and explain plugins
    #[command(disable_help_subcommand = true, arg_required_else_help = false)]
    Plugin {
        #[command(subcommand)]
        tool: Tool,
    },
}

/// Why the command line gave no [`Cli`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The help or the version was asked for: print this to stdout and exit with 0.
    Print(String),
    /// Print the problem to stderr and exit with 2.
    Wrong(Problem),
}

const EXAMPLES: &str = "\
Durations are written 250ms, 5s or 1m. A flag wins over its environment variable, which wins over the file.

Examples:
  flockerd --backend node1=tcp://10.0.0.1:2375,zone=eu --backend /run/docker.sock
  flockerd --config flockerd.toml --plugin route.wasm --state memory
  flockerd check --config flockerd.toml";

impl Cli {
    /// Reads the arguments, the first of which is the program, and the environment.
    pub fn read(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, Stop> {
        Self::try_parse_from(args).map_err(|e| stop(&e))
    }

    /// Merges the defaults, the file, the environment and the flags.
    pub fn config(&self) -> Result<Config, Problem> {
        Config::load(&self.flags)
    }
}

fn stop(error: &clap::Error) -> Stop {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(text),
        _ => Stop::Wrong(problem(&text)),
    }
}

/// Takes the first paragraph of clap's text as the message and its tip as the hint.
fn problem(text: &str) -> Problem {
    let message: Vec<_> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let message = message.join(" ");
    let tip = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("tip: "));
    Problem::new(
        message.strip_prefix("error: ").unwrap_or(&message),
        tip.unwrap_or("`flockerd --help` lists the flags and commands"),
    )
}

#[cfg(test)]
mod tests;
