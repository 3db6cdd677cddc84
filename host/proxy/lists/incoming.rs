//! One backend's list as it comes: its containers that are there and not yet written.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::Body as _;

use super::{
    Cut,
    listed::{Listed, MEMBERS, READ},
    mark::Mark,
};
use crate::{
    backend::Backend,
    docker::{
        Body,
        scan::{self, Item, List},
    },
    error::Error,
    proxy::{fanout::ANSWER_MAX, items},
};

/// The longest container.
const CONTAINER_MAX: usize = 16 << 20;
/// How much is added at least to a container that has begun.
const MORE: usize = 1 << 10;

/// What is listed instead of a container, by its id and its text.
pub(super) type Show = dyn Fn(&str, &str) -> Option<String> + Send + Sync;

/// What of the backends' lists is listed, and how.
#[derive(Default)]
pub(super) struct View {
    pub(super) cuts: Vec<Cut>,
    pub(super) show: Option<Box<Show>>,
}

/// The list of a backend.
pub(super) struct Incoming {
    pub(super) backend: Arc<Backend>,
    mark: Mark,
    view: Arc<View>,
    /// None when it has come whole.
    body: Option<Body>,
    list: List,
    /// What has come of a container that goes on in what comes next.
    begun: Vec<u8>,
    /// How much of it was looked at in vain.
    tried: usize,
    /// Newest first as far as they have come, each with the number of its text.
    ready: VecDeque<(Listed, u32)>,
    texts: Vec<Bytes>,
    /// An older one stands before a newer one.
    is_mixed: bool,
    /// How many bytes they have.
    held: usize,
    /// How many bytes may still come.
    room: usize,
}

impl Incoming {
    pub(super) fn new(backend: Arc<Backend>, body: Body, view: Arc<View>) -> Self {
        Self {
            mark: Mark::new(&backend.name),
            backend,
            view,
            body: Some(body),
            list: List::default(),
            begun: Vec::new(),
            tried: 0,
            ready: VecDeque::new(),
            texts: Vec::new(),
            is_mixed: false,
            held: 0,
            room: ANSWER_MAX,
        }
    }

    /// Reads until about half of so many bytes are there; the rest is for what one read brings.
    ///
    /// # Errors
    /// As [`Self::poll_head`].
    pub(super) async fn fill(mut self, window: usize) -> Result<Self, Error> {
        while self.body.is_some() && self.held < window / 2 {
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
        Ok(self)
    }

    /// How many bytes are left of it, when it has come whole.
    pub(super) fn rest(&self) -> Option<usize> {
        self.body.is_none().then_some(self.held)
    }

    /// The next container, when it has come; none at the end.
    ///
    /// # Errors
    /// [`Error::Backend`] when it breaks off; [`Error::BadAnswer`] when it is not a list of containers.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<&Listed>, Error>> {
        while self.ready.is_empty() && self.body.is_some() {
            ready!(self.poll_read(cx))?;
        }
        Poll::Ready(Ok(self.head()))
    }

    /// The next container, if it is there.
    pub(super) fn head(&self) -> Option<&Listed> {
        self.ready.front().map(|(head, _)| head)
    }

    /// Takes the next container, if it is there, with its text and what marks it.
    pub(super) fn pop(&mut self) -> Option<(Listed, &[u8], &Mark)> {
        let (head, text) = self.ready.pop_front()?;
        self.held -= head.length();
        Some((head, &self.texts[text as usize], &self.mark))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        if self.ready.is_empty() {
            // The next part may be read to where these were.
            self.texts.clear();
        }
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose();
        let is_over = body.is_end_stream() || matches!(frame, Ok(None) | Err(_));
        if is_over {
            self.body = None;
        }
        let frame = frame.map_err(|reason| {
            Error::backend(&self.backend.name, format!("the body broke off: {reason}"))
        })?;
        if let Some(Ok(part)) = frame.map(|frame| frame.into_data()) {
            self.take(&part)?;
        }
        if is_over {
            self.end()?;
        }
        self.sort();
        Poll::Ready(Ok(()))
    }

    /// Finds the containers in what came next. Only those that it cuts are copied.
    fn take(&mut self, part: &Bytes) -> Result<(), Error> {
        let room = self.room.checked_sub(part.len());
        self.room = room.ok_or_else(|| self.bad("a list that does not end"))?;
        let mut from = 0;
        while from < part.len() {
            if self.begun.is_empty() {
                let at = self.scan(part, from)?;
                return self.keep(&part[at..]);
            }
            let before = self.begun.len();
            let until = part.len().min(from + before.max(MORE));
            self.begun.extend_from_slice(&part[from..until]);
            from = until;
            // One that comes in many small parts is not looked at for each.
            if self.begun.len() < 2 * self.tried && from == part.len() {
                return Ok(());
            }
            let text = Bytes::from(mem::take(&mut self.begun));
            let at = self.scan(&text, 0)?;
            match at > before {
                true => from -= text.len() - at,
                false => self.keep(&text[at..])?,
            }
        }
        Ok(())
    }

    /// Keeps the begin of a container until its end comes.
    fn keep(&mut self, begun: &[u8]) -> Result<(), Error> {
        if begun.len() > CONTAINER_MAX {
            return Err(self.bad("a container that does not end"));
        }
        self.begun.extend_from_slice(begun);
        self.tried = begun.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let text = Bytes::from(mem::take(&mut self.begun));
        let at = self.scan(&text, 0)?;
        let end = self.list.end(&text, at);
        end.map_err(|reason| self.bad(reason))
    }

    /// Takes the containers of a text from there on; returns where the last one ends.
    fn scan(&mut self, text: &Bytes, mut at: usize) -> Result<usize, Error> {
        loop {
            let item = self.list.next(text, &mut at, &READ);
            match item.map_err(|reason| self.bad(reason))? {
                Some(item) => self.add(text, &item)?,
                None => return Ok(at),
            }
        }
    }

    fn add(&mut self, text: &Bytes, item: &Item<4>) -> Result<(), Error> {
        let listed = Listed::read(text, item).map_err(|reason| self.bad(reason))?;
        if !self.view.cuts.iter().all(|cut| cut.keeps(listed.created)) {
            return Ok(());
        }
        if let Some(shown) = self.shown(text, &listed)? {
            let item = scan::object(&shown, MEMBERS).map_err(|reason| self.bad(reason))?;
            let listed = Listed::read(&shown, &item).map_err(|reason| self.bad(reason))?;
            self.push(listed, &shown);
        } else {
            self.push(listed, text);
        }
        Ok(())
    }

    fn push(&mut self, listed: Listed, text: &Bytes) {
        self.held += listed.length();
        let is_new = |last: &Bytes| last.as_ptr() != text.as_ptr();
        if self.texts.last().is_none_or(is_new) {
            self.texts.push(text.clone());
        }
        let older = |(last, _): &(Listed, u32)| last.created < listed.created;
        self.is_mixed |= self.ready.back().is_some_and(older);
        self.ready.push_back((listed, self.texts.len() as u32 - 1));
    }

    /// What is listed instead of a container.
    fn shown(&self, text: &[u8], listed: &Listed) -> Result<Option<Bytes>, Error> {
        let Some(show) = &self.view.show else {
            return Ok(None);
        };
        let name = &self.backend.name;
        let id = items::text(name, listed.id(text))?;
        let shown = show(id, items::text(name, listed.whole(text))?);
        Ok(shown.map(Bytes::from))
    }

    /// Puts those that are there in order, if they are not.
    fn sort(&mut self) {
        if mem::take(&mut self.is_mixed) {
            let ready = self.ready.make_contiguous();
            ready.sort_by_key(|(one, _)| Reverse(one.created));
        }
    }

    fn bad(&self, reason: impl ToString) -> Error {
        items::bad(&self.backend.name, reason)
    }
}
