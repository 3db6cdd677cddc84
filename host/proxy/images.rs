//! Images: what a reference means on the flock, and calls that reach every holder.

mod list;
mod load;
mod save;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Response, StatusCode, response::Parts};

use super::{
    Proxy, Turn, forward, items,
    locate::{encode, name_alone, split_backend},
    target,
};
use crate::{
    backend::Backend,
    docker::{
        self, Body, action::Images, call::Call, edit, message, query::Query, reference::Reference,
    },
    error::Error,
    inventory::index::{Holders, Stale},
};

/// What one backend answered.
type Answer = (Parts, Bytes);

/// The path of an image's inspect.
pub(super) fn path(reference: &str) -> String {
    format!("/images/{}/json", encode(reference))
}

impl Proxy {
    pub(super) async fn images(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Images,
    ) -> Result<Response<Body>, Error> {
        match action {
            Images::List => self.image_list(turn, call).await,
            Images::Create => self.image_create(turn, call).await,
            Images::Load => self.image_load(turn, call).await,
            Images::Save => self.image_save(turn, call).await,
            Images::Push => self.image_push(turn, call).await,
            Images::Tag => self.image_tag(turn, call).await,
            Images::Remove => self.image_remove(turn, call).await,
        }
    }

    /// `POST /images/{image}/push`: from the backend that has what the tag means; all tags from the one that has most
    /// of them.
    async fn image_push(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let name = call.reference().into_owned();
        let (plain, at) = split_backend(turn, &name);
        let tagged = match (at, call.query.filled("tag")) {
            (Some(_), _) => self.image_holders(turn, &name).await?,
            (None, Some(tag)) => self.image_holders(turn, &format!("{plain}:{tag}")).await?,
            (None, None) => Holders::default(),
        };
        let backend = match tagged.any.is_empty() {
            false => self.holder_of(turn, &name, tagged)?,
            true => {
                let tags = self.inventory.index.tags(&name).into_iter();
                let usable = tags.filter(|(backend, _)| turn.is_usable(backend));
                let most = usable.max_by_key(|(_, count)| *count);
                most.map_or_else(|| turn.home(), |(backend, _)| turn.backend(&backend))?
            }
        };
        name_alone(turn, &mut call, &name);
        backend.send(forward::request(turn, call)?).await
    }

    /// `POST /images/{image}/tag` on every backend that has the image.
    async fn image_tag(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let holders = self.image_holders(turn, &reference).await?;
        name_alone(turn, &mut call, &reference);
        let holders = turn.usable_or_home(&holders.exact)?;
        let answers = self.on_all(turn, &call, &holders).await?;
        self.relist(&holders).await;
        let worst = answers
            .into_iter()
            .max_by_key(|(head, _)| head.status.as_u16());
        worst.map(whole).ok_or(Error::NoBackend)
    }

    /// `DELETE /images/{image}` on every backend that has it. Those where containers use it go first, one by one: when
    /// one refuses, nothing has happened elsewhere.
    async fn image_remove(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let holders = self.image_holders(turn, &reference).await?;
        name_alone(turn, &mut call, &reference);
        let holders = turn.usable_or_home(&holders.any)?;
        let answer = self.remove_from(turn, &call, &holders).await;
        self.relist(&holders).await;
        answer
    }

    async fn remove_from(
        &self,
        turn: &Turn,
        call: &Call,
        holders: &[Arc<Backend>],
    ) -> Result<Response<Body>, Error> {
        let mut done = Vec::new();
        let mut easy = Vec::new();
        for backend in holders {
            match self.is_used(turn, backend, &call.reference()).await? {
                true => done.push(self.on_one(turn, call, backend).await?),
                false => easy.push(backend.clone()),
            }
            if let Some(at) = done.iter().position(|(head, _)| !head.status.is_success()) {
                return Ok(whole(done.swap_remove(at)));
            }
        }
        done.extend(self.on_all(turn, call, &easy).await?);
        joined(done)
    }

    /// Reads the lists of images again before the client reads its answer: its next call relies on them. A backend that
    /// does not answer tells by its events when it is back.
    pub(super) async fn relist(&self, backends: &[Arc<Backend>]) {
        let lists = backends
            .iter()
            .map(|backend| self.inventory.refresh(backend, Stale::Images));
        for error in join_all(lists).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "images cannot be listed");
        }
    }

    /// The backend that has what an image reference means; when none has it, the first one, whose 404 is the right
    /// answer.
    pub(super) async fn image(&self, turn: &Turn, reference: &str) -> Result<Arc<Backend>, Error> {
        let holders = self.image_holders(turn, reference).await?;
        self.holder_of(turn, reference, holders)
    }

    /// The backend among the holders that answers for them.
    fn holder_of(
        &self,
        turn: &Turn,
        reference: &str,
        holders: Holders,
    ) -> Result<Arc<Backend>, Error> {
        let first = turn.first_usable(&holders.exact);
        match (first, holders.exact.first()) {
            (Some(backend), _) => Ok(backend),
            (None, Some(name)) if holders.is_written => {
                Err(Error::backend(name, format!("image {reference} is there")))
            }
            _ => match turn.first_usable(&holders.any) {
                Some(backend) => Ok(backend),
                None => turn.home(),
            },
        }
    }

    /// What an image reference means and who has it. When the index does not know, the backends are asked.
    pub(super) async fn image_holders(
        &self,
        turn: &Turn,
        reference: &str,
    ) -> Result<Holders, Error> {
        if let (name, Some(backend)) = split_backend(turn, reference) {
            let known = self.inventory.index.image(name);
            let there = vec![turn.backend(backend)?.name.clone()];
            return Ok(Holders {
                exact: there.clone(),
                any: there,
                ..known
            });
        }
        let known = self.inventory.index.image(reference);
        if known.is_ambiguous {
            // A daemon knows no image by an id that several begin with.
            let name = Reference::parse(reference).familiar();
            let text = format!("No such image: {name}");
            return Err(Error::refused(StatusCode::NOT_FOUND, text));
        }
        if !known.any.is_empty() {
            return Ok(known);
        }
        let answers = self.ask(turn, &path(reference), None).await?;
        let holders = answers.holders();
        let any: Vec<_> = holders.map(|backend| backend.name.clone()).collect();
        Ok(Holders {
            exact: any.clone(),
            any,
            ..Holders::default()
        })
    }

    async fn on_all(
        &self,
        turn: &Turn,
        call: &Call,
        backends: &[Arc<Backend>],
    ) -> Result<Vec<Answer>, Error> {
        let calls = backends
            .iter()
            .map(|backend| self.on_one(turn, call, backend));
        join_all(calls).await.into_iter().collect()
    }

    async fn on_one(&self, turn: &Turn, call: &Call, backend: &Backend) -> Result<Answer, Error> {
        let response = backend.send(forward::request(turn, call.copy())?).await?;
        target::read(response, backend).await
    }

    /// True when a backend has containers of an image.
    async fn is_used(&self, turn: &Turn, backend: &Backend, image: &str) -> Result<bool, Error> {
        let filters = serde_json::json!({ "ancestor": { image: true } }).to_string();
        let query = Query("all=1".into()).with("filters", &filters);
        let request = forward::own(turn, Method::GET, "/containers/json", &query.0)?;
        let (head, body) = target::read(backend.send(request).await?, backend).await?;
        Ok(head.status.is_success() && !items::parse(&backend.name, &body)?.is_empty())
    }
}

/// One answer of many removals: the records joined, each once. A holder that lost the image meanwhile does not count.
fn joined(answers: Vec<Answer>) -> Result<Response<Body>, Error> {
    let (good, bad): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(head, _)| head.status.is_success());
    let failed = bad.into_iter().reduce(|a, b| {
        if a.0.status == StatusCode::NOT_FOUND {
            b
        } else {
            a
        }
    });
    match failed {
        Some(answer) if good.is_empty() || answer.0.status != StatusCode::NOT_FOUND => {
            return Ok(whole(answer));
        }
        _ => {}
    }
    let mut records: Vec<&str> = Vec::new();
    let bodies: Vec<_> = good
        .iter()
        .map(|(_, body)| String::from_utf8_lossy(body))
        .collect();
    for record in bodies
        .iter()
        .flat_map(|body| edit::items(body).unwrap_or_default())
    {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    Ok(message::json(
        StatusCode::OK,
        edit::array(records.into_iter()),
    ))
}

impl Turn {
    /// Those of a name that can be asked; when there is none the first backend, whose 404 is the right answer.
    fn usable_or_home(&self, names: &[Arc<str>]) -> Result<Vec<Arc<Backend>>, Error> {
        let usable = self.flock.usable();
        let holders: Vec<_> = usable
            .filter(|backend| names.contains(&backend.name))
            .cloned()
            .collect();
        match (holders.is_empty(), names.first()) {
            (false, _) => Ok(holders),
            (true, Some(name)) => Err(Error::backend(name, "the image is there")),
            (true, None) => Ok(vec![self.home()?]),
        }
    }
}

fn whole((head, body): Answer) -> Response<Body> {
    Response::from_parts(head, docker::full(body))
}
