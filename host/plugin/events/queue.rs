//! The notices that wait for one plugin: so many and no more.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{Notice, Told};

/// How many notices wait.
const NOTICES: usize = 1024;
/// The bytes of JSON that wait.
const BYTES: usize = 8 << 20;
/// How many notices one call is given.
const BATCH: usize = 64;
/// The bytes of JSON that one call is given, unless they are of a single notice.
const BATCH_BYTES: usize = 1 << 20;

/// What waits for one plugin. It outlives the component: a new one goes on where the old one ended.
#[derive(Default)]
pub(in crate::plugin) struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
    reloads: Notify,
    /// Whether somebody takes out what waits.
    fed: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    notices: VecDeque<Told>,
    bytes: usize,
    /// How many were dropped since the last one came in.
    gap: u64,
    delivered: u64,
    dropped: u64,
}

impl Queue {
    /// Takes a notice in unless there is no room. Returns how many were dropped in all whenever that has doubled.
    pub(super) fn push(&self, notice: &Arc<Notice>) -> Option<u64> {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes + notice.size();
        if waiting.notices.len() == NOTICES || bytes > BYTES {
            waiting.gap += 1;
            let before = waiting.dropped;
            waiting.dropped += 1;
            return (before.checked_ilog2() != waiting.dropped.checked_ilog2())
                .then_some(waiting.dropped);
        }
        let (notice, dropped) = (notice.clone(), std::mem::take(&mut waiting.gap));
        waiting.notices.push_back(Told { notice, dropped });
        waiting.bytes = bytes;
        drop(waiting);
        self.news.notify_one();
        None
    }

    /// Waits until there is something.
    pub(super) async fn filled(&self) {
        while self.waiting().notices.is_empty() {
            self.news.notified().await;
        }
    }

    /// Takes out what one call is given: the oldest, at least one unless nothing waits.
    pub(super) fn take(&self) -> Vec<Told> {
        let mut waiting = self.waiting();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = waiting.notices.front() {
            bytes += next.notice.size();
            if batch.len() == BATCH || (bytes > BATCH_BYTES && !batch.is_empty()) {
                break;
            }
            waiting.bytes -= next.notice.size();
            batch.extend(waiting.notices.pop_front());
        }
        batch
    }

    pub(super) fn delivered(&self, batch: &[Told]) {
        self.waiting().delivered += count(batch);
    }

    /// Counts what a call was given that failed; the next notice tells of the gap.
    pub(super) fn failed(&self, batch: &[Told]) {
        let told: u64 = batch.iter().map(|told| told.dropped).sum();
        let mut waiting = self.waiting();
        waiting.dropped += count(batch);
        let missing = told + count(batch);
        match waiting.notices.front_mut() {
            Some(next) => next.dropped += missing,
            None => waiting.gap += missing,
        }
    }

    /// Forgets what waits for a plugin that no longer wants to hear it.
    pub(super) fn clear(&self) {
        let mut waiting = self.waiting();
        waiting.notices.clear();
        waiting.bytes = 0;
        waiting.gap = 0;
    }

    /// True for the first who asks, who has to feed the plugin then. Others end the rest of the one who does.
    pub(super) fn begin(&self) -> bool {
        let begins = !self.fed.swap(true, Ordering::Relaxed);
        if !begins {
            self.reloads.notify_one();
        }
        begins
    }

    /// Waits for another component.
    pub(super) async fn reloaded(&self) {
        self.reloads.notified().await;
    }

    /// How many notices reached the plugin, and how many were dropped.
    pub(in crate::plugin) fn counts(&self) -> (u64, u64) {
        let waiting = self.waiting();
        (waiting.delivered, waiting.dropped)
    }

    /// How many notices wait.
    #[cfg(test)]
    pub(in crate::plugin) fn waits(&self) -> usize {
        self.waiting().notices.len()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(batch: &[Told]) -> u64 {
    batch.len() as u64
}

#[cfg(test)]
mod tests {
    use super::{super::What, *};

    fn notice(bytes: usize) -> Arc<Notice> {
        let json = "x".repeat(bytes);
        let what = What::Docker(serde_json::from_str("{}").unwrap(), json);
        Arc::new(Notice::now("node1".into(), what))
    }

    #[test]
    fn what_comes_when_the_queue_is_full_is_dropped_counted_and_told() {
        let queue = Queue::default();
        let said = (0..NOTICES + 9).filter_map(|_| queue.push(&notice(1)));
        assert_eq!(said.collect::<Vec<_>>(), [1, 2, 4, 8]);
        assert_eq!(queue.counts(), (0, 9));
        let batch = queue.take();
        assert_eq!(batch.len(), BATCH);
        queue.delivered(&batch);
        assert_eq!(queue.counts(), (64, 9));
        queue.push(&notice(1));
        queue.push(&notice(1));
        let mut rest = Vec::new();
        while queue.waiting().bytes > 0 {
            rest.extend(queue.take());
        }
        let gaps: Vec<_> = rest.iter().map(|told| told.dropped).collect();
        assert_eq!(gaps[gaps.len() - 2..], [9, 0]);
        assert_eq!(gaps.iter().sum::<u64>(), 9);
    }

    #[test]
    fn a_call_is_given_a_mebibyte_or_a_single_notice() {
        let queue = Queue::default();
        for size in [BATCH_BYTES / 2, BATCH_BYTES / 2, 1, BATCH_BYTES * 2, 1] {
            queue.push(&notice(size));
        }
        let taken = std::iter::repeat_with(|| queue.take().len());
        assert_eq!(taken.take(5).collect::<Vec<_>>(), [2, 1, 1, 1, 0]);
        queue.push(&notice(BYTES));
        assert_eq!(queue.push(&notice(1)), Some(1));
    }

    #[test]
    fn the_next_notice_tells_what_failed_calls_were_given() {
        let queue = Queue::default();
        queue.push(&notice(1));
        queue.failed(&queue.take());
        queue.push(&notice(1));
        queue.push(&notice(1));
        let batch = queue.take();
        assert_eq!((batch[0].dropped, batch[1].dropped), (1, 0));
        queue.push(&notice(1));
        queue.failed(&batch);
        assert_eq!(queue.take()[0].dropped, 3);
        assert_eq!(queue.counts(), (0, 3));
    }
}
