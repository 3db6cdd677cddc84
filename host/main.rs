//! The program: reads the command line, calls the library, prints what went wrong.

use std::{
    io::{Write, stderr, stdin, stdout},
    num::NonZeroUsize,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use flockerd::{
    app::{
        self, App,
        plugin::{self, Tool},
    },
    cli::{Cli, Command, Stop},
    config::{Config, Problem},
    telemetry,
};
use tokio::runtime::Builder;

/// The system's own takes twice the time for what a proxy does all day: small pieces that pass between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long threads that are still busy at the end may take to notice it.
const LEAVE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Cli::read(std::env::args_os()).and_then(|cli| run(&cli).map_err(Stop::Wrong)) {
        Ok(code) => code,
        Err(Stop::Print(text)) => print(&text),
        Err(Stop::Wrong(problem)) => {
            let _ = writeln!(stderr(), "error: {problem}");
            if let Some(hint) = problem.hint {
                let _ = writeln!(stderr(), "hint: {hint}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Problem> {
    match &cli.command {
        Some(Command::Endpoints { format }) => return Ok(print(&app::endpoints(*format))),
        Some(Command::Compile { output }) => return Ok(compile(output)),
        Some(Command::Plugin { tool }) => return author(tool, cli),
        Some(Command::Check) | None => {}
    }
    let config = cli.config()?;
    telemetry::init(&config.log)?;
    block_on(config.threads, async {
        match cli.command {
            Some(_) => Ok(check(&config).await),
            None => serve(config).await,
        }
    })
}

/// Runs a tool of a plugin's author. What plugins log is shown, but for those that are only measured.
fn author(tool: &Tool, cli: &Cli) -> Result<ExitCode, Problem> {
    let log = match (&cli.flags.log, tool) {
        (None, Tool::Bench { .. }) => "error",
        _ => &cli.config()?.log,
    };
    telemetry::init(log)?;
    let (report, well) = block_on(None, plugin::run(tool, &cli.flags))?;
    print(&report);
    Ok(ExitCode::from(u8::from(!well)))
}

/// Compiles in a process of its own; whoever started it reads the reason from stderr.
fn compile(output: &Path) -> ExitCode {
    match flockerd::plugin::compile(stdin(), output) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, reason)) => {
            let _ = writeln!(stderr(), "{reason}");
            u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// Runs to the end, and does not wait for what cannot be cut off: a guest on a thread of its own, a name that nobody
/// resolves.
fn block_on<T>(
    threads: Option<NonZeroUsize>,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder.enable_all().build().map_err(|error| {
        Problem::new(
            error.to_string(),
            "the system is out of threads or descriptors",
        )
    })?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LEAVE);
    done
}

async fn check(config: &Config) -> ExitCode {
    let (report, well) = app::check(config).await;
    print(&report);
    ExitCode::from(u8::from(!well))
}

/// Serves, after printing the line to paste.
async fn serve(config: Config) -> Result<ExitCode, Problem> {
    let app = App::build(config).await?;
    let lines: String = app
        .addresses()
        .iter()
        .map(|address| format!("export DOCKER_HOST={address}\n"))
        .collect();
    print(&lines);
    app.run()
        .await
        .map_err(|error| Problem::new(error.to_string(), "try again"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints to stdout; a reader that has gone is no error.
fn print(text: &str) -> ExitCode {
    let mut out = stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}
