//! Images that come as archives: `load` and `import`.

use std::sync::Arc;

use http::Response;

use crate::{
    backend::Backend,
    docker::{Body, call::Call},
    error::Error,
    plugin::route::Subject,
    proxy::{Proxy, Turn, ending, forward, place::Newcomer},
};

impl Proxy {
    /// `POST /images/load`: where the hooks say, else to the host where this client builds, else where the strategy
    /// says.
    pub(super) async fn image_load(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        self.unpack(turn, call, Subject::Load).await
    }

    /// `POST /images/create` with `fromSrc`.
    pub(in crate::proxy) async fn image_import(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        self.unpack(turn, call, Subject::Import).await
    }

    async fn unpack(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        subject: Subject,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let backend = self.place_archive(turn, &call, subject).await?;
        let answer = backend.send(forward::request(turn, call)?).await?;
        Ok(self.listed_after(answer, backend))
    }

    async fn place_archive(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
        subject: Subject,
    ) -> Result<Arc<Backend>, Error> {
        let (repository, platform) = (call.query.filled("repo"), call.query.filled("platform"));
        let newcomer = Newcomer {
            image: repository.as_deref(),
            platform: platform.as_deref(),
            ..Newcomer::of(subject, &call.client)
        };
        if let Some(backend) = self.opinion(turn, &newcomer).await? {
            return Ok(backend);
        }
        if let Some(backend) = self.builders.of(turn, &call.client) {
            return Ok(backend);
        }
        let usable: Vec<_> = turn.flock.usable().cloned().collect();
        self.choose(&usable).ok_or(Error::NoBackend)
    }

    /// An answer at whose end a backend has new images, which are known before the client reads the end.
    pub(in crate::proxy) fn listed_after(
        self: &Arc<Self>,
        answer: Response<Body>,
        backend: Arc<Backend>,
    ) -> Response<Body> {
        if !answer.status().is_success() {
            return answer;
        }
        let proxy = self.clone();
        ending::before_end(answer, async move {
            proxy.relist(&[backend]).await;
            None
        })
    }
}
