//! The program: reads the command line, calls the library, prints what went wrong.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use flockerd::{
    app::{self, App},
    cli::{Cli, Command, Stop},
    config::{Config, Problem},
    telemetry,
};

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
    if let Some(Command::Endpoints { format }) = &cli.command {
        return Ok(print(&app::endpoints(*format)));
    }
    let config = cli.config()?;
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        Problem::new(
            error.to_string(),
            "the system is out of threads or descriptors",
        )
    })?;
    runtime.block_on(async {
        match cli.command {
            Some(_) => Ok(check(&config).await),
            None => serve(config).await,
        }
    })
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
