//! Plugins replaced while calls go on.

use std::fs;

use super::*;

/// The backend that the chain chooses.
async fn chosen(plugins: &Plugins) -> Option<String> {
    place(plugins).await.unwrap().backend
}

/// The chain after its plugin `p` was loaded again.
async fn fresh(plugins: &Plugins) -> Arc<Plugins> {
    match plugins.reload("p").await.unwrap() {
        Reload::Fresh(plugins) => plugins,
        Reload::Same | Reload::KeepsState => panic!("nothing changed"),
    }
}

#[tokio::test]
async fn a_new_file_takes_the_old_ones_place_and_the_old_chain_goes_on() {
    let folder = Folder::new();
    let config = folder.plugin("p", &guests::decision(Some("node1"), None));
    let old = plugins(std::slice::from_ref(&config)).await;
    assert!(matches!(old.reload("p").await, Ok(Reload::Same)));
    fs::write(
        config.source.path().unwrap(),
        guests::decision(Some("node2"), None),
    )
    .unwrap();
    let new = fresh(&old).await;
    assert_eq!(chosen(&old).await.as_deref(), Some("NODE1"));
    assert_eq!(chosen(&new).await.as_deref(), Some("NODE2"));
    for bad in [&b"hello"[..], b""] {
        fs::write(config.source.path().unwrap(), bad).unwrap();
        assert!(new.reload("p").await.is_err());
    }
    fs::remove_file(config.source.path().unwrap()).unwrap();
    assert!(new.reload("p").await.is_err());
    assert_eq!(chosen(&new).await.as_deref(), Some("NODE2"));
}

#[tokio::test]
async fn a_new_file_has_a_warm_instance_of_its_own() {
    let folder = Folder::new();
    let config = warm(folder.plugin("p", &counter()));
    let old = plugins(std::slice::from_ref(&config)).await;
    assert_eq!(chosen(&old).await.as_deref(), Some("0"));
    fs::write(
        config.source.path().unwrap(),
        guests::decision(Some("node1"), None),
    )
    .unwrap();
    let new = fresh(&old).await;
    assert_eq!(chosen(&new).await.as_deref(), Some("NODE1"));
    assert_eq!(chosen(&old).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_new_file_has_no_room_of_its_own() {
    let folder = Folder::new();
    let file = guests::decision(Some("node1"), None);
    for config in [
        folder.plugin("p", &counter()),
        warm(folder.plugin("p", &counter())),
    ] {
        fs::write(config.source.path().unwrap(), counter()).unwrap();
        let old = plugins(std::slice::from_ref(&config)).await;
        fs::write(config.source.path().unwrap(), &file).unwrap();
        let new = fresh(&old).await;
        let identity = |plugins: &Plugins| plugins.chain[0].component.identity.clone();
        assert!(Arc::ptr_eq(&identity(&old), &identity(&new)));
        assert_eq!(chosen(&new).await.as_deref(), Some("NODE1"));
    }
}

#[tokio::test]
async fn a_plugin_that_keeps_state_stays() {
    let folder = Folder::new();
    let config = folder.plugin("p", &guests::state());
    let plugins = plugins(std::slice::from_ref(&config)).await;
    assert!(matches!(plugins.reload("p").await, Ok(Reload::Same)));
    fs::write(config.source.path().unwrap(), guests::decision(None, None)).unwrap();
    assert!(matches!(plugins.reload("p").await, Ok(Reload::KeepsState)));
}

#[tokio::test]
async fn a_new_file_ends_the_rest_and_the_tally_goes_on() {
    let folder = Folder::new();
    let config = folder.plugin("p", &guests::route("unreachable", ""));
    let old = plugins(std::slice::from_ref(&config)).await;
    for _ in 0..5 {
        assert!(place(&old).await.is_err());
    }
    assert!(old.tallies()[0].rests.is_some());
    fs::write(
        config.source.path().unwrap(),
        guests::decision(Some("node1"), None),
    )
    .unwrap();
    let new = fresh(&old).await;
    assert_eq!(chosen(&new).await.as_deref(), Some("NODE1"));
    let tally = new.tallies().swap_remove(0);
    assert_eq!((tally.calls, tally.failures, tally.rests), (6, 5, None));
}

#[test]
fn a_thousand_reloads_leak_nothing() {
    // In a process of its own: what other tests take beside it would count as leaked.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let inside = "plugin::tests::reload::a_thousand_reloads";
    let output = child
        .args(["--exact", "--ignored", inside])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "run by `a_thousand_reloads_leak_nothing`"]
async fn a_thousand_reloads() {
    let folder = Folder::new();
    let files = ["node1", "node2"].map(|node| guests::decision(Some(node), None));
    let config = folder.plugin("p", &files[0]);
    let mut plugins = Arc::new(plugins(std::slice::from_ref(&config)).await);
    let mut settled = 0;
    for number in 1..=1000 {
        fs::write(config.source.path().unwrap(), &files[number % 2]).unwrap();
        plugins = fresh(&plugins).await;
        let expected = format!("NODE{}", number % 2 + 1);
        assert_eq!(chosen(&plugins).await, Some(expected));
        if number == 200 {
            settled = resident();
        }
    }
    let grown = resident().saturating_sub(settled);
    assert!(grown < 16 << 20, "{grown} bytes after 800 reloads");
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
