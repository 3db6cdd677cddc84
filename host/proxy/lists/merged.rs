//! The containers of all backends as one list, written while it is sent.
//!
//! The order is that of all containers, and a backend that breaks off must be named in the head. So every answer is
//! there, as its daemon wrote it, before the first byte is sent; nothing is copied until its turn has come.

#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::mark::{Edit, Mark};
use crate::{
    docker::{
        Body, BodyError,
        scan::{self, Item, Span},
    },
    error::Error,
    proxy::items,
};

/// About how much is written at once.
const PIECE: usize = 64 << 10;
/// What is read of a listed container.
const READ: [&str; 4] = ["Id", "Created", "Names", "Labels"];

/// The answers, and the containers in them.
#[derive(Default)]
pub(super) struct Merged {
    sources: Vec<Source>,
    containers: Vec<Listed>,
}

/// An answer, and how its backend is told.
struct Source {
    text: Bytes,
    mark: Mark,
}

/// Where a container is, and what is written into it.
struct Listed {
    /// In seconds since the epoch.
    created: i64,
    source: u32,
    span: Span,
    /// Without its quotes.
    id: Span,
    /// What the added name begins with.
    name: Span,
    names: Edit,
    labels: Edit,
}

impl Merged {
    /// Takes those containers of a backend's answer that are `kept` by their creation. What `show` returns for an id and
    /// a container is listed instead.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when it is not a list of containers.
    pub(super) fn take(
        &mut self,
        backend: &str,
        body: Bytes,
        kept: impl Fn(i64) -> bool,
        show: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<(), Error> {
        let text = items::text(backend, &body)?;
        let found = items::scan(backend, text, READ)?;
        self.containers.reserve(found.len());
        let mut shown = Vec::new();
        for item in found {
            let listed = self.read(backend, text, &item)?;
            let (id, whole) = (listed.id.within(text), listed.span.within(text));
            if !kept(listed.created) {
                continue;
            }
            match show(id, whole) {
                Some(container) => shown.push(container),
                None => self.containers.push(listed),
            }
        }
        self.add(backend, body);
        for container in shown {
            let item = scan::object(container.as_bytes(), READ);
            let item = item.map_err(|reason| items::bad(backend, reason))?;
            let listed = self.read(backend, &container, &item)?;
            self.containers.push(listed);
            self.add(backend, container.into());
        }
        Ok(())
    }

    fn add(&mut self, backend: &str, text: Bytes) {
        let mark = Mark::new(backend);
        self.sources.push(Source { text, mark });
    }

    /// A container of the source that is added next.
    fn read(&self, backend: &str, text: &str, item: &Item<4>) -> Result<Listed, Error> {
        let [id, created, names, labels] = item.members;
        let quoted = id.within(text).starts_with('"') && id.end() - id.start() > 1;
        if !quoted {
            return Err(items::bad(backend, "a container without an id"));
        }
        let created = match created.is_empty() {
            true => 0,
            false => items::read(backend, created.within(text))?,
        };
        let id = Span::new(id.start() + 1, id.end() - 1);
        let (names, name) = Edit::name(text, item.span, names, id);
        Ok(Listed {
            created,
            source: self.sources.len() as u32,
            span: item.span,
            id,
            name,
            names,
            labels: Edit::label(text, item.span, labels),
        })
    }

    /// The list, newest first, cut to so many; each container once.
    pub(super) fn body(self, limit: usize) -> Body {
        let Self {
            sources,
            mut containers,
        } = self;
        // Stable: daemons send lists in order, and what is in order already is found to be.
        containers.sort_by(|a, b| a.order(&sources).cmp(&b.order(&sources)));
        containers.dedup_by(|a, b| a.id(&sources) == b.id(&sources));
        containers.truncate(limit);
        let commas = containers.len().saturating_sub(1);
        let written = containers.iter().map(|one| one.length(&sources));
        Written {
            left: (written.sum::<usize>() + commas + "[]".len()) as u64,
            begun: false,
            sources,
            containers: containers.into_iter(),
        }
        .boxed_unsync()
    }
}

impl Listed {
    fn id<'a>(&self, sources: &'a [Source]) -> &'a [u8] {
        self.id.of(&sources[self.source as usize].text)
    }

    fn order<'a>(&self, sources: &'a [Source]) -> (Reverse<i64>, &'a [u8]) {
        (Reverse(self.created), self.id(sources))
    }

    fn length(&self, sources: &[Source]) -> usize {
        let mut length = 0;
        self.write(sources, |bytes| length += bytes.len());
        length
    }

    /// Hands out the container with its marks, bit by bit.
    fn write(&self, sources: &[Source], mut put: impl FnMut(&[u8])) {
        let Source { text, mark } = &sources[self.source as usize];
        let name = [self.name.of(text), mark.at.as_bytes()];
        let (names, labels) = (
            (self.names, name),
            (self.labels, [mark.label.as_bytes(), b""]),
        );
        let mut written = self.span.start();
        let in_order = match self.names.place.start() <= self.labels.place.start() {
            true => [names, labels],
            false => [labels, names],
        };
        for (edit, inner) in in_order {
            put(&text[written..edit.place.start()]);
            put(edit.around.0.as_bytes());
            inner.into_iter().for_each(&mut put);
            put(edit.around.1.as_bytes());
            written = edit.place.end();
        }
        put(&text[written..self.span.end()]);
    }
}

/// The list as a body of known length.
struct Written {
    sources: Vec<Source>,
    containers: vec::IntoIter<Listed>,
    begun: bool,
    left: u64,
}

impl Written {
    fn piece(&mut self) -> Vec<u8> {
        let mut piece = Vec::with_capacity(PIECE.min(self.left as usize));
        if !self.begun {
            piece.push(b'[');
        }
        while piece.len() < PIECE {
            let Some(next) = self.containers.next() else {
                piece.push(b']');
                break;
            };
            if self.begun {
                piece.push(b',');
            }
            self.begun = true;
            next.write(&self.sources, |bytes| piece.extend_from_slice(bytes));
        }
        piece
    }
}

impl HttpBody for Written {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = self.piece();
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
