//! What has happened, told to plugins that hear it, fail, hang, or are replaced.

use std::fs;

use arc_swap::ArcSwap;

use super::*;
use crate::{plugin::failure::Failure, shutdown::Shutdown};

/// An `event` hook from the body of its function, which returns the address of its answer.
fn ear(body: &str) -> Vec<u8> {
    let function =
        r#"(func (export "flocker:plugin/event@0.1.0#observe") (param i32 i32) (result i32)"#;
    guests::component("event-hook", "", &format!("{function} {body})"))
}

/// Hears everything.
const HEARS: &str = "(i32.const 16)";

/// Plugins that are fed; that ends with this.
struct Fed {
    plugins: Arc<ArcSwap<Plugins>>,
    shutdown: Shutdown,
}

impl Fed {
    async fn new(configs: &[PluginConfig]) -> Self {
        let fed = Self {
            plugins: Arc::new(ArcSwap::from_pointee(plugins(configs).await)),
            shutdown: Shutdown::new(),
        };
        fed.feed();
        fed
    }

    fn feed(&self) {
        for ear in self.plugins.load().ears() {
            let feeding = ear.feed(self.plugins.clone(), Scene::empty, self.shutdown.clone());
            self.shutdown.spawn("events", feeding);
        }
    }

    fn offer(&self, count: usize) {
        for _ in 0..count {
            let notice = Notice::now("node1".into(), What::Up);
            self.plugins.load().offer(notice);
        }
    }

    /// Lets the first plugin fail so often that it rests longer than the test takes.
    fn tire(&self) {
        let plugins = self.plugins.load();
        let failed = Err::<(), _>(Failure::broken("it is tired"));
        for _ in 0..20 {
            plugins.chain[0].component.record.note(Hook::Event, &failed);
        }
    }

    /// What each plugin was given, and what was dropped.
    fn counts(&self) -> Vec<(u64, u64)> {
        let tallies = self.plugins.load().tallies().into_iter();
        tallies
            .map(|tally| (tally.events, tally.events_dropped))
            .collect()
    }

    /// Waits until the counts are these.
    async fn reaches(&self, expected: &[(u64, u64)]) {
        let reached = async {
            while self.counts() != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(10), reached).await;
        assert!(reached.is_ok(), "{:?}, not {expected:?}", self.counts());
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

#[tokio::test]
async fn without_the_hook_nobody_hears_and_nothing_runs() {
    let folder = Folder::new();
    let deaf = plugins(&[folder.plugin("deaf", &guests::decision(None, None))]).await;
    assert!(!deaf.hears());
    assert!(deaf.ears().is_empty());
    let hearing = plugins(&[folder.plugin("ear", &ear(HEARS))]).await;
    assert!(hearing.hears());
    assert_eq!(hearing.ears().len(), 1);
    assert!(hearing.ears().is_empty(), "each is fed once");
}

#[tokio::test]
async fn every_plugin_hears_everything_whatever_the_others_do_and_a_shadow_too() {
    let folder = Folder::new();
    let mut shadow = folder.plugin("shadow", &ear(HEARS));
    shadow.shadow = true;
    let configs = [
        folder.plugin("traps", &ear("unreachable")),
        folder.plugin("hears", &ear(HEARS)),
        shadow,
    ];
    let fed = Fed::new(&configs).await;
    for count in 1..=3 {
        fed.offer(1);
        fed.reaches(&[(0, count), (count, 0), (count, 0)]).await;
    }
    assert_eq!(fed.plugins.load().tallies()[0].failures, 3);
    // What comes while the first one rests waits for it alone.
    fed.tire();
    fed.offer(3);
    fed.reaches(&[(0, 3), (6, 0), (6, 0)]).await;
    assert_eq!(fed.plugins.load().chain[0].events.waits(), 3);
}

#[tokio::test]
async fn a_refusal_is_a_failure() {
    let refusal = r#"(i32.store8 (i32.const 16) (i32.const 1)) (i32.store16 (i32.const 24) (i32.const 403)) (i32.const 16)"#;
    let folder = Folder::new();
    let fed = Fed::new(&[folder.plugin("p", &ear(refusal))]).await;
    fed.offer(1);
    fed.reaches(&[(0, 1)]).await;
    assert_eq!(fed.plugins.load().tallies()[0].failures, 1);
}

#[tokio::test]
async fn what_a_plugin_that_hangs_cannot_take_is_dropped_and_counted() {
    let folder = Folder::new();
    let config = within(
        60_000,
        folder.plugin("hangs", &ear("(loop $again (br $again)) unreachable")),
    );
    let fed = Fed::new(&[config]).await;
    fed.offer(1);
    // It hangs with what it was given first; the queue holds 1,024 more.
    let plugins = fed.plugins.load_full();
    while plugins.chain[0].events.waits() > 0 {
        tokio::task::yield_now().await;
    }
    fed.offer(1024 + 7);
    assert_eq!(fed.counts(), [(0, 7)]);
}

#[tokio::test]
async fn what_waits_and_what_comes_goes_to_the_new_component_at_once() {
    let folder = Folder::new();
    let config = folder.plugin("p", &ear("unreachable"));
    let fed = Fed::new(std::slice::from_ref(&config)).await;
    fed.offer(1);
    fed.reaches(&[(0, 1)]).await;
    fed.tire();
    fed.offer(7);
    fs::write(config.source.path().unwrap(), ear(HEARS)).unwrap();
    let Ok(Reload::Fresh(fresh)) = fed.plugins.load().reload("p").await else {
        panic!("nothing changed");
    };
    fed.plugins.store(fresh);
    fed.feed();
    fed.reaches(&[(7, 1)]).await;
    fed.offer(2);
    fed.reaches(&[(9, 1)]).await;
}

#[tokio::test]
async fn a_component_that_wants_to_hear_may_come_later_and_go_again() {
    let folder = Folder::new();
    let config = folder.plugin("p", &guests::decision(None, None));
    let fed = Fed::new(std::slice::from_ref(&config)).await;
    fed.offer(3);
    for (file, counts) in [
        (ear(HEARS), (2, 0)),
        (guests::decision(None, None), (2, 0)),
        (ear(HEARS), (4, 0)),
    ] {
        fs::write(config.source.path().unwrap(), file).unwrap();
        let Ok(Reload::Fresh(fresh)) = fed.plugins.load().reload("p").await else {
            panic!("nothing changed");
        };
        fed.plugins.store(fresh);
        fed.feed();
        fed.offer(2);
        fed.reaches(&[counts]).await;
    }
}
