//! What plugins may do beyond computing: nothing, and what the configuration grants.

mod http;
mod services;

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{FakeDocker, Flockerd, binary, plugin, run},
    plugins::entry,
};

/// 2000-01-01T00:00:00Z in milliseconds since 1970.
const BEGINNING: u64 = 946_684_800_000;

/// A flockerd with the explorer and these settings.
struct Explored {
    flockerd: Flockerd,
    _fake: FakeDocker,
}

impl Explored {
    #[track_caller]
    fn with(settings: &str) -> Self {
        Self::with_env(settings, &[])
    }

    #[track_caller]
    fn with_env(settings: &str, env: &[(&str, &str)]) -> Self {
        let fake = FakeDocker::start();
        // Room for a build without optimisation; a test that is about the timeout gives its own.
        let timeout = if settings.contains("timeout") {
            ""
        } else {
            "timeout = \"20s\"\n"
        };
        let settings = format!("{timeout}{settings}");
        let builder = Flockerd::over_fakes(&[&fake]).toml(&entry("explorer", &settings, "{}"));
        let set = |builder: crate::harness::Builder, (name, value): &(&str, &str)| {
            builder.env(name, value)
        };
        Self {
            flockerd: env.iter().fold(builder, set).start(),
            _fake: fake,
        }
    }

    #[track_caller]
    fn explore(&self, what: &Value) -> Value {
        let reply = self.flockerd.api().post("/explore", what);
        reply.expect(200).json()
    }

    /// What it found.
    #[track_caller]
    fn finds(&self, what: &Value) -> Value {
        let answer = self.explore(what);
        assert!(answer["err"].is_null(), "{what}: {answer}");
        answer["ok"].clone()
    }

    /// Why it found nothing.
    #[track_caller]
    fn fails(&self, what: &Value) -> String {
        let answer = self.explore(what);
        let reason = answer["err"].as_str();
        reason
            .unwrap_or_else(|| panic!("{what}: {answer}"))
            .to_owned()
    }
}

#[test]
fn only_granted_variables_are_seen() {
    let env = [("SECRET", "wolf"), ("TOKEN", "shears")];
    let nothing = Explored::with_env("", &env);
    for name in ["SECRET", "TOKEN", "PATH", "HOME"] {
        nothing.fails(&json!({"env": name}));
    }
    let granted = Explored::with_env("env = [\"TOKEN\", \"MODE=calm\", \"UNSET\"]", &env);
    assert_eq!(granted.finds(&json!({"env": "TOKEN"})), "shears");
    assert_eq!(granted.finds(&json!({"env": "MODE"})), "calm");
    for name in ["SECRET", "UNSET", "PATH"] {
        granted.fails(&json!({"env": name}));
    }
    let log = granted.flockerd.log();
    assert!(
        log.contains("flockerd does not have") && log.contains("UNSET"),
        "{log}"
    );
    assert!(!log.contains("shears"), "{log}");
}

/// Whoever opens a pipe that nobody writes into waits for ever, in a thread that nobody can end.
#[test]
fn a_pipe_in_a_granted_directory_holds_up_neither_the_call_nor_the_end() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let mut explored = Explored::with(&format!("timeout = \"1s\"\ndir = {:?}", folder.path()));
    let reply = explored
        .flockerd
        .api()
        .post("/explore", &json!({"read": "/pipe"}));
    let message = reply.expect(500).message();
    assert!(message.contains("no answer within 1s"), "{message}");
    assert_eq!(explored.flockerd.terminate(), 0);
}

#[test]
fn a_granted_directory_is_read_and_nothing_outside_it() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("rules");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(dir.join("sub/rule"), "graze").unwrap();
    fs::write(folder.path().join("secret"), "wolf").unwrap();
    symlink("sub/rule", dir.join("inside")).unwrap();
    symlink("../secret", dir.join("outside")).unwrap();
    symlink("/etc/passwd", dir.join("absolute")).unwrap();
    symlink("..", dir.join("up")).unwrap();
    let explored = Explored::with(&format!("dir = {dir:?}"));
    let names = json!(["absolute", "inside", "outside", "sub", "up"]);
    assert_eq!(explored.finds(&json!({"list": "/"})), names);
    for path in ["/sub/rule", "sub/rule", "/inside", "/sub/../sub/rule"] {
        assert_eq!(explored.finds(&json!({"read": path})), "graze", "{path}");
    }
    for path in [
        "/../secret",
        "../secret",
        "/sub/../../secret",
        "/outside",
        "/absolute",
        "/up/secret",
        "/etc/passwd",
    ] {
        explored.fails(&json!({"read": path}));
    }
    for what in [
        json!({"write": "/new"}),
        json!({"write": "/sub/rule"}),
        json!({"remove": "/sub/rule"}),
    ] {
        explored.fails(&what);
    }
    assert_eq!(fs::read_to_string(dir.join("sub/rule")).unwrap(), "graze");
    assert!(!dir.join("new").exists());
    // What is put in its place is seen by the next call.
    fs::rename(&dir, folder.path().join("old")).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("fresh"), "").unwrap();
    assert_eq!(explored.finds(&json!({"list": "/"})), json!(["fresh"]));
}

#[test]
fn without_a_directory_there_are_no_files() {
    let explored = Explored::with("");
    for what in [
        json!({"list": "/"}),
        json!({"list": "."}),
        json!({"read": "/etc/passwd"}),
        json!({"write": "/tmp/flockerd-test"}),
    ] {
        explored.fails(&what);
    }
}

#[test]
fn a_directory_that_is_not_there_is_told_at_the_start() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("flockerd.toml");
    let settings = entry("explorer", "dir = \"nowhere\"", "{}");
    fs::write(
        &file,
        format!("listen = [\"tcp://127.0.0.1:0\"]\n{settings}"),
    )
    .unwrap();
    let output = run(binary(home.path()).arg("--config").arg(&file), b"");
    let errors = output.fails(2);
    let dir = home.path().join("nowhere");
    let expected = format!("its directory {} cannot be opened", dir.display());
    assert!(
        errors.contains("plugin explorer") && errors.contains(&expected),
        "{errors}"
    );
}

#[test]
fn time_is_made_up_unless_it_is_granted() {
    let fixed = Explored::with("");
    let what = json!({"time": 50});
    let begun = Instant::now();
    let first = fixed.finds(&what);
    assert!(
        begun.elapsed() >= Duration::from_millis(50),
        "it did not sleep"
    );
    assert_eq!(
        fixed.finds(&what),
        first,
        "every instance has the same time"
    );
    let [now, slept] = [&first[0], &first[1]].map(|number| number.as_u64().unwrap());
    assert!((BEGINNING..BEGINNING + 1000).contains(&now), "{first}");
    assert!((50..60).contains(&slept), "{first}");

    let real = Explored::with("clocks = \"real\"");
    let seen = real.finds(&what);
    let [now, slept] = [&seen[0], &seen[1]].map(|number| number.as_u64().unwrap());
    let unix = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    assert!(unix.abs_diff(u128::from(now)) < 60_000, "{seen}");
    assert!(slept >= 50, "{seen}");
}

#[test]
fn a_loop_that_waits_for_the_clock_ends() {
    let looks = |settings: &str| {
        let explored = Explored::with(settings);
        explored.finds(&json!({"spin": 100})).as_u64().unwrap()
    };
    assert!((50..=101).contains(&looks("")));
    assert!(looks("clocks = \"real\"") > 101);
}

#[test]
fn random_numbers_are_made_up_unless_they_are_granted() {
    let what = json!({"random": null});
    let fixed = Explored::with("");
    let first = fixed.finds(&what);
    assert_eq!(fixed.finds(&what), first);
    assert_ne!(first[0], first[1], "they are not all the same");
    assert_eq!(Explored::with("").finds(&what), first, "of every flockerd");
    let real = Explored::with("random = \"real\"");
    assert_ne!(real.finds(&what), real.finds(&what));
}

#[test]
fn plugin_check_tells_what_is_wanted_and_granted() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("flockerd.toml");
    let settings = "http = [\"consul:8500\", \"*.example.org\"]\nenv = [\"TOKEN\", \"MODE=calm\"]\n\
                    dir = \"/\"\nclocks = \"real\"";
    fs::write(&file, entry("explorer", settings, "{}")).unwrap();
    let mut command = binary(home.path());
    command.args(["plugin", "check", "--config"]).arg(&file);
    let report = run(command.arg(plugin("explorer")).arg(plugin("spread")), b"").ok();
    let (explorer, spread) = report.split_once("spread.wasm").unwrap();
    for line in [
        "http: consul:8500, *.example.org\n",
        "environment: TOKEN, MODE\n",
        "files: read /\n",
        "clocks: real\n",
        "random numbers: fixed, see `random`\n",
    ] {
        assert!(explorer.contains(line), "{line} is not in:\n{explorer}");
    }
    assert!(
        !spread.contains("http"),
        "a plugin that does not use it does not import it: {spread}"
    );
}
