use std::{env, process};

use clap::CommandFactory;

use super::*;
use crate::config::{BackendConfig, Pull, StateConfig};

fn read(args: &[&str]) -> Result<Cli, Stop> {
    Cli::read([&["flockerd"], args].concat())
}

fn wrong(args: &[&str]) -> Problem {
    match read(args) {
        Err(Stop::Wrong(problem)) => problem,
        other => panic!("{args:?} gave {other:?}"),
    }
}

#[test]
fn clap_finds_nothing_wrong_with_the_definition() {
    Cli::command().debug_assert();
}

#[test]
fn commands_are_understood_with_flags_on_either_side() {
    let endpoints = |format| Some(Command::Endpoints { format });
    let cases: [(&[&str], Option<Command>); 7] = [
        (&["--state", "memory"], None),
        (&["check", "--state", "memory"], Some(Command::Check)),
        (&["--state", "memory", "check"], Some(Command::Check)),
        (&["--state", "memory", "endpoints"], endpoints(Format::Text)),
        (
            &["endpoints", "--format", "text", "--state=memory"],
            endpoints(Format::Text),
        ),
        (
            &["endpoints", "--format", "markdown", "--state=memory"],
            endpoints(Format::Markdown),
        ),
        (
            &["endpoints", "--format", "json", "--state=memory"],
            endpoints(Format::Json),
        ),
    ];
    for (args, expected) in cases {
        let cli = read(args).unwrap();
        assert_eq!(cli.command, expected, "{args:?}");
        assert_eq!(
            cli.config().unwrap().state,
            Some(StateConfig::Memory),
            "{args:?}"
        );
    }
}

#[test]
fn help_and_version_are_to_be_printed() {
    for (args, expected) in [
        (
            vec!["--version"],
            format!("flockerd {}\n", env!("CARGO_PKG_VERSION")),
        ),
        (
            vec!["--help"],
            "Makes a flock of Docker hosts look like one\n".to_owned(),
        ),
        (
            vec!["check", "-h"],
            "Verify configuration, plugins and backends".to_owned(),
        ),
    ] {
        match read(&args) {
            Err(Stop::Print(text)) => assert!(text.starts_with(&expected), "{text}"),
            other => panic!("{args:?} gave {other:?}"),
        }
    }
}

#[test]
fn help_names_every_variable_and_no_value() {
    let help = Cli::command().render_help().to_string();
    for flag in Cli::command()
        .get_arguments()
        .filter(|flag| !["help", "version"].contains(&flag.get_id().as_str()))
    {
        let id = flag.get_id().as_str();
        let variable = format!("FLOCKERD_{}", id.to_uppercase());
        assert_eq!(flag.get_env(), Some(variable.as_ref()), "{id}");
        assert!(flag.is_hide_env_values_set(), "{id}");
        assert!(help.contains(&format!("[env: {variable}]")), "{id}");
    }
}

#[test]
fn what_clap_refuses_becomes_a_problem() {
    let help = "`flockerd --help` lists the flags and commands";
    let cases: [(&[&str], &str, &str); 7] = [
        (
            &["--listn", "x"],
            "unexpected argument '--listn' found",
            "a similar argument exists: '--listen'",
        ),
        (
            &["chek"],
            "unrecognized subcommand 'chek'",
            "a similar subcommand exists: 'check'",
        ),
        (
            &["--listen"],
            "a value is required for '--listen <ADDR>' but none was supplied",
            help,
        ),
        (
            &["--pull", "proxy", "--pull", "client"],
            "the argument '--pull <client|proxy>' cannot be used multiple times",
            help,
        ),
        (
            &["endpoints", "--format", "jsn"],
            "invalid value 'jsn' for '--format <FORMAT>' [possible values: text, markdown, json]",
            "a similar value exists: 'json'",
        ),
        (&["check", "x"], "unexpected argument 'x' found", help),
        (
            &["--format", "json"],
            "unexpected argument '--format' found",
            help,
        ),
    ];
    for (args, message, hint) in cases {
        assert_eq!(wrong(args), Problem::new(message, hint), "{args:?}");
    }
}

#[test]
fn flags_that_are_wrong_are_named() {
    let problem = read(&["--pull", "both", "--backend-timeout", "5", "--backend", "h"])
        .unwrap()
        .config()
        .unwrap_err();
    assert_eq!(
        problem.message,
        "--backend or FLOCKERD_BACKEND: `h` is not the address of a backend; \
         --pull or FLOCKERD_PULL: `both` has no meaning here; \
         --backend-timeout or FLOCKERD_BACKEND_TIMEOUT: `5` is not a duration"
    );
}

/// Runs the ignored test `inside` of this module in a process with these variables.
fn run_with(variables: &[(&str, &str)], inside: &str) {
    let mut child = process::Command::new(env::current_exe().unwrap());
    child.args(["--exact", "--ignored", &format!("cli::tests::{inside}")]);
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn the_environment_is_read() {
    let variables = [
        ("FLOCKERD_LISTEN", "tcp://127.0.0.1:1,unix:///run/f.sock"),
        (
            "FLOCKERD_BACKEND",
            "n1=h1:1,zone=eu,disk=ssd\n  /run/docker.sock",
        ),
        ("FLOCKERD_PLUGIN", "a.wasm,b.wasm"),
        ("FLOCKERD_PULL", "proxy"),
        ("FLOCKERD_STATE", "memory"),
        ("FLOCKERD_LOG", ""),
        ("FLOCKERD_CONFIG", ""),
    ];
    run_with(&variables, "inside_a_full_environment");
}

#[test]
#[ignore = "run by `the_environment_is_read`"]
fn inside_a_full_environment() {
    let config = read(&[]).unwrap().config().unwrap();
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["tcp://127.0.0.1:1", "unix:///run/f.sock"]);
    let backend = |name: &str, address: &str, labels: &[(&str, &str)]| BackendConfig {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    };
    let backends = [
        backend("n1", "h1:1", &[("zone", "eu"), ("disk", "ssd")]),
        backend("local", "/run/docker.sock", &[]),
    ];
    assert_eq!(config.backends, backends);
    let names: Vec<_> = config
        .plugins
        .iter()
        .map(|plugin| plugin.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.state, Some(StateConfig::Memory));
    assert_eq!(config.log, "info", "an empty variable counts as not given");

    for args in [["--pull", "client", "check"], ["check", "--pull", "client"]] {
        let config = read(&args).unwrap().config().unwrap();
        assert_eq!(config.pull, Pull::Client, "a flag wins over its variable");
        assert_eq!(config.state, Some(StateConfig::Memory));
    }
    for args in [
        ["--listen", "tcp://h:1", "check"],
        ["check", "--listen", "tcp://h:1"],
    ] {
        let listen = read(&args).unwrap().config().unwrap().listen;
        assert_eq!(listen, ["tcp://h:1".parse().unwrap()]);
    }
}
