//! Images that go out as archives, and those that go from one backend to another.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use http::{Method, Response, StatusCode, header};
use tokio::time::timeout;

use crate::{
    backend::Backend,
    docker::{Body, call::Call, edit, lines::Lines, query::Query, reference::Reference},
    error::Error,
    inventory::index::{BackendName, Holders},
    proxy::{Proxy, Turn, forward, locate::encode},
};

/// How long a copy waits for somebody's pull of the same image.
const PATIENCE: Duration = Duration::from_secs(60);

impl Proxy {
    /// `GET /images/get`: from the backend that has most of the images; those that it lacks are copied to it first.
    pub(super) async fn image_save(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        let names = call.query.pairs().filter(|(name, _)| name == "names");
        let names: Vec<String> = names.map(|(_, value)| value.into_owned()).collect();
        let asked = names.iter().map(|name| self.image_holders(turn, name));
        let holders = try_join_all(asked).await?;
        let backend = most_of(turn, &holders)?;
        // A daemon that lacks one says so, and nothing need be copied for that.
        if holders.iter().all(|holders| !holders.any.is_empty()) {
            for (name, holders) in names.iter().zip(&holders) {
                self.bring_image(turn, name, holders, &backend).await?;
            }
        }
        backend.send(forward::request(turn, call)?).await
    }

    /// Copies an image to a backend, unless that has what the reference means.
    pub(in crate::proxy) async fn bring_image(
        &self,
        turn: &Turn,
        reference: &str,
        holders: &Holders,
        to: &Arc<Backend>,
    ) -> Result<(), Error> {
        let right = holders.clone().right();
        // An archive keeps tags and ids; a digest is the registry's, and comes with a pull only.
        if right.contains(&to.name) || Reference::parse(reference).digest.is_some() {
            return Ok(());
        }
        let Some(from) = turn.first_usable(&right) else {
            // An old image would run in the place of the one that is meant.
            let stale = holders.is_written && holders.any.contains(&to.name);
            return match right.first().filter(|_| stale) {
                Some(name) => Err(Error::backend(name, format!("image {reference} is there"))),
                None => Ok(()),
            };
        };
        // What is there may be the same name for another kind of machine.
        if !same_machine(&from, to) {
            return Ok(());
        }
        if self.pulls.is_underway(to, reference) {
            // Who pulls may be slow to read its progress; then the image comes twice.
            let ended = self.pulls.ended(to, reference);
            if timeout(PATIENCE, ended).await.is_ok() {
                return Ok(());
            }
        }
        let _underway = self.pulls.begin(to, reference);
        tracing::info!(image = reference, from = %from.name, backend = %to.name, "copying an image");
        let index = &self.inventory.index;
        index.image_copying(reference, &to.name, true);
        let copied = copy(turn, reference, &from, to).await;
        let done = self.finish_copy(turn, reference, holders, copied, to).await;
        index.image_copying(reference, &to.name, false);
        done
    }

    /// Gives what was copied its name, and looks at what it became.
    async fn finish_copy(
        &self,
        turn: &Turn,
        reference: &str,
        holders: &Holders,
        copied: Result<Vec<String>, Error>,
        to: &Arc<Backend>,
    ) -> Result<(), Error> {
        let loaded = copied?;
        let digits = reference.trim_start_matches("sha256:");
        if !holders.id.trim_start_matches("sha256:").starts_with(digits) {
            rename(turn, reference, &loaded, to).await?;
        }
        self.relist(std::slice::from_ref(to)).await;
        Ok(())
    }
}

/// True for backends that run the same programs, as far as they tell.
fn same_machine(one: &Backend, other: &Backend) -> bool {
    let arch = |backend: &Backend| {
        let engine = backend.status().engine.clone();
        engine
            .map(|engine| engine.arch.clone())
            .filter(|arch| !arch.is_empty())
    };
    arch(one)
        .zip(arch(other))
        .is_none_or(|(one, other)| one == other)
}

/// Streams an image from one backend into another; returns the names that it has there.
async fn copy(
    turn: &Turn,
    reference: &str,
    from: &Backend,
    to: &Backend,
) -> Result<Vec<String>, Error> {
    let query = Query::default().with("names", reference);
    let saved = forward::own(turn, Method::GET, "/images/get", &query.0)?;
    let saved = from.send(saved).await?;
    let failed = |reason: String| Error::Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!(
            "image {reference} cannot be copied from {} to {}: {reason}",
            from.name, to.name
        ),
    };
    if !saved.status().is_success() {
        return Err(failed(format!("{} answered {}", from.name, saved.status())));
    }
    let mut load = forward::own(turn, Method::POST, "/images/load", "quiet=1")?;
    let archive = http::HeaderValue::from_static("application/x-tar");
    load.headers_mut().insert(header::CONTENT_TYPE, archive);
    *load.body_mut() = saved.into_body();
    let loaded = to.send(load).await?;
    let status = loaded.status();
    let mut names = Vec::new();
    let mut lines = Lines::new(loaded.into_body());
    while let Some(line) = lines
        .next()
        .await
        .map_err(|reason| failed(reason.to_string()))?
    {
        let line = String::from_utf8_lossy(&line);
        let member = if status.is_success() {
            "error"
        } else {
            "message"
        };
        if let Some(reason) = edit::read::<String>(&line, member) {
            return Err(failed(reason));
        }
        let said = edit::read::<String>(&line, "stream").unwrap_or_default();
        let name = said.trim().strip_prefix("Loaded image: ");
        names.extend(name.map(str::to_owned));
    }
    match status.is_success() {
        true => Ok(names),
        false => Err(failed(status.to_string())),
    }
}

/// Gives a loaded image the name that was asked for, should its engine have made another of it: podman puts what has no
/// registry in its name under `localhost/`.
async fn rename(
    turn: &Turn,
    reference: &str,
    loaded: &[String],
    backend: &Backend,
) -> Result<(), Error> {
    let wanted = Reference::parse(reference);
    let same = |name: &String| Reference::parse(name).canonical() == wanted.canonical();
    let [loaded_as] = loaded else { return Ok(()) };
    if same(loaded_as) {
        return Ok(());
    }
    let query = Query::default().with("repo", wanted.name);
    let query = query.with("tag", wanted.tag.unwrap_or("latest"));
    let path = format!("/images/{}/tag", encode(loaded_as));
    let request = forward::own(turn, Method::POST, &path, &query.0)?;
    backend.send(request).await.map(drop)
}

/// The backend that has most of the images; the first one when nobody has any.
fn most_of(turn: &Turn, holders: &[Holders]) -> Result<Arc<Backend>, Error> {
    let rights: Vec<Vec<BackendName>> = holders
        .iter()
        .map(|holders| holders.clone().right())
        .collect();
    let count = |backend: &Arc<Backend>| {
        let has = rights.iter().filter(|right| right.contains(&backend.name));
        has.count()
    };
    let usable = turn.flock.usable();
    let most = usable.max_by(|a, b| count(a).cmp(&count(b)).then(b.name.cmp(&a.name)));
    most.cloned().ok_or(Error::NoBackend)
}
