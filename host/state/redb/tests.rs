use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::FutureExt;
use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};
use tempfile::TempDir;

use super::*;
use crate::state::conformance::{conformance, races};

/// A folder for the file, and the time its stores believe in.
struct Place {
    folder: TempDir,
    millis: Arc<AtomicU64>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            millis: Arc::new(AtomicU64::new(1_000_000)),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a/b/state.redb")
    }

    fn open(&self) -> Redb {
        let millis = self.millis.clone();
        Redb::open_with(
            &self.path(),
            Arc::new(move || millis.load(Ordering::Relaxed)),
        )
        .unwrap()
    }

    fn pass(&self, time: Duration) {
        let millis = time.as_millis().try_into().unwrap();
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }
}

/// Returns how many rows both tables hold, expired or not.
fn rows(store: &Redb) -> (u64, u64) {
    let read = store.database.begin_read().unwrap();
    let values = TableDefinition::<&str, (u64, &[u8])>::new("values");
    let expiries = TableDefinition::<(u64, &str), ()>::new("expiries");
    let count = (
        read.open_table(values).unwrap(),
        read.open_table(expiries).unwrap(),
    );
    (count.0.len().unwrap(), count.1.len().unwrap())
}

#[tokio::test]
async fn redb_is_a_state_store() {
    let place = Place::new();
    conformance(Arc::new(place.open()), async |time| place.pass(time)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn swaps_hold_between_threads() {
    races(Arc::new(Place::new().open())).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    store.set("kept", b"1", None).await.unwrap();
    store
        .set("short", b"2", Some(Duration::from_secs(1)))
        .await
        .unwrap();
    store
        .set("long", b"3", Some(Duration::from_secs(9)))
        .await
        .unwrap();
    drop(store);

    place.pass(Duration::from_secs(1));
    let store = place.open();
    assert_eq!(store.keys("").await.unwrap(), ["kept", "long"]);
    assert_eq!(store.get("long").await.unwrap().unwrap(), b"3");
    assert_eq!(rows(&store), (2, 1), "what expired meanwhile is removed");
    drop(store);

    place.pass(Duration::from_secs(8));
    assert_eq!(place.open().keys("").await.unwrap(), ["kept"]);
}

#[tokio::test]
async fn writes_remove_what_has_expired() {
    let place = Place::new();
    let store = place.open();
    for key in 0..200 {
        store
            .set(&format!("old/{key}"), b"v", Some(Duration::from_secs(1)))
            .await
            .unwrap();
    }
    assert_eq!(rows(&store), (200, 200));
    place.pass(Duration::from_secs(1));
    for key in 0..4 {
        store.set(&format!("new/{key}"), b"v", None).await.unwrap();
    }
    assert_eq!(rows(&store), (4, 0));
}

#[tokio::test]
async fn writes_of_one_commit_see_each_other_in_order() {
    let place = Place::new();
    let store = place.open();
    let bytes = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_owned());
    let put = |value| writer::Change::Put(bytes(value));
    let swap = |old, new| writer::Change::Swap {
        expected: bytes(old),
        replacement: bytes(new),
    };
    let changes = [
        (put("a"), true),
        (swap("", "b"), false),
        (swap("a", "b"), true),
        (swap("a", "c"), false),
        (put(""), true),
        (swap("b", "c"), false),
        (swap("", "d"), true),
    ];
    let (writes, waiting) = mpsc::channel(changes.len());
    let mut outcomes = Vec::new();
    for (change, expected) in changes {
        let (done, outcome) = oneshot::channel();
        let (key, expiry) = ("key".to_owned(), table::NEVER);
        let write = Write {
            key,
            change,
            expiry,
            done,
        };
        assert!(writes.try_send(write).is_ok());
        outcomes.push((outcome, expected));
    }
    drop(writes);
    let database = store.database.clone();
    thread::spawn(move || writer::run(&database, waiting, &|| 0))
        .join()
        .unwrap();
    for (outcome, expected) in outcomes {
        assert_eq!(outcome.await.unwrap().unwrap(), expected);
    }
    assert_eq!(store.get("key").await.unwrap().unwrap(), b"d");
}

#[tokio::test]
async fn a_write_holds_even_when_its_caller_has_gone_away() {
    let place = Place::new();
    let store = place.open();
    let pending = store.set("left", b"v", None).now_or_never();
    assert!(pending.is_none(), "no write is durable at once");
    store.set("next", b"v", None).await.unwrap();
    assert_eq!(store.keys("").await.unwrap(), ["left", "next"]);
}

#[test]
fn the_file_and_its_folders_are_private() {
    let place = Place::new();
    let _store = place.open();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = place.path();
    let modes = file.ancestors().take(3).map(mode).collect::<Vec<_>>();
    assert_eq!(modes, [0o600, 0o700, 0o700]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let place = Place::new();
    let store = place.open();
    let error = |path: &Path| Redb::open(path).map(drop).unwrap_err().to_string();

    let path = place.path();
    let shown = path.display();
    assert_eq!(
        error(&path),
        format!(
            "state store: {shown} is in use by another flockerd, stop it or choose another file with --state"
        )
    );
    drop(store);
    assert!(Redb::open(&path).is_ok());

    fs::write(
        &path,
        "not a database, but long enough to be taken for one".repeat(100),
    )
    .unwrap();
    let cases = [
        path.clone(),
        path.join("below"),
        path.parent().unwrap().to_owned(),
    ];
    for path in cases {
        let expected = format!("state store: cannot open {}: ", path.display());
        assert!(error(&path).starts_with(&expected), "{}", error(&path));
    }
}
