//! How many pipes this process may have, by what the kernel allows its user.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// How much one pipe holds where its user may have so much.
const SIZE: usize = 256 << 10;
/// What all pipes hold together at most: their pages cannot be swapped out.
const BYTES: usize = 64 << 20;
/// The smallest page: larger ones leave more of the user's limit to others.
const PAGE: u64 = 4 << 10;
/// One of so many descriptors may be a pipe's.
const DESCRIPTORS: usize = 8;
/// `CAP_SYS_ADMIN` and `CAP_SYS_RESOURCE`: either lifts the user's limit, the second one that of a single pipe too.
const ADMIN: u32 = 21;
const RESOURCE: u32 = 24;

/// The budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// Of one pipe.
    pub(super) size: usize,
}

impl Limits {
    /// Half of what the user may have, for other processes of the same user share it.
    pub(super) fn of_process() -> Self {
        let fs = |name: &str| number(&format!("/proc/sys/fs/{name}"));
        let soft = fs("pipe-user-pages-soft").filter(|pages| *pages > 0 && is_counted());
        let largest = fs("pipe-max-size").filter(|_| capabilities() & (1 << RESOURCE) == 0);
        let descriptors = getrlimit(Resource::Nofile).current;
        Self::of(soft, largest, descriptors)
    }

    /// From the pages that the user may have, the largest pipe in bytes, and the process's descriptors; none is unlimited.
    fn of(soft: Option<u64>, largest: Option<u64>, descriptors: Option<u64>) -> Self {
        let within = |limit: Option<u64>, own: usize| {
            limit.map_or(own, |limit| usize::try_from(limit).unwrap_or(own).min(own))
        };
        let half = soft.map(|pages| pages.saturating_mul(PAGE) / 2);
        let pairs = descriptors.map(|descriptors| descriptors / DESCRIPTORS as u64 / 2);
        Self {
            count: within(pairs, usize::MAX),
            bytes: within(half, BYTES),
            size: within(largest, SIZE),
        }
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether the user's limit holds for this process.
pub(super) fn is_counted() -> bool {
    capabilities() & (1 << ADMIN | 1 << RESOURCE) == 0
}

/// The capabilities that this process has now, a bit for each.
fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_follows_the_limits() {
        let mebibytes = |count: usize| count << 20;
        for (given, count, bytes, size) in [
            ((None, None, None), usize::MAX, mebibytes(64), 256 << 10),
            // What Linux begins with, for a user who is not root.
            (
                (Some(16_384), Some(1 << 20), Some(1024)),
                64,
                mebibytes(32),
                256 << 10,
            ),
            ((Some(64), Some(4096), Some(20)), 1, 128 << 10, 4096),
        ] {
            let (soft, largest, descriptors) = given;
            let expected = Limits { count, bytes, size };
            assert_eq!(Limits::of(soft, largest, descriptors), expected);
        }
    }
}
