//! The same plugin in several languages gives the same answers.

use std::{fmt::Write as _, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::harness::{Answer, FakeDocker, Flockerd, Language, Reply, Target, component, container};

#[test]
fn rust() {
    answers_as_the_table_says(Language::Rust);
}

#[test]
fn python() {
    answers_as_the_table_says(Language::Python);
}

#[test]
fn javascript() {
    answers_as_the_table_says(Language::JavaScript);
}

#[test]
fn c() {
    answers_as_the_table_says(Language::C);
}

#[derive(Deserialize)]
struct Table {
    backends: Vec<Host>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Host {
    name: String,
    running: usize,
    labels: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    /// Exactly one of these four is what is asked for: an image, a container with this label, with this
    /// configuration, or with this text as its configuration.
    pull: Option<String>,
    constraint: Option<String>,
    body: Option<Value>,
    text: Option<String>,
    /// The backend creates what it is asked for, and so has one more; otherwise it answers with an error.
    #[serde(default)]
    kept: bool,
    /// One of these two is expected.
    backend: Option<String>,
    refused: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    status: u16,
    message: String,
}

#[track_caller]
fn answers_as_the_table_says(language: Language) {
    let table: Table = serde_json::from_str(include_str!("languages/cases.json")).unwrap();
    let flock = Flock::new(&table.backends);
    let flockerd = flock.behind(&component(language));
    for (number, case) in table.cases.iter().enumerate() {
        let reply = flock.ask(&flockerd.api(), number, case);
        let asked = flock.asked();
        match (&case.backend, &case.refused) {
            (Some(backend), None) => assert_eq!(asked, [backend], "{}: {reply:?}", case.case),
            (None, Some(refused)) => {
                let answer = (reply.status, reply.message());
                let expected = (refused.status, refused.message.clone());
                assert_eq!(answer, expected, "{}", case.case);
                assert!(asked.is_empty(), "{}: {asked:?}", case.case);
            }
            _ => panic!("{}: a backend or a refusal is expected", case.case),
        }
    }
}

/// The backends of the table as scripted daemons.
struct Flock<'a> {
    hosts: Vec<(&'a Host, FakeDocker)>,
    /// How many changes each has been asked for so far.
    seen: std::cell::RefCell<Vec<usize>>,
}

impl<'a> Flock<'a> {
    fn new(hosts: &'a [Host]) -> Self {
        let mut ids = 'a'..='z';
        let mut next = || ids.next().unwrap();
        let daemon = |host: &'a Host| {
            let names = (0..host.running).map(|_| next());
            let running: Vec<_> = names
                .map(|id| container(id, &[&format!("/{id}")]))
                .collect();
            (host, FakeDocker::with(&running))
        };
        Self {
            hosts: hosts.iter().map(daemon).collect(),
            seen: vec![0; hosts.len()].into(),
        }
    }

    #[track_caller]
    fn behind(&self, plugin: &Path) -> Flockerd {
        // A fresh instance of a large component is slow where flockerd is built without optimisation.
        let mut toml = format!("[[plugin]]\npath = {plugin:?}\ntimeout = \"20s\"\n");
        for (host, daemon) in &self.hosts {
            let (name, address) = (&host.name, &daemon.address);
            writeln!(
                toml,
                "[[backend]]\nname = {name:?}\naddress = \"tcp://{address}\""
            )
            .unwrap();
            writeln!(toml, "[backend.labels]").unwrap();
            for (key, value) in &host.labels {
                // A JSON string is a TOML string.
                writeln!(toml, "{} = {value}", Value::from(key.as_str())).unwrap();
            }
        }
        Flockerd::builder().toml(&toml).start()
    }

    fn ask(&self, api: &Target, number: usize, case: &Case) -> Reply {
        let id = format!("{number:064x}");
        let create = match case.kept {
            true => Answer::Json(201, json!({"Id": id, "Warnings": []})),
            false => Answer::error(400, "not today"),
        };
        for (_, daemon) in &self.hosts {
            daemon.on("POST /containers/create", create.clone());
            daemon.on("POST /images/create", Answer::error(400, "not today"));
        }
        if let Some(image) = &case.pull {
            return api.call("POST", &format!("/images/create?fromImage={image}"), None);
        }
        let labelled = |text| json!({"Labels": {"flocker.constraint": text}});
        let body = case.body.clone().or(case.constraint.as_ref().map(labelled));
        let text = body.map(|body| body.to_string()).or(case.text.clone());
        let mut connection = api.connect();
        connection.request(
            "POST",
            &format!("/containers/create?name=case{number}"),
            &[],
            text.unwrap().as_bytes(),
        );
        connection.reply()
    }

    /// The backends that were asked for a change since the last time.
    fn asked(&self) -> Vec<&str> {
        let mut seen = self.seen.borrow_mut();
        let mut names = Vec::new();
        for ((host, daemon), seen) in self.hosts.iter().zip(seen.iter_mut()) {
            let requests = daemon.requests();
            let changes = requests.iter().filter(|one| one.method == "POST").count();
            names.extend((changes > *seen).then_some(host.name.as_str()));
            *seen = changes;
        }
        names
    }
}
