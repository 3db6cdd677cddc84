//! Checks what is found in the index, and that events and lists keep it true.

use super::*;

fn index() -> Index {
    let index = Index::default();
    let (one, two): (BackendName, BackendName) = ("node1".into(), "node2".into());
    index.found(&one, "aaa1", Some("web"), Stage::Running, None);
    index.found(&two, "aaa2", Some("db"), Stage::Stopped, None);
    index.found(&two, "bbb1", Some("aaa1x"), Stage::Running, None);
    index.found(&one, "ccc1", Some("twin"), Stage::Running, None);
    index.found(&two, "ccc2", Some("twin"), Stage::Running, None);
    index
}

fn found(index: &Index, reference: &str, backend: Option<&str>) -> Option<String> {
    match index.container(reference, backend) {
        Lookup::Found(located) => Some(located.id),
        _ => None,
    }
}

#[test]
fn containers_are_found_as_a_daemon_finds_them() {
    let index = index();
    for (reference, backend, expected) in [
        ("aaa1", None, Some("aaa1")),
        ("db", None, Some("aaa2")),
        ("aaa1x", None, Some("bbb1")),
        ("bb", None, Some("bbb1")),
        ("aaa", None, None),
        ("aaa", Some("node2"), Some("aaa2")),
        ("twin", Some("node2"), Some("ccc2")),
        ("web", Some("node2"), None),
        ("", None, None),
        ("nothing", None, None),
    ] {
        assert_eq!(
            found(&index, reference, backend).as_deref(),
            expected,
            "{reference} {backend:?}"
        );
    }
    assert_eq!(index.container("aaa", None), Lookup::SamePrefix(2));
    assert!(matches!(index.container("twin", None), Lookup::SameName(both) if both.len() == 2));
}

#[test]
fn events_keep_the_index_true() {
    let index = Index::default();
    let node: BackendName = "node1".into();
    let event = |action: &str, name: &str| Event {
        kind: "container".into(),
        action: action.into(),
        actor: serde_json::from_str(&format!(
            r#"{{"ID":"abc","Attributes":{{"name":"{name}"}}}}"#
        ))
        .unwrap(),
        time_nano: 0,
    };
    let counts = || index.counts().get(&node).copied().unwrap_or_default();
    index.follow(&node, &event("create", "x"));
    assert_eq!(
        (counts().total, counts().running, counts().fresh),
        (1, 0, 1)
    );
    index.follow(&node, &event("start", "x"));
    index.created(&node, "abc", Some("x"), None);
    assert_eq!(
        (counts().total, counts().running, counts().fresh),
        (1, 1, 0)
    );
    index.exec_created(&node, "e1");
    assert_eq!(index.exec("e1").as_deref(), Some("node1"));
    index.follow(&node, &event("rename", "y"));
    assert_eq!(found(&index, "x", None), None);
    assert_eq!(found(&index, "y", None).as_deref(), Some("abc"));
    index.follow(&node, &event("destroy", "y"));
    assert_eq!(counts(), Counts::default());
}

#[tokio::test]
async fn a_list_is_all_that_a_backend_has() {
    let index = index();
    let two: BackendName = "node2".into();
    let listed = |id: &str, name: &str, stage, group: Option<Group>| {
        (id.to_owned(), Some(name.to_owned()), stage, group)
    };
    let shop: Option<Group> = Some("shop".into());
    let listing = Listing {
        containers: vec![
            listed("aaa2", "db", Stage::Running, shop.clone()),
            listed("bbb1", "renamed", Stage::Running, None),
            listed("ddd1", "new", Stage::Created(Instant::now()), shop),
        ],
        ..Listing::default()
    };
    index.replace(&two, listing).await;
    let counts = index.counts()["node2"];
    assert_eq!((counts.total, counts.running, counts.fresh), (3, 2, 1));
    assert_eq!(found(&index, "aaa1x", None), None);
    assert_eq!(found(&index, "renamed", None).as_deref(), Some("bbb1"));
    assert_eq!(found(&index, "twin", None).as_deref(), Some("ccc1"));
    assert_eq!(index.home("shop"), Some(two));
    index.keep_only(|name| name == "node1");
    assert_eq!(index.home("shop"), None);
    assert_eq!(index.counts().len(), 1);
    assert_eq!(found(&index, "d", None), None);
    assert_eq!(found(&index, "a", None).as_deref(), Some("aaa1"));
}
