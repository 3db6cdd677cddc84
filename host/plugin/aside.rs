//! What computes for long leaves its thread to others.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// A guest that computes so long without a pause is not like the others. Shorter than the epoch's tick, which is what
/// makes it pause at all.
const BUSY: Duration = Duration::from_millis(5);

/// Runs work that turns out to compute for long on a thread of its own, so that what this thread has to do besides
/// does not wait for a guest that loops.
pub(super) async fn aside_when_busy<T>(may_leave: bool, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let first = poll_fn(|context| {
        let begun = Instant::now();
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if begun.elapsed() >= BUSY => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    match first.await {
        Some(done) => done,
        None if may_leave => block_in_place(|| Handle::current().block_on(work)),
        None => work.await,
    }
}

/// Only the runtime with many threads can give one away.
pub(super) fn can_step_aside() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}
