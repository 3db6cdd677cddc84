//! The pipes that bulk flows through: few, shared by all streams, within what the process's user may have.
//!
//! A stream has one only while there are bytes in it. The last one given back, whose pages are the warmest, is the next
//! one taken; those that nobody needs are closed.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use super::limits::Limits;

/// How long a pipe that nobody needed is kept, and how long nothing is asked of a system that has refused.
const IDLE: Duration = Duration::from_secs(10);
/// Pipes that hold less than this are not worth their calls: the buffer that bytes are copied through holds as much.
const LEAST: usize = 64 << 10;

/// All pipes of the process.
pub struct Pipes {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Ends>,
    /// The fewest that were idle since the last look.
    spare: usize,
    /// Those that exist, and what they can hold.
    count: usize,
    bytes: usize,
    /// The system has refused one since the last look.
    refused: bool,
    watched: bool,
}

/// A pipe that is there.
struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
    size: usize,
}

impl Pipes {
    /// As many as this process may have.
    pub fn new() -> Arc<Self> {
        Self::within(Limits::of_process())
    }

    pub(super) fn within(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// Takes an empty pipe; none where the budget is used up or the system refuses.
    pub(super) fn take(self: &Arc<Self>) -> Option<Pipe<'_>> {
        // The state is unlocked before another pipe is made.
        let idle = self.state().pop();
        let ends = idle.or_else(|| self.add())?;
        Some(Pipe {
            pipes: self,
            ends: Some(ends),
            holds: 0,
        })
    }

    /// Makes another pipe if there may be one.
    fn add(self: &Arc<Self>) -> Option<Ends> {
        if !self.state().reserve(&self.limits) {
            return None;
        }
        let made = Ends::make(self.limits.size);
        let mut state = self.state();
        state.bytes -= self.limits.size;
        match &made {
            Some(ends) => state.bytes += ends.size,
            None => (state.count, state.refused) = (state.count - 1, true),
        }
        if !state.watched {
            state.watched = true;
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        made
    }

    fn give_back(&self, ends: Ends) {
        self.state().idle.push(ends);
    }

    fn close(&self, ends: Ends) {
        let mut state = self.state();
        state.count -= 1;
        state.bytes -= ends.size;
    }

    /// Closes what nobody has needed since the last time; false when there is nothing left to look after.
    fn tidy(&self) -> bool {
        let mut state = self.state();
        // The oldest first.
        let spare = state.spare;
        let closed: Vec<Ends> = state.idle.drain(..spare).collect();
        state.count -= closed.len();
        state.bytes -= closed.iter().map(|ends| ends.size).sum::<usize>();
        state.spare = state.idle.len();
        state.refused = false;
        state.watched = state.count > 0;
        state.watched
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pipes exist, and how many of them are taken.
    #[cfg(test)]
    pub(super) fn counted(&self) -> (usize, usize) {
        let state = self.state();
        (state.count, state.count - state.idle.len())
    }
}

impl State {
    fn pop(&mut self) -> Option<Ends> {
        let ends = self.idle.pop();
        self.spare = self.spare.min(self.idle.len());
        ends
    }

    /// Counts a pipe that will be made, if the budget has room for it.
    fn reserve(&mut self, limits: &Limits) -> bool {
        let may =
            !self.refused && self.count < limits.count && self.bytes + limits.size <= limits.bytes;
        if may {
            self.count += 1;
            self.bytes += limits.size;
        }
        may
    }
}

/// Looks after the pipes as long as there are any.
async fn watch(pipes: Weak<Pipes>) {
    loop {
        tokio::time::sleep(IDLE).await;
        match pipes.upgrade() {
            Some(pipes) if pipes.tidy() => {}
            _ => return,
        }
    }
}

impl Ends {
    /// Makes a pipe of this size, or of what its user gets over the limit; none where that is too small, or out of
    /// descriptors.
    fn make(size: usize) -> Option<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let size = fcntl_setpipe_size(&writer, size)
            .or_else(|_| fcntl_getpipe_size(&writer))
            .ok()?;
        (size >= LEAST).then_some(Self {
            reader,
            writer,
            size,
        })
    }
}

/// A pipe that is taken; given back when this is dropped, but for one with bytes in it, which is closed.
pub(super) struct Pipe<'a> {
    pipes: &'a Pipes,
    /// There until it is dropped.
    ends: Option<Ends>,
    holds: usize,
}

impl Pipe<'_> {
    /// Fills the pipe from a socket; zero at its end.
    ///
    /// # Errors
    /// Those of the socket; it would block when nothing is there.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let filled = once(from, &ends.writer, ends.size)?;
        self.holds += filled;
        Ok(filled)
    }

    /// Empties the pipe into a socket, as far as that takes it.
    ///
    /// # Errors
    /// Those of the socket; it would block when it is full.
    pub(super) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let drained = once(&ends.reader, to, self.holds)?;
        self.holds -= drained;
        Ok(drained)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds == 0
    }
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        match self.ends.take() {
            Some(ends) if self.holds == 0 => self.pipes.give_back(ends),
            Some(ends) => self.pipes.close(ends),
            None => {}
        }
    }
}

/// `SPLICE_F_MORE` is not given: it corks TCP for up to 200 ms.
fn once(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, length, flags)?)
}
