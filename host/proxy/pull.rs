//! Images that come: a client's pull, and flockerd's own.

mod everywhere;
mod underway;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use serde::Deserialize;

pub(super) use underway::Pulls;
use underway::Underway;

use super::{
    Proxy, Turn, credentials, forward, hooks,
    place::{
        Newcomer,
        constraints::{narrowed, suits},
    },
    runs::{NewRun, Run, Stage},
};
use crate::{
    backend::Backend,
    config::PullTo,
    docker::{
        self, Body, BodyError, call::Call, client::Client, lines::Lines, query::Query,
        reference::Reference,
    },
    error::Error,
    inventory::index::Stale,
    plugin::{Hook, registry_auth, route},
};

impl Proxy {
    /// `POST /images/create`: a pull goes where a create waits for it, else where placement says.
    pub(super) async fn image_create(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        let Some(image) = wanted(&call.query) else {
            return self.image_import(turn, call).await;
        };
        turn.some_backend()?;
        let claimed = self.claimed(turn, &image, &call.client).await?;
        let backends = match &claimed {
            Some(run) => vec![turn.backend(&run.backend)?],
            None => self.pull_targets(turn, &call, &image).await?,
        };
        let pull = PullEnd {
            proxy: self.clone(),
            _underway: backends
                .iter()
                .map(|backend| self.pulls.begin(backend, &image))
                .collect(),
            image,
            backends: backends.clone(),
            claimed,
            client: call.client.clone(),
        };
        let response = everywhere::pull(turn, call, &backends).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        let (mut head, body) = response.into_parts();
        // With a known length nobody would ask for the end, and the end is what is waited for.
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, pull.watch(body)))
    }

    /// The run that a pull is for, unless its backend cannot be used any more.
    async fn claimed(
        &self,
        turn: &Turn,
        image: &str,
        client: &Client,
    ) -> Result<Option<Run>, Error> {
        while let Some(run) = self.runs.claim(image, client).await? {
            if turn.is_usable(&run.backend) {
                return Ok(Some(run));
            }
            self.runs.abandon(image, &run).await?;
        }
        Ok(None)
    }

    /// The backends for a pull that no create waits for.
    async fn pull_targets(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
        image: &str,
    ) -> Result<Vec<Arc<Backend>>, Error> {
        if self.settings.pull_to == PullTo::All {
            return Ok(turn.flock.backends().to_vec());
        }
        let usable: Vec<_> = turn.flock.usable().cloned().collect();
        let platform = call.query.filled("platform");
        let newcomer = Newcomer {
            image: Some(image),
            platform: platform.as_deref(),
            ..Newcomer::of(route::Subject::Pull, &call.client)
        };
        if let Some(backend) = self.opinion(turn, &newcomer).await? {
            return Ok(vec![backend]);
        }
        // Whoever has it would run an old one otherwise.
        let index = &self.inventory.index;
        let reference = Reference::parse(image);
        let known: Vec<_> = match (reference.tag, reference.digest) {
            // All its tags are pulled.
            (None, None) => index.tags(image).into_keys().collect(),
            _ => index.image(image).any,
        };
        let fits = |backend: &&Arc<Backend>| suits(backend, platform.as_deref());
        let holders = usable
            .iter()
            .filter(|backend| known.contains(&backend.name));
        let holders: Vec<_> = holders.filter(fits).cloned().collect();
        if !holders.is_empty() {
            return Ok(holders);
        }
        let usable = narrowed(usable, |backend| suits(backend, platform.as_deref()));
        Ok(vec![self.choose(&usable).ok_or(Error::NoBackend)?])
    }

    /// Pulls an image to a backend with flockerd's own credentials, or waits for whoever does so already.
    pub(super) async fn pull(
        &self,
        turn: &Turn,
        backend: &Backend,
        image: &str,
        call: &Call,
    ) -> Result<(), Error> {
        if self.pulls.is_underway(backend, image) {
            self.pulls.ended(backend, image).await;
            return Ok(());
        }
        let _underway = self.pulls.begin(backend, image);
        let reference = Reference::parse(image);
        let auth = self
            .credentials(turn, &reference, image, &call.client)
            .await?;
        let mut query = Query::default().with("fromImage", reference.name).with(
            "tag",
            reference.digest.or(reference.tag).unwrap_or("latest"),
        );
        if let Some(platform) = call.query.filled("platform") {
            query = query.with("platform", &platform);
        }
        let mut request = forward::own(turn, Method::POST, "/images/create", &query.0)?;
        if let Some(auth) = auth {
            let mut value =
                HeaderValue::try_from(auth).map_err(|reason| Error::Client(reason.to_string()))?;
            value.set_sensitive(true);
            request.headers_mut().insert("x-registry-auth", value);
        }
        let response = backend.send(request).await?;
        let status = response.status();
        finished(status, Lines::new(response.into_body()), backend).await?;
        self.inventory.refresh(backend, Stale::Images).await
    }

    async fn credentials(
        &self,
        turn: &Turn,
        reference: &Reference<'_>,
        image: &str,
        client: &Client,
    ) -> Result<Option<String>, Error> {
        let registry = reference.registry();
        if turn.plugins.sees(Hook::RegistryAuth) {
            let client = hooks::client(client);
            let request = registry_auth::Request {
                registry,
                image,
                client,
            };
            let answer = turn
                .plugins
                .registry_auth(request, &self.scene(turn))
                .await?;
            if let Some(found) = answer {
                return Ok(Some(credentials::encode(registry, &found)));
            }
        }
        Ok(credentials::configured(registry).await)
    }
}

/// What a pull's progress says in the end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    error: Option<String>,
}

/// Reads a pull to its end.
async fn finished(status: StatusCode, mut lines: Lines, backend: &Backend) -> Result<(), Error> {
    let broken = |reason: BodyError| Error::backend(&backend.name, reason);
    while let Some(line) = lines.next().await.map_err(broken)? {
        if !status.is_success() {
            let text: Option<String> =
                docker::edit::read(&String::from_utf8_lossy(&line), "message");
            return Err(Error::refused(status, text.unwrap_or_default()));
        }
        let progress: Option<Progress> = serde_json::from_slice(&line).ok();
        if let Some(error) = progress.and_then(|progress| progress.error) {
            return Err(Error::refused(StatusCode::INTERNAL_SERVER_ERROR, error));
        }
    }
    Ok(())
}

/// What happens when a client's pull ends.
struct PullEnd {
    proxy: Arc<Proxy>,
    image: String,
    backends: Vec<Arc<Backend>>,
    /// The create that waits for it.
    claimed: Option<Run>,
    client: Arc<Client>,
    _underway: Vec<Underway>,
}

impl PullEnd {
    /// Streams the progress and, before its end reaches the client, remembers that the image is there: the client's
    /// next call relies on it.
    fn watch(self, body: Body) -> Body {
        let stream = futures_util::stream::unfold(Some((body, self, true)), |state| async {
            let (mut body, mut pull, good) = state?;
            match body.frame().await {
                Some(Ok(frame)) => {
                    let good = good && !frame.data_ref().is_some_and(tells_error);
                    Some((Ok::<_, BodyError>(frame), Some((body, pull, good))))
                }
                Some(Err(reason)) => Some((Err(reason), None)),
                None if good => {
                    let error = pull.remember().await.err()?;
                    Some((Err(error.into()), None))
                }
                None => None,
            }
        });
        StreamBody::new(stream).boxed_unsync()
    }

    async fn remember(&mut self) -> Result<(), Error> {
        self.proxy.relist(&self.backends).await;
        let (runs, claimed) = (&self.proxy.runs, self.claimed.take());
        if let ([backend], None) = (self.backends.as_slice(), &claimed) {
            let pulled = NewRun::pulled(&backend.name);
            runs.remember(&self.image, pulled, &self.client).await?;
        }
        for backend in &self.backends {
            runs.ready(&self.image, &backend.name, claimed.as_ref())
                .await?;
        }
        Ok(())
    }
}

impl Drop for PullEnd {
    /// A pull that failed, or whose client went away, leaves the create waiting for another.
    fn drop(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            let (proxy, image) = (self.proxy.clone(), std::mem::take(&mut self.image));
            tokio::spawn(async move {
                if let Err(error) = proxy.runs.failed(&image, &claimed).await {
                    tracing::warn!(%error, "a failed pull cannot be noted");
                }
            });
        }
    }
}

/// True for the object that ends a failed pull. Daemons flush each object by itself.
fn tells_error(data: &Bytes) -> bool {
    data.windows(13).any(|window| window == b"\"errorDetail\"")
}

/// The image that a pull asks for; none for an import.
fn wanted(query: &Query) -> Option<String> {
    let name = query.filled("fromImage")?;
    Some(match query.filled("tag") {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.into_owned(),
    })
}

impl Turn {
    pub(super) fn is_usable(&self, backend: &str) -> bool {
        self.flock
            .usable()
            .any(|candidate| *candidate.name == *backend)
    }
}

impl<'a> NewRun<'a> {
    /// A pull that no create waited for.
    fn pulled(backend: &'a str) -> Self {
        Self {
            create: "",
            backend,
            body: None,
            stage: Stage::Ready,
        }
    }
}

impl Run {
    /// True for a pull that no create waited for: it is where the image is, not where a create was routed.
    pub(super) fn is_only_pulled(&self) -> bool {
        self.create.is_empty()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }
}
