//! The containers of all backends as one list, written while they come.
//!
//! Daemons send their newest first, so the newest of all is the newest of those that stand first, as soon as every list
//! that goes on has one there. What cannot be written yet is not read further: little more than a window of each list is
//! held. A list that is out of order comes out whole, and in order as far as a window reaches.
//!
//! What is known before the first byte is sent is told in the head. A backend that breaks off later breaks the answer
//! off, as a daemon would: it must not look whole.

#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet, binary_heap::PeekMut},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::{incoming::Incoming, listed::Listed};
use crate::{
    docker::{self, Body, BodyError},
    error::Error,
    proxy::fanout,
};

/// About how much is written at once.
const PIECE: usize = 64 << 10;
/// A list that is there and no longer than this is sent with its length.
const SHORT: usize = 256 << 10;

/// The list of all.
pub(super) struct Merged {
    lists: Vec<Incoming>,
    /// The first container of each list.
    heads: BinaryHeap<Head>,
    /// The lists whose first container is not known.
    dry: Vec<u32>,
    written: Written,
    /// How many containers are still to be listed.
    left: usize,
    piece: Vec<u8>,
    is_begun: bool,
    is_over: bool,
    patience: Patience,
}

/// The first container of a list; the greatest is listed next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    created: i64,
    /// The first bytes of its id.
    id: Reverse<u64>,
    list: Reverse<u32>,
}

impl Head {
    fn new(list: u32, listed: &Listed) -> Self {
        Self {
            created: listed.created,
            id: Reverse(listed.begin),
            list: Reverse(list),
        }
    }
}

impl Merged {
    /// At most `limit` containers of these lists. None of them may take longer than `patience` for its next part.
    pub(super) fn new(lists: Vec<Incoming>, limit: usize, patience: Duration) -> Self {
        Self {
            dry: (0..lists.len() as u32).collect(),
            heads: BinaryHeap::with_capacity(lists.len()),
            lists,
            written: Written::default(),
            left: limit,
            piece: vec![b'['],
            is_begun: false,
            is_over: false,
            patience: Patience::new(patience),
        }
    }

    /// The list as a body, of known length if it is there and short.
    pub(super) fn body(mut self) -> Body {
        let there = self.lists.iter().map(Incoming::rest).sum::<Option<usize>>();
        let now = &mut Context::from_waker(Waker::noop());
        if there.is_some_and(|length| length <= SHORT)
            && let Poll::Ready(Ok(whole)) = self.poll_piece(now, usize::MAX)
        {
            return docker::full(whole);
        }
        self.boxed_unsync()
    }

    /// The next piece of about this size, or all that is left.
    fn poll_piece(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<Result<Bytes, Error>> {
        while self.piece.len() < size && !self.is_over {
            if self.left > 0 {
                ready!(self.poll_heads(cx))?;
            }
            match self.left == 0 || self.heads.is_empty() {
                true => self.end(),
                false => self.write(),
            }
        }
        let next = match self.is_over {
            true => Vec::new(),
            false => Vec::with_capacity(size + size / 8),
        };
        Poll::Ready(Ok(mem::replace(&mut self.piece, next).into()))
    }

    /// Waits until every list that goes on has a container.
    fn poll_heads(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(dry) = self.dry.last() {
            let list = &mut self.lists[*dry as usize];
            let Poll::Ready(head) = list.poll_head(cx) else {
                ready!(self.patience.poll(cx));
                return Poll::Ready(Err(fanout::late(&list.backend, self.patience.limit)));
            };
            self.heads
                .extend(head?.map(|listed| Head::new(*dry, listed)));
            self.patience.is_tried = false;
            self.dry.pop();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the first container of all, unless it was written.
    fn write(&mut self) {
        let Some(mut first) = self.heads.peek_mut() else {
            return;
        };
        let Reverse(nth) = first.list;
        let list = &mut self.lists[nth as usize];
        if let Some((container, text, mark)) = list.pop()
            && self.written.add(container.created, container.id(text))
        {
            if mem::replace(&mut self.is_begun, true) {
                self.piece.push(b',');
            }
            container.write(text, mark, &mut self.piece);
            self.left -= 1;
        }
        match list.head() {
            Some(next) => *first = Head::new(nth, next),
            None => {
                PeekMut::pop(first);
                self.dry.push(nth);
            }
        }
    }

    fn end(&mut self) {
        self.piece.push(b']');
        self.is_over = true;
        self.lists.clear();
    }
}

impl HttpBody for Merged {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(cx, PIECE));
        Poll::Ready(Some(piece.map(Frame::data).map_err(|error| {
            tracing::warn!(%error, "a list of containers breaks off");
            error.into()
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.piece.is_empty()
    }
}

/// What was written: several backends may list a container, if two names stand for one daemon.
struct Written {
    /// The creation of the last one.
    created: i64,
    last: Vec<u8>,
    /// Those that were created in the same second.
    others: HashSet<Vec<u8>>,
    /// A newer one came behind an older one; nothing is forgotten from there on.
    is_mixed: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            created: i64::MAX,
            last: Vec::new(),
            others: HashSet::new(),
            is_mixed: false,
        }
    }
}

impl Written {
    /// False when it was written before.
    fn add(&mut self, created: i64, id: &[u8]) -> bool {
        self.is_mixed |= created > self.created;
        if created < self.created && !self.is_mixed {
            self.created = created;
            self.others.clear();
            self.last.clear();
            self.last.extend_from_slice(id);
            return true;
        }
        self.created = created;
        if self.last == id {
            return false;
        }
        self.others
            .insert(mem::replace(&mut self.last, id.to_vec()));
        !self.others.contains(id)
    }
}

/// How long one part may take to come.
struct Patience {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// It is waited for one now.
    is_tried: bool,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            is_tried: false,
        }
    }

    /// Ready when the wait that began with the first poll has been too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !mem::replace(&mut self.is_tried, true) {
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }
}
