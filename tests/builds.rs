//! Builds, classic and BuildKit, on one builder for each client.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    harness::{Flockerd, Output, flock, run, same_as_one_daemon, step, tar},
    images::{having, id_of},
};

/// `/session` and `/grpc`.
mod sessions;

/// A context with this Dockerfile, as `docker build -` takes it.
fn context(dockerfile: &str) -> Vec<u8> {
    tar(&[("Dockerfile", dockerfile), ("hello", "baa\n")])
}

#[test]
fn classic_builds_as_one_daemon_does_them() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let kind = "application/x-tar";
    let with = |dockerfile: &'static str| move |p: &str| context(&dockerfile.replace("{p}", p));
    let build = |status, query: &str, dockerfile: &'static str| {
        step(status, &format!("POST /build?{query}")).made(kind, with(dockerfile))
    };
    let labels = r#"labels={"same":"{p}"}&buildargs={"FOO":"2"}&nocache=1"#;
    let full =
        "FROM busybox\nARG FOO\nRUN echo foo=$FOO\nCOPY hello /{p}\nCMD [\"cat\", \"/{p}\"]\n";
    let script = [
        build(200, &format!("t={{p}}-b:1&t={{p}}-b:2&{labels}"), full),
        step(200, "GET /images/{p}-b:1/json"),
        step(200, "GET /images/{p}-b:2/history").differs(&["*/Id", "*/CreatedBy", "*/Tags"]),
        build(
            200,
            "t={p}-b:3&nocache=1&forcerm=1",
            "FROM busybox\nRUN exit 3\n",
        ),
        step(404, "GET /images/{p}-b:3/json"),
        build(200, "q=1&t={p}-b:4", "FROM busybox\nENV A={p}\n"),
        build(200, "t={p}-b:5", "FROM {p}-b:1\nENV B=1\n"),
        build(200, "t={p}-b:6&forcerm=1", "FROM busybox\nCOPY nosuch /\n"),
        build(
            200,
            "t={p}-b:7&remote=&dockerfile=./Dockerfile&pull=0&forcerm=1&memory=67108864",
            "FROM busybox\nENV C={p}\n",
        ),
        build(400, "", "NONSENSE"),
        build(400, "", ""),
        build(500, "t=UPPER", "FROM busybox"),
        build(500, "dockerfile=nosuch", "FROM busybox"),
        build(500, "version=9", "FROM busybox"),
        step(500, "POST /build"),
        step(200, "DELETE /images/{p}-b:5"),
        step(200, "DELETE /images/{p}-b:2"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

#[test]
fn what_surrounds_a_build_is_as_one_daemon_has_it() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let script = [
        step(200, "POST /build/cancel?id={p}"),
        step(500, "POST /build/cancel"),
        step(200, r#"POST /build/prune?filters={"id":["nothing"]}"#),
        step(500, "POST /build/prune?filters=nonsense"),
        step(400, "POST /session"),
        step(400, "POST /session").upgrade("nonsense"),
        step(500, "POST /grpc"),
    ];
    same_as_one_daemon(&flockerd, &scope, &script);
}

/// A client that builds one way or the other.
struct Client<'a> {
    flockerd: &'a Flockerd,
    program: String,
    buildkit: bool,
}

impl<'a> Client<'a> {
    fn classic(flockerd: &'a Flockerd) -> Self {
        let program = "docker".to_owned();
        Self {
            flockerd,
            program,
            buildkit: false,
        }
    }

    /// The CLI that has BuildKit's client in itself, which 20.10 was the last to have.
    #[track_caller]
    fn buildkit(flockerd: &'a Flockerd) -> Self {
        let has = |program: &&str| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|version| version.stdout.starts_with(b"Docker version 20.10."))
        };
        let found = ["docker", "/usr/bin/docker"].into_iter().find(has);
        let program =
            found.expect("BuildKit needs Debian's docker CLI 20.10 as docker or /usr/bin/docker");
        Self {
            flockerd,
            program: program.to_owned(),
            buildkit: true,
        }
    }

    fn build(&self, args: &[&str], input: &[u8]) -> Output {
        let docker = self.flockerd.command();
        let set = docker
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?)));
        let mut command = Command::new(&self.program);
        command.env_clear().envs(set);
        command.env("DOCKER_BUILDKIT", if self.buildkit { "1" } else { "0" });
        run(command.arg("build").args(args), input)
    }
}

/// What both kinds of builds do for their user.
#[track_caller]
fn builds_and_runs(client: &Client) {
    let scope = flock().shared();
    let flockerd = client.flockerd;
    let [first, second] = ["1", "2"].map(|tag| format!("{}:{tag}", scope.name("built")));
    let dockerfile =
        "FROM busybox\nARG FOO\nRUN echo said-$FOO > /said\nCOPY hello /\nCMD cat /said /hello\n";
    let args = ["-t", &first, "-t", &second, "--build-arg", "FOO=this", "-"];
    let output = client.build(&args, &context(dockerfile));
    assert_eq!(output.code, 0, "{}", output.text());
    let host = having(&first);
    assert_eq!((host.len(), having(&second)), (1, host.clone()));
    let name = scope.name("run");
    assert_eq!(
        flockerd.docker(&["run", "--name", &name, &second]).ok(),
        "said-this\nbaa"
    );
    assert_eq!(flock().holder(&name).name, host[0]);
    // A Dockerfile alone, and nothing said but the id; the base is only there.
    let quiet = format!("{}:3", scope.name("built"));
    let alone = format!("FROM {first}\nENV A={quiet}\n");
    let id = client
        .build(&["--quiet", "-t", &quiet, "-"], alone.as_bytes())
        .ok();
    assert_eq!(id_of(&flockerd.api(), &quiet), id);
    assert_eq!(having(&quiet), host);
    let bad = client.build(
        &["--force-rm", "-t", &quiet, "-"],
        b"FROM busybox\nRUN echo before && exit 3\n",
    );
    assert_ne!(bad.code, 0);
    assert!(bad.text().contains("exit 3"), "{}", bad.text());
    let folder = flockerd.home().join("context");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("Dockerfile"),
        "FROM busybox\nCOPY . /all\nRUN test $(wc -c < /all/big) = 3000000\n",
    )
    .unwrap();
    std::fs::write(folder.join("big"), vec![b'x'; 3_000_000]).unwrap();
    let args = ["-t", &quiet, folder.to_str().unwrap()];
    let output = client.build(&args, b"");
    assert_eq!(output.code, 0, "{}", output.text());
}

#[test]
fn a_classic_build_is_run_where_it_was_made() {
    let flockerd = Flockerd::over_flock().start();
    let client = Client::classic(&flockerd);
    builds_and_runs(&client);
    let scope = flock().shared();
    let bad = client.build(
        &["--force-rm", "-t", &scope.name("bad"), "-"],
        b"FROM busybox\nRUN exit 3\n",
    );
    assert_eq!(bad.code, 3, "{}", bad.text());
    assert!(
        bad.stderr.contains("returned a non-zero code: 3"),
        "{}",
        bad.stderr
    );
}

#[test]
fn a_build_with_buildkit_is_run_where_it_was_made() {
    let flockerd = Flockerd::over_flock().start();
    builds_and_runs(&Client::buildkit(&flockerd));
}

/// The daemon reads the secret through the client's session while it builds.
#[test]
fn buildkit_reads_a_secret_through_the_session() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let client = Client::buildkit(&flockerd);
    let file = flockerd.home().join("secret");
    std::fs::write(&file, "baa").unwrap();
    let secret = format!("id=wool,src={}", file.display());
    let dockerfile =
        "FROM busybox\nRUN --mount=type=secret,id=wool test \"$(cat /run/secrets/wool)\" = baa\n";
    let image = scope.name("secret");
    let args = ["--no-cache", "--secret", &secret, "-t", &image, "-"];
    let output = client.build(&args, dockerfile.as_bytes());
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(having(&image).len(), 1);
}

#[test]
fn two_builds_of_one_client_share_its_builder() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    for client in [Client::classic(&flockerd), Client::buildkit(&flockerd)] {
        let names = ["one", "two"].map(|name| format!("{}:{}", scope.name(name), client.buildkit));
        std::thread::scope(|threads| {
            let client = &client;
            for name in &names {
                threads.spawn(move || {
                    let dockerfile = format!("FROM busybox\nRUN sleep 1; echo {name}\n");
                    let args = ["--no-cache", "-t", name, "-"];
                    let output = client.build(&args, dockerfile.as_bytes());
                    assert_eq!(output.code, 0, "{}", output.text());
                });
            }
        });
        assert_eq!(having(&names[0]).len(), 1);
        assert_eq!(having(&names[0]), having(&names[1]));
    }
}

/// The builder stays the same when another host has become the emptier one.
#[test]
fn a_client_keeps_its_builder() {
    let scope = flock().shared();
    let flockerd = Flockerd::over_flock().start();
    let client = Client::classic(&flockerd);
    let build = |name: &str| {
        let image = scope.name(name);
        let dockerfile = format!("FROM busybox\nENV A={image}\n");
        client
            .build(&["-t", &image, "-"], dockerfile.as_bytes())
            .ok();
        having(&image)
    };
    let first = build("first");
    for number in 0..3 {
        flock()
            .node(&first[0])
            .sleeper(&scope, &scope.name(&format!("load{number}")));
    }
    assert_eq!(build("second"), first);
    assert_eq!(build("third"), first);
}

#[test]
fn builder_prune_empties_the_cache_of_every_host() {
    let scope = flock().exclusive();
    let flockerd = Flockerd::over_flock().start();
    let caches = || -> Vec<usize> {
        let cache = |df: Value| df["BuildCache"].as_array().map_or(0, Vec::len);
        flock()
            .nodes
            .iter()
            .map(|node| cache(node.api().get("/system/df").expect(200).json()))
            .collect()
    };
    for node in &flock().nodes[..2] {
        let alone = Flockerd::builder().backend(&node.backend()).start();
        let image = scope.name(&node.name);
        let dockerfile = format!("FROM busybox\nRUN echo {image} > /file\n");
        let output = Client::buildkit(&alone).build(&["-t", &image, "-"], dockerfile.as_bytes());
        assert_eq!(output.code, 0, "{}", output.text());
    }
    let before = caches();
    assert!(before[0] > 0 && before[1] > 0, "{before:?}");
    let df = flockerd.api().get("/system/df").expect(200).json();
    assert_eq!(
        df["BuildCache"].as_array().unwrap().len(),
        before.iter().sum::<usize>()
    );
    flockerd
        .docker(&["rmi", &scope.name("node1"), &scope.name("node2")])
        .ok();
    let pruned = flockerd
        .api()
        .post("/build/prune?all=1", &json!(null))
        .expect(200)
        .json();
    assert!(pruned["SpaceReclaimed"].is_u64(), "{pruned}");
    assert!(
        pruned["CachesDeleted"].as_array().unwrap().len() >= 2,
        "{pruned}"
    );
    assert_eq!(caches(), [0, 0, 0]);
}
