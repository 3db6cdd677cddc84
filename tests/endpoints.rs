//! The table of the Docker API: complete, printed by `flockerd endpoints`, and true to what a daemon has.

use std::collections::BTreeSet;

use tempfile::TempDir;

use crate::harness::{FakeDocker, Flockerd, binary, run};

/// The Docker Engine API from 1.24 on, a reference written `{}`.
const API: &str = "
GET /_ping
HEAD /_ping
GET /version
GET /info
GET /events
GET /system/df
POST /auth
GET /containers/json
POST /containers/create
POST /containers/prune
GET /containers/{}/json
GET /containers/{}/top
GET /containers/{}/changes
GET /containers/{}/logs
GET /containers/{}/stats
GET /containers/{}/export
GET /containers/{}/archive
HEAD /containers/{}/archive
PUT /containers/{}/archive
GET /containers/{}/attach/ws
POST /containers/{}/start
POST /containers/{}/stop
POST /containers/{}/restart
POST /containers/{}/kill
POST /containers/{}/pause
POST /containers/{}/unpause
POST /containers/{}/wait
POST /containers/{}/attach
POST /containers/{}/resize
POST /containers/{}/exec
POST /containers/{}/rename
POST /containers/{}/update
DELETE /containers/{}
GET /containers/{}/checkpoints
POST /containers/{}/checkpoints
DELETE /containers/{}/checkpoints/{}
POST /exec/{}/start
POST /exec/{}/resize
GET /exec/{}/json
POST /commit
GET /images/json
POST /images/create
POST /images/load
POST /images/prune
GET /images/get
GET /images/search
GET /images/{}/get
GET /images/{}/json
GET /images/{}/history
POST /images/{}/tag
POST /images/{}/push
DELETE /images/{}
GET /distribution/{}/json
POST /build
POST /build/cancel
POST /build/prune
POST /session
POST /grpc
GET /networks
GET /networks/{}
POST /networks/create
POST /networks/prune
POST /networks/{}/connect
POST /networks/{}/disconnect
DELETE /networks/{}
GET /volumes
GET /volumes/{}
POST /volumes/create
POST /volumes/prune
PUT /volumes/{}
DELETE /volumes/{}
GET /plugins
GET /plugins/privileges
POST /plugins/pull
POST /plugins/create
GET /plugins/{}/json
POST /plugins/{}/enable
POST /plugins/{}/disable
POST /plugins/{}/push
POST /plugins/{}/set
POST /plugins/{}/upgrade
DELETE /plugins/{}
GET /swarm
GET /swarm/unlockkey
POST /swarm/init
POST /swarm/join
POST /swarm/leave
POST /swarm/update
POST /swarm/unlock
GET /nodes
GET /nodes/{}
DELETE /nodes/{}
POST /nodes/{}/update
GET /services
POST /services/create
GET /services/{}
DELETE /services/{}
POST /services/{}/update
GET /services/{}/logs
GET /tasks
GET /tasks/{}
GET /tasks/{}/logs
GET /secrets
POST /secrets/create
GET /secrets/{}
DELETE /secrets/{}
POST /secrets/{}/update
GET /configs
POST /configs/create
GET /configs/{}
DELETE /configs/{}
POST /configs/{}/update
";

/// How a row is answered.
const MODES: [&str; 6] = ["local", "place", "target", "merge", "broadcast", "refuse"];

#[test]
fn every_endpoint_of_the_docker_api_has_a_row() {
    let table: BTreeSet<String> = table().into_iter().map(|row| row[..2].join(" ")).collect();
    let missing: Vec<&str> = API
        .trim()
        .lines()
        .filter(|line| !table.contains(*line))
        .collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

#[test]
fn every_row_has_one_of_the_modes_and_stands_once() {
    let rows = table();
    let unique: BTreeSet<_> = rows.iter().map(|row| row[..2].join(" ")).collect();
    assert_eq!(unique.len(), rows.len());
    for row in rows {
        assert!(
            row.iter().any(|word| MODES.contains(&word.as_str())),
            "{row:?}"
        );
    }
}

/// The words of the rows that `flockerd endpoints` prints, placeholders reduced to `{}`.
fn table() -> Vec<Vec<String>> {
    let home = TempDir::new().unwrap();
    let lines = run(binary(home.path()).arg("endpoints"), b"").lines();
    let rows = lines
        .iter()
        .map(|line| line.split_whitespace().map(reduce).collect::<Vec<_>>());
    rows.filter(|row| row.len() > 2 && row[1].starts_with('/'))
        .collect()
}

fn reduce(word: &str) -> String {
    let segments = word.split('/').map(|segment| {
        if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn no_endpoint_is_a_page_not_found_or_breaks_the_connection() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    for line in API.trim().lines().filter(|line| !line.ends_with("/events")) {
        let (method, path) = line.split_once(' ').unwrap();
        let reply = flockerd
            .api()
            .call(method, &path.replace("{}", "nobody"), None);
        assert!((200..600).contains(&reply.status), "{line}");
        // A scripted daemon knows few of them, and says so in these words; flockerd itself must not.
        let reached = fake.requests().iter().any(|request| {
            request.method == method && request.path == path.replace("{}", "nobody")
        });
        if reply.status == 404 && method != "HEAD" && !reached {
            assert_ne!(
                reply.text().trim(),
                "{\"message\":\"page not found\"}",
                "{line}"
            );
        }
        if reply.status == 501 {
            assert!(
                reply.message().contains("flockerd") || reply.message().contains("swarm"),
                "{line}: {}",
                reply.text()
            );
        }
    }
}

#[test]
fn options_is_answered_for_every_path() {
    let fake = FakeDocker::start();
    let flockerd = Flockerd::over_fakes(&[&fake]).start();
    for path in ["/containers/json", "/anything"] {
        flockerd.api().call("OPTIONS", path, None).expect(200);
    }
}
