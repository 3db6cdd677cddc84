//! Waiting for what happens by itself: asked again and again until a deadline, never for a fixed time.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until the expression is true and fails with its text at the deadline (30 s unless given).
#[macro_export]
macro_rules! eventually {
    ($condition:expr) => {
        $crate::eventually!($condition, $crate::harness::DEADLINE)
    };
    ($condition:expr, $deadline:expr) => {
        assert!(
            $crate::harness::holds(|| $condition, $deadline),
            "not within {:?}: {}",
            $deadline,
            stringify!($condition)
        )
    };
}

/// Returns whether the condition became true in time.
pub(crate) fn holds(mut condition: impl FnMut() -> bool, deadline: Duration) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(25));
    }
}
