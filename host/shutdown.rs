//! The end of flockerd: every long task is told to finish, waited for, and cut off when the grace is over.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use pin_project_lite::pin_project;
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

/// How long a task that was cut off may take to notice, for example one that is busy without awaiting.
const CUT_LIMIT: Duration = Duration::from_secs(1);

/// The tasks of one flockerd and the two signals that end them: finish, then cut.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    finish: Signal,
    cut: Signal,
    tasks: TaskTracker,
}

/// Given once, heard by everybody.
#[derive(Debug, Clone, Default)]
struct Signal {
    is_given: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Signal {
    fn give(&self) {
        self.is_given.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn heard(&self) -> Heard {
        Heard {
            signal: self.clone(),
            waiting: self.token.clone().cancelled_owned(),
            is_waiting: false,
        }
    }
}

pin_project! {
    /// Resolves when its signal has been given. Every connection polls it whenever there is something to do, and a token
    /// has a lock that all of them share: so the task is entered there once, and the flag tells the rest.
    struct Heard {
        signal: Signal,
        #[pin]
        waiting: WaitForCancellationFutureOwned,
        is_waiting: bool,
    }
}

impl Future for Heard {
    type Output = ();

    /// Whoever polls first is woken: a task that has begun to wait does not hand this to another.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.signal.is_given.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if std::mem::replace(this.is_waiting, true) {
            return Poll::Pending;
        }
        this.waiting.poll(cx)
    }
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task, which is dropped at its next await when the grace is over. A panic in it is logged.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.heard();
        // In a box, for what is handed on inside of a future takes its room twice.
        let task = Box::pin(task);
        let until_cut = async move {
            tokio::select! {
                biased;
                () = cut => tracing::debug!(task = name, "task cut off"),
                () = task => {}
            }
        };
        self.tasks.spawn(async move {
            if AssertUnwindSafe(until_cut).catch_unwind().await.is_err() {
                tracing::error!(task = name, "task panicked");
            }
        });
    }

    /// Resolves when the shutdown has begun: accept nothing new, finish what is under way, return.
    pub async fn cancelled(&self) {
        self.finish.heard().await;
    }

    /// Begins the shutdown; doing so again changes nothing.
    pub fn begin(&self) {
        self.finish.give();
    }

    /// Begins the shutdown if need be, waits for the tasks and cuts off those that outlast the grace.
    ///
    /// Returns whether every task ended by itself.
    pub async fn drained(&self, grace: Duration) -> bool {
        self.begin();
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(
            tasks = self.tasks.len(),
            "grace is over, cutting off what still runs"
        );
        self.cut.give();
        if timeout(CUT_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::error!(tasks = self.tasks.len(), "tasks did not end");
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use tokio::time::{Instant, sleep};

    use super::*;

    /// Counts when dropped, whether its task ended or was cut off.
    struct Ended(Arc<AtomicU32>);

    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const GRACE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_finish_are_waited_for() {
        let (shutdown, count) = (Shutdown::new(), Arc::new(AtomicU32::new(0)));
        for seconds in [0, 3, 9] {
            let (mine, ended) = (shutdown.clone(), Ended(count.clone()));
            shutdown.spawn("call", async move {
                let _ended = ended;
                mine.cancelled().await;
                sleep(Duration::from_secs(seconds)).await;
            });
        }
        let start = Instant::now();
        assert!(shutdown.drained(GRACE).await);
        assert_eq!(count.load(Ordering::Relaxed), 3);
        assert_eq!(start.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_go_on_are_cut_off_after_the_grace() {
        let (shutdown, count) = (Shutdown::new(), Arc::new(AtomicU32::new(0)));
        let ended = Ended(count.clone());
        shutdown.spawn("session", async move {
            let _ended = ended;
            pending::<()>().await;
        });
        let start = Instant::now();
        assert!(!shutdown.drained(GRACE).await);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(start.elapsed().as_secs(), GRACE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_started_while_draining_are_waited_for() {
        let (shutdown, count) = (Shutdown::new(), Arc::new(AtomicU32::new(0)));
        let (mine, ended) = (shutdown.clone(), Ended(count.clone()));
        shutdown.spawn("listener", async move {
            mine.cancelled().await;
            mine.spawn("connection", async move {
                let _ended = ended;
                sleep(Duration::from_secs(2)).await;
            });
        });
        assert!(shutdown.drained(GRACE).await);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_task_alone() {
        let shutdown = Shutdown::new();
        let mine = shutdown.clone();
        shutdown.spawn("broken", async { panic!("as the test wants") });
        shutdown.spawn("sound", async move { mine.cancelled().await });
        tokio::task::yield_now().await;
        assert!(timeout(GRACE, shutdown.cancelled()).await.is_err());
        assert!(shutdown.drained(GRACE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_cancelled_before_it_begins() {
        let shutdown = Shutdown::new();
        assert!(timeout(GRACE, shutdown.cancelled()).await.is_err());
        shutdown.begin();
        shutdown.begin();
        assert!(timeout(GRACE, shutdown.cancelled()).await.is_ok());
        assert!(shutdown.drained(Duration::ZERO).await);
    }
}
