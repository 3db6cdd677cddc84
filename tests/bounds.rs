//! What a hostile plugin can take at most: time, memory, log, room in the state store. The bounds are those of
//! `docs/plugins/limits.md`.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    harness::{FakeDocker, Flockerd, Reply},
    plugins::{body, create, entry, fakes, over},
};

const MIB: usize = 1 << 20;

/// What the tests allow `hostile` as `memory`.
const MEMORY: usize = 96 * MIB;

/// What flockerd may take besides a plugin's own memory while it runs a call.
const OVERHEAD: usize = 64 * MIB;

/// How long after its timeout a call may end, on a machine that does other things too.
const GRACE: Duration = Duration::from_secs(5);

/// Creates of one name wait for each other, these do not.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What an answer may have, with a reason that was cut.
const ANSWER: usize = 16 << 10;

fn hostile(behaviour: &str, hook: &str, settings: &str) -> String {
    let settings = format!("memory = \"96MiB\"\n{settings}");
    let config = format!("{{ behaviour = {behaviour:?}, hook = {hook:?} }}");
    entry("hostile", &settings, &config)
}

fn probe() -> String {
    entry("probe", "name = \"probe\"", "{}")
}

fn in_memory(fakes: &[FakeDocker; 2], plugins: &str) -> Flockerd {
    let builder = Flockerd::over_fakes(&[&fakes[0], &fakes[1]]);
    builder.arg("--state").arg("memory").toml(plugins).start()
}

/// Creates a container; how long that took, and by how much flockerd grew meanwhile.
#[track_caller]
fn costs(flockerd: &Flockerd, status: u16) -> (Reply, Duration, usize) {
    flockerd.forget_peak();
    let (before, _) = flockerd.resident();
    let begun = Instant::now();
    let reply = create(flockerd, "x", &body()).expect(status);
    let (_, peak) = flockerd.resident();
    (reply, begun.elapsed(), peak.saturating_sub(before))
}

/// What the probe tells: how often it was asked for a place.
#[track_caller]
fn probed(flockerd: &Flockerd) -> Value {
    let reply = flockerd.api().get("/probe").expect(200);
    reply.json()["calls"].clone()
}

#[test]
fn what_never_ends_is_cut_at_its_timeout() {
    for behaviour in ["loop", "keys"] {
        let fakes = fakes();
        let flockerd = in_memory(&fakes, &hostile(behaviour, "route", "timeout = \"300ms\""));
        let (reply, took, grew) = costs(&flockerd, 500);
        assert!(
            reply.message().contains("no answer within 300ms"),
            "{behaviour}: {}",
            reply.message()
        );
        assert!(
            took < Duration::from_millis(300) + GRACE,
            "{behaviour}: {took:?}"
        );
        assert!(grew < OVERHEAD, "{behaviour}: {grew} bytes");
    }
}

#[test]
fn memory_and_stack_end_at_their_limits() {
    for (behaviour, reason) in [
        ("memory", "out of memory"),
        ("giant", "handed over more than"),
        ("recurse", "its stack overflowed"),
    ] {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile(behaviour, "route", "timeout = \"20s\""));
        for _ in 0..3 {
            let (reply, took, grew) = costs(&flockerd, 500);
            assert!(reply.message().contains(reason), "{}", reply.message());
            assert!(
                took < Duration::from_secs(20) + GRACE,
                "{behaviour}: {took:?}"
            );
            assert!(grew < MEMORY + OVERHEAD, "{behaviour}: {grew} bytes");
        }
        let (after, _) = flockerd.resident();
        let fresh = over(&fakes, &probe()).resident().0;
        assert!(
            after < fresh + OVERHEAD,
            "{behaviour}: {after} bytes stay, {fresh} are usual"
        );
    }
}

#[test]
fn of_a_gigabyte_64_kib_are_logged() {
    for behaviour in ["log", "print"] {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile(behaviour, "route", "timeout = \"60s\""));
        let (_, took, grew) = costs(&flockerd, 201);
        assert!(took < Duration::from_secs(60), "{behaviour}: {took:?}");
        assert!(grew < OVERHEAD, "{behaviour}: {grew} bytes");
        crate::eventually!(flockerd.log().contains("xxx"));
        let log = flockerd.log();
        let written = log.bytes().filter(|byte| *byte == b'x').count();
        assert!(
            (60 << 10..65 << 10).contains(&written),
            "{behaviour}: {written} bytes"
        );
        let said = log
            .matches("the rest of the plugin's log is dropped")
            .count();
        assert_eq!(said, 1, "{behaviour}");
    }
}

/// With a file every write waits for the disk; in memory nothing ever waits, so that only flockerd can make it.
#[test]
fn who_hammers_the_state_store_holds_up_nobody() {
    let fakes = fakes();
    let plugins = probe() + &hostile("keys", "route", "timeout = \"3s\"");
    for flockerd in [in_memory(&fakes, &plugins), over(&fakes, &plugins)] {
        thread::scope(|scope| {
            let hammer = |name| create(&flockerd, name, &body()).expect(500);
            let hammering = NAMES.map(|name| scope.spawn(move || hammer(name)));
            crate::eventually!(probed(&flockerd) == json!(4));
            let mut calls = 0;
            while !hammering.iter().all(thread::ScopedJoinHandle::is_finished) {
                let begun = Instant::now();
                assert_eq!(probed(&flockerd), json!(4), "another plugin's key is whole");
                assert!(
                    begun.elapsed() < Duration::from_secs(2),
                    "{:?}",
                    begun.elapsed()
                );
                calls += 1;
            }
            assert!(calls > 5, "{calls} calls while four plugins hammer");
        });
    }
}

#[test]
fn a_plugin_fills_its_own_part_of_the_state_store_and_no_more() {
    let fakes = fakes();
    let plugins = probe() + &hostile("fill", "route", "timeout = \"30s\"");
    let flockerd = in_memory(&fakes, &plugins);
    let (reply, _, first) = costs(&flockerd, 500);
    assert!(
        reply
            .message()
            .contains("67108864 are allowed: delete some"),
        "{}",
        reply.message()
    );
    assert!(first < 64 * MIB + OVERHEAD, "{first} bytes");
    let (_, _, again) = costs(&flockerd, 500);
    assert!(again < 64 * MIB + OVERHEAD, "{again} bytes");
    assert_eq!(probed(&flockerd), json!(2), "the probe can still write");
}

#[test]
fn the_end_waits_for_no_plugin() {
    let fakes = fakes();
    let plugins = probe() + &hostile("loop", "route", "timeout = \"60s\"");
    let mut flockerd = over(&fakes, &plugins);
    let mut call = flockerd.api().connect();
    let json = [("content-type", "application/json")];
    let path = "/containers/create";
    call.request("POST", path, &json, body().to_string().as_bytes());
    crate::eventually!(probed(&flockerd) == json!(1));
    let begun = Instant::now();
    flockerd.signal("TERM");
    crate::eventually!(flockerd.log().contains("draining"));
    flockerd.signal("TERM");
    assert_eq!(flockerd.wait(), 0);
    assert!(begun.elapsed() < GRACE * 2, "{:?}", begun.elapsed());
}

#[test]
fn what_flockerd_says_about_a_plugin_counts_for_its_log() {
    let fakes = fakes();
    let flockerd = over(&fakes, &hostile("requests", "route", "timeout = \"60s\""));
    create(&flockerd, "x", &body()).expect(201);
    let dropped = "the rest of the plugin's log is dropped";
    crate::eventually!(flockerd.log().contains(dropped));
    create(&flockerd, "y", &body()).expect(201);
    crate::eventually!(flockerd.log().matches(dropped).count() == 2);
    let length = flockerd.log().len();
    assert!(length < 256 << 10, "{length} bytes of log");
}

#[test]
fn calls_beyond_the_instances_wait_in_their_timeout_and_no_other_plugin_waits() {
    let fakes = fakes();
    let hostile = hostile("loop", "route", "timeout = \"2s\"\ninstances = 1");
    let flockerd = over(&fakes, &(probe() + &hostile));
    let begun = Instant::now();
    thread::scope(|scope| {
        let stick = |name| create(&flockerd, name, &body()).expect(500);
        let stuck = NAMES.map(|name| scope.spawn(move || stick(name)));
        crate::eventually!(probed(&flockerd) == json!(4));
        for _ in 0..10 {
            let begun = Instant::now();
            probed(&flockerd);
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{:?}",
                begun.elapsed()
            );
        }
        for call in stuck {
            let message = call.join().unwrap().message();
            assert!(message.contains("no answer within 2s"), "{message}");
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(2) + GRACE,
        "not one after another"
    );
}

#[test]
fn giant_strings_are_cut_or_refused_whichever_way_they_go() {
    for (behaviour, hook, status, reason) in [
        (
            "giant-key",
            "route",
            500,
            "handed over more than 16777216 bytes",
        ),
        (
            "giant-value",
            "route",
            500,
            "handed over more than 16777216 bytes",
        ),
        (
            "giant-message",
            "route",
            500,
            "handed over more than 16777216 bytes",
        ),
        (
            "giant-config",
            "route",
            500,
            "handed over more than 16777216 bytes",
        ),
        ("giant", "map", 500, "handed over more than 16777216 bytes"),
        ("giant-reason", "route", 500, "xxx"),
        ("giant-refusal", "route", 418, "xxx"),
        ("giant-name", "route", 500, "xxx"),
        ("giant-name", "request", 500, "65536 are allowed"),
        (
            "headers",
            "request",
            500,
            "its answer has 100000 headers, 100 are allowed",
        ),
    ] {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile(behaviour, hook, "timeout = \"20s\""));
        let (reply, took, grew) = costs(&flockerd, status);
        let message = reply.message();
        assert!(message.contains(reason), "{behaviour}: {message:.200}");
        assert!(
            message.len() < ANSWER,
            "{behaviour}: {} bytes",
            message.len()
        );
        assert!(
            took < Duration::from_secs(20) + GRACE,
            "{behaviour}: {took:?}"
        );
        assert!(grew < MEMORY + OVERHEAD, "{behaviour}: {grew} bytes");
        let log = flockerd.log().len();
        assert!(log < 4 * ANSWER, "{behaviour}: {log} bytes of log");
    }
}

#[test]
fn what_was_set_before_a_trap_is_kept_and_the_next_call_works() {
    for settings in ["", "instance = \"warm\""] {
        let fakes = fakes();
        let flockerd = over(&fakes, &hostile("midway", "route", settings));
        let message = create(&flockerd, "x", &body()).expect(500).message();
        assert!(message.contains("it panicked or aborted"), "{message}");
        create(&flockerd, "x", &body()).expect(201);
    }
}
