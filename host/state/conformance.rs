//! What every state store must do, as one test that each of them runs.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::StateStore;

/// The time to live of what is to expire.
const SHORT: Duration = Duration::from_secs(2);

/// Runs everything against an empty store; `pass` lets time go by for it.
pub(crate) async fn conformance(store: Arc<dyn StateStore>, pass: impl AsyncFn(Duration)) {
    values(&*store).await;
    swaps(&*store).await;
    keys(&*store).await;
    expiry(&*store, &pass).await;
    races(store).await;
}

/// Lets many tasks change the same keys at once; on several threads where the runtime has them.
pub(crate) async fn races(store: Arc<dyn StateStore>) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 10;
    let everyone = |work: fn(Arc<dyn StateStore>) -> BoxFuture<'static, usize>| {
        let tasks: JoinSet<usize> = (0..TASKS).map(|_| work(store.clone())).collect();
        tasks.join_all()
    };
    let created = everyone(|store| {
        Box::pin(async move {
            usize::from(
                store
                    .swap("race/one", None, Some(b"mine"), None)
                    .await
                    .unwrap(),
            )
        })
    });
    assert_eq!(
        created.await.iter().sum::<usize>(),
        1,
        "exactly one may create a key"
    );

    let counted = everyone(|store| {
        Box::pin(async move {
            for _ in 0..ROUNDS {
                increment(&*store).await;
            }
            ROUNDS
        })
    });
    let expected = counted.await.iter().sum::<usize>().to_string();
    assert_eq!(value(&*store, "race/sum").await, Some(expected));

    let removed = everyone(|store| {
        Box::pin(async move {
            usize::from(
                store
                    .swap("race/one", Some(b"mine"), None, None)
                    .await
                    .unwrap(),
            )
        })
    });
    assert_eq!(
        removed.await.iter().sum::<usize>(),
        1,
        "exactly one may remove a key"
    );
}

/// Counts one up, with nothing but `get` and `swap`.
async fn increment(store: &dyn StateStore) {
    loop {
        let old = store.get("race/sum").await.unwrap();
        let sum: usize = old
            .as_deref()
            .map_or(0, |text| str::from_utf8(text).unwrap().parse().unwrap());
        let new = (sum + 1).to_string();
        if store
            .swap("race/sum", old.as_deref(), Some(new.as_bytes()), None)
            .await
            .unwrap()
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn value(store: &dyn StateStore, key: &str) -> Option<String> {
    let value = store.get(key).await.unwrap();
    value.map(|bytes| String::from_utf8(bytes).unwrap())
}

async fn values(store: &dyn StateStore) {
    assert_eq!(store.get("a").await.unwrap(), None);
    store.delete("a").await.unwrap();
    let large = vec![0xff; 1 << 20];
    let long = "k".repeat(512);
    for (key, bytes) in [
        ("a", &b"1"[..]),
        ("a", b"2"),
        ("empty", b""),
        ("/ ~", b"\0"),
        (long.as_str(), &large),
    ] {
        store.set(key, bytes, None).await.unwrap();
        assert_eq!(
            store.get(key).await.unwrap().as_deref(),
            Some(bytes),
            "{key}"
        );
    }
    for key in ["a", "empty", "/ ~", &long] {
        store.delete(key).await.unwrap();
        assert_eq!(store.get(key).await.unwrap(), None, "{key}");
    }
}

async fn swaps(store: &dyn StateStore) {
    let (no, a, b) = (None, Some("a"), Some("b"));
    let cases = [
        (no, a, no, false),
        (no, no, no, true),
        (no, no, a, true),
        (a, no, b, false),
        (a, b, no, false),
        (a, b, a, false),
        (a, Some(""), b, false),
        (a, a, b, true),
        (a, a, a, true),
        (a, a, no, true),
    ];
    for case @ (before, expected, replacement, made) in cases {
        match before {
            Some(text) => store.set("swap", text.as_bytes(), None).await.unwrap(),
            None => store.delete("swap").await.unwrap(),
        }
        let (expected, new) = (expected.map(str::as_bytes), replacement.map(str::as_bytes));
        assert_eq!(
            store.swap("swap", expected, new, None).await.unwrap(),
            made,
            "{case:?}"
        );
        let after = if made { replacement } else { before };
        assert_eq!(value(store, "swap").await.as_deref(), after, "{case:?}");
    }
    store.delete("swap").await.unwrap();
}

async fn keys(store: &dyn StateStore) {
    let all = ["b", "a/2", "a/10", "a", "a0", "A", "~"];
    for key in all {
        store.set(key, b"", None).await.unwrap();
    }
    let cases: [(&str, &[&str]); 6] = [
        ("", &["A", "a", "a/10", "a/2", "a0", "b", "~"]),
        ("a", &["a", "a/10", "a/2", "a0"]),
        ("a/", &["a/10", "a/2"]),
        ("a/10", &["a/10"]),
        ("a/100", &[]),
        ("~~", &[]),
    ];
    for (prefix, expected) in cases {
        assert_eq!(store.keys(prefix).await.unwrap(), expected, "{prefix:?}");
    }
    for key in all {
        store.delete(key).await.unwrap();
    }
    assert!(store.keys("").await.unwrap().is_empty());
}

async fn expiry(store: &dyn StateStore, pass: impl AsyncFn(Duration)) {
    store.set("gone", b"v", Some(SHORT)).await.unwrap();
    store.set("later", b"v", Some(SHORT * 3)).await.unwrap();
    store.set("kept", b"v", Some(SHORT)).await.unwrap();
    store.set("kept", b"v", None).await.unwrap();
    store.set("shorter", b"v", Some(SHORT * 9)).await.unwrap();
    store.set("shorter", b"v", Some(SHORT)).await.unwrap();
    assert!(
        store
            .swap("swapped", None, Some(b"v"), Some(SHORT))
            .await
            .unwrap()
    );
    assert!(
        store
            .swap("kept", Some(b"v"), Some(b"w"), None)
            .await
            .unwrap()
    );
    store.set("never", b"v", Some(Duration::MAX)).await.unwrap();
    let before = store.keys("").await.unwrap();
    assert_eq!(
        before,
        ["gone", "kept", "later", "never", "shorter", "swapped"]
    );

    pass(SHORT).await;
    assert_eq!(store.keys("").await.unwrap(), ["kept", "later", "never"]);
    assert_eq!(value(store, "gone").await, None);
    assert_eq!(value(store, "kept").await.as_deref(), Some("w"));
    let stale = store
        .swap("gone", Some(b"v"), Some(b"w"), None)
        .await
        .unwrap();
    assert!(!stale, "an expired value may not be swapped");
    let created = store
        .swap("swapped", None, Some(b"new"), None)
        .await
        .unwrap();
    assert!(created, "an expired key counts as absent");

    pass(SHORT * 2).await;
    assert_eq!(store.keys("").await.unwrap(), ["kept", "never", "swapped"]);
    for key in ["kept", "never", "swapped"] {
        store.delete(key).await.unwrap();
    }
}
