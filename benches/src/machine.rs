//! The words before the table: which machine, which rivals, how it was measured.

use std::{fs, process::Command};

use anyhow::Result;

use crate::contestants::Setup;

pub(crate) fn described(setup: &Setup) -> Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |model| {
            model.trim_start_matches([' ', '\t', ':'])
        });
    let count = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let rounds = setup.rounds;
    let size = setup.size("`make bench`", "`make bench-quick`: too short to be quoted");
    Ok(format!(
        "# Measured side by side

Written by {size}, with {rounds} rounds in which the contestants take turns. {count} CPUs ({model}), Linux {kernel}, loopback; {haproxy}, {nginx}.

A cell is the median of the rounds; in brackets how many times HAProxy's with splice that is (the median of the ratios within
a round). Only the ratios mean something on another day. The proxy has CPU {proxy} for itself, load and daemon have CPU{others}:
so each contestant has one CPU, and one thread for its work. CPU time is user and system time of all its threads and
children. Everything that comes back is verified.
The two ends of an echo have real-time priority on their CPU: a byte that has come through the proxy never waits there.

",
        kernel = kernel.trim(),
        haproxy = version("haproxy", "-v"),
        nginx = version("nginx", "-v"),
        proxy = setup.cpus.proxy,
        others = match (setup.cpus.load, setup.cpus.daemon) {
            (load, daemon) if load == daemon => format!(" {load}"),
            (load, daemon) => format!("s {load} and {daemon}"),
        },
    ))
}

/// `HAProxy version 2.6.12-1+deb12u4`
fn version(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return format!("no {program}");
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().next().unwrap_or_default();
    let words: Vec<&str> = first.split(' ').take(3).collect();
    words.join(" ")
}
