use super::*;
use crate::state::memory::Memory;

fn client(connection: &str) -> Client {
    Client {
        connection: connection.into(),
        address: "10.0.0.9:1".into(),
        identity: None,
    }
}

fn run<'a>(create: &'a str, backend: &'a str, stage: Stage) -> NewRun<'a> {
    NewRun {
        create,
        backend,
        body: None,
        stage,
    }
}

fn runs(state: &Arc<Memory>, open: &[&str]) -> Runs {
    let runs = Runs::new(state.clone(), Duration::from_secs(900));
    open.iter()
        .for_each(|connection| runs.connected(&client(connection)));
    runs
}

async fn recalled(runs: &Runs, create: &str, connection: &str) -> Option<String> {
    runs.recall("app:1", &create.into(), &client(connection))
        .await
        .unwrap()
        .map(|run| run.backend)
}

#[tokio::test]
async fn many_clients_run_one_image_each_on_its_own_backend() {
    let runs = runs(&Arc::new(Memory::new()), &["a", "b"]);
    runs.remember("app:1", run("same", "node1", Stage::Created), &client("a"))
        .await
        .unwrap();
    assert_eq!(
        recalled(&runs, "same", "b").await,
        None,
        "b's first create is not a's repeated one"
    );
    runs.remember("app:1", run("same", "node2", Stage::Created), &client("b"))
        .await
        .unwrap();
    for (connection, backend) in [("b", "node2"), ("a", "node1")] {
        let claimed = runs
            .claim("app:1", &client(connection))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(claimed.backend, backend);
        runs.ready("app:1", backend, Some(&claimed)).await.unwrap();
    }
    assert_eq!(recalled(&runs, "same", "a").await.as_deref(), Some("node1"));
    let run = runs
        .recall("app:1", &"same".into(), &client("a"))
        .await
        .unwrap()
        .unwrap();
    runs.done("app:1", &run, &client("a")).await.unwrap();
    assert_eq!(recalled(&runs, "same", "a").await, None);
    assert_eq!(recalled(&runs, "same", "b").await.as_deref(), Some("node2"));
}

#[tokio::test]
async fn clients_without_keep_alive_claim_one_each() {
    let runs = runs(&Arc::new(Memory::new()), &[]);
    for (connection, backend) in [("a", "node1"), ("b", "node2")] {
        runs.remember(
            "app:1",
            run(backend, backend, Stage::Created),
            &client(connection),
        )
        .await
        .unwrap();
    }
    let mut claimed = Vec::new();
    for connection in ["c", "d"] {
        claimed.push(
            runs.claim("app:1", &client(connection))
                .await
                .unwrap()
                .unwrap()
                .backend,
        );
    }
    assert_eq!(claimed, ["node1", "node2"]);
    assert!(runs.claim("app:1", &client("e")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_memory_outlives_a_restart() {
    let state = Arc::new(Memory::new());
    let before = runs(&state, &["a"]);
    before
        .remember("app:1", run("x", "node3", Stage::Created), &client("a"))
        .await
        .unwrap();
    let after = runs(&state, &["b", "c"]);
    assert_eq!(recalled(&after, "x", "b").await, None, "not ready yet");
    let claimed = after.claim("app:1", &client("b")).await.unwrap().unwrap();
    assert_eq!(claimed.backend, "node3");
    after
        .ready("docker.io/library/app:1", "node3", Some(&claimed))
        .await
        .unwrap();
    assert_eq!(recalled(&after, "x", "c").await.as_deref(), Some("node3"));
}

#[tokio::test]
async fn a_create_follows_the_pull_of_its_connection() {
    let runs = runs(&Arc::new(Memory::new()), &["a", "b"]);
    runs.remember("app:1", run("", "node2", Stage::Ready), &client("a"))
        .await
        .unwrap();
    assert_eq!(
        recalled(&runs, "anything", "a").await.as_deref(),
        Some("node2")
    );
    assert_eq!(recalled(&runs, "anything", "b").await, None);
}
