//! What the hooks are asked, in a form that outlives the call.

use std::sync::Arc;

use http::HeaderMap;

use crate::plugin::{
    Hook, Scene,
    answer::{object, verdict},
    bindings::{map, registry_auth, request, route, start, types},
    chain::visible,
    failure::Failure,
    instance::Plugin,
};

use super::Outcome;

/// What one hook is asked.
pub(in crate::plugin) enum Question {
    Request(Call, Client),
    Route(Placement),
    Map(Create, Client),
    Start(Start, Client),
    RegistryAuth(Login, Client),
}

/// Who made the call.
pub(in crate::plugin) struct Client {
    address: String,
    identity: Option<String>,
}

/// Something new that needed a backend.
pub struct Placement {
    pub subject: route::Subject,
    pub name: Option<String>,
    pub image: Option<String>,
    pub platform: Option<String>,
    pub body: Option<String>,
    pub address: Arc<str>,
    pub identity: Option<Arc<str>>,
}

pub(in crate::plugin) struct Call {
    method: String,
    path: String,
    query: String,
    version: Option<String>,
    endpoint: Option<String>,
    headers: HeaderMap,
}

pub(in crate::plugin) struct Create {
    name: String,
    container: String,
    image: String,
    backend: types::Backend,
}

pub(in crate::plugin) struct Start {
    name: String,
    container: String,
    image: Option<String>,
    backend: types::Backend,
    body: Option<String>,
}

pub(in crate::plugin) struct Login {
    registry: String,
    image: String,
}

impl Question {
    pub(in crate::plugin) fn request(call: &request::Call<'_>, headers: &HeaderMap) -> Self {
        let owned = Call {
            method: call.method.to_owned(),
            path: call.path.to_owned(),
            query: call.query.to_owned(),
            version: call.version.map(str::to_owned),
            endpoint: call.endpoint.map(str::to_owned),
            headers: headers.clone(),
        };
        Self::Request(owned, Client::of(&call.client))
    }

    pub(in crate::plugin) fn map(request: &map::Request<'_>) -> Self {
        let owned = Create {
            name: request.name.to_owned(),
            container: request.container.clone(),
            image: request.image.clone(),
            backend: request.backend.clone(),
        };
        Self::Map(owned, Client::of(&request.client))
    }

    pub(in crate::plugin) fn start(request: &start::Request<'_>) -> Self {
        let owned = Start {
            name: request.name.to_owned(),
            container: request.container.clone(),
            image: request.image.cloned(),
            backend: request.backend.clone(),
            body: request.body.cloned(),
        };
        Self::Start(owned, Client::of(&request.client))
    }

    pub(in crate::plugin) fn registry_auth(request: &registry_auth::Request<'_>) -> Self {
        let owned = Login {
            registry: request.registry.to_owned(),
            image: request.image.to_owned(),
        };
        Self::RegistryAuth(owned, Client::of(&request.client))
    }

    pub(super) fn hook(&self) -> Hook {
        match self {
            Self::Request(..) => Hook::Request,
            Self::Route(..) => Hook::Route,
            Self::Map(..) => Hook::Map,
            Self::Start(..) => Hook::Start,
            Self::RegistryAuth(..) => Hook::RegistryAuth,
        }
    }

    /// What it was about, for the log.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Request(call, _) => &call.path,
            Self::Route(placement) => placement.name.as_deref().unwrap_or_default(),
            Self::Map(create, _) => &create.name,
            Self::Start(start, _) => &start.name,
            Self::RegistryAuth(login, _) => &login.image,
        }
    }

    /// Asks one plugin.
    pub(super) async fn ask(&self, plugin: &Plugin, scene: &Scene) -> Result<Outcome, Failure> {
        match self {
            Self::Request(call, client) => call.ask(client, plugin, scene).await,
            Self::Route(placement) => placement.ask(plugin, scene).await,
            Self::Map(create, client) => create.ask(client, plugin, scene).await,
            Self::Start(start, client) => start.ask(client, plugin, scene).await,
            Self::RegistryAuth(login, client) => login.ask(client, plugin, scene).await,
        }
    }
}

impl Client {
    fn of(client: &types::Client<'_>) -> Self {
        Self {
            address: client.address.to_owned(),
            identity: client.identity.map(str::to_owned),
        }
    }

    fn shown(&self) -> types::Client<'_> {
        types::Client {
            address: &self.address,
            identity: self.identity.as_deref(),
        }
    }
}

impl Call {
    async fn ask(
        &self,
        client: &Client,
        plugin: &Plugin,
        scene: &Scene,
    ) -> Result<Outcome, Failure> {
        let headers = visible(&self.headers, &plugin.component.settings.headers);
        let call = request::Call {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            version: self.version.as_deref(),
            endpoint: self.endpoint.as_deref(),
            headers: &headers,
            client: client.shown(),
        };
        let said = plugin.handle(scene, call).await.and_then(verdict)?;
        Ok(Outcome::verdict(&said))
    }
}

impl Placement {
    async fn ask(&self, plugin: &Plugin, scene: &Scene) -> Result<Outcome, Failure> {
        let request = route::Request {
            subject: self.subject,
            name: self.name.as_deref(),
            image: self.image.as_deref(),
            platform: self.platform.as_deref(),
            body: self.body.as_ref(),
            client: types::Client {
                address: &self.address,
                identity: self.identity.as_deref(),
            },
        };
        let said = plugin.place(scene, request).await?.backend;
        let named = |answer: String| Outcome::Words(named(answer, scene));
        Ok(said.map_or(Outcome::Nothing, named))
    }
}

/// The name of the backend that an answer means.
fn named(answer: String, scene: &Scene) -> String {
    let mut backends = (scene.backends)().into_iter();
    let known = backends.find(|backend| backend.name == answer || backend.address == answer);
    known.map_or(answer, |backend| backend.name)
}

impl Create {
    async fn ask(
        &self,
        client: &Client,
        plugin: &Plugin,
        scene: &Scene,
    ) -> Result<Outcome, Failure> {
        let request = map::Request {
            name: &self.name,
            container: &self.container,
            image: &self.image,
            backend: &self.backend,
            client: client.shown(),
        };
        let said = plugin.rewrite_create(scene, request).await;
        Ok(Outcome::json(said.and_then(object)?.as_ref()))
    }
}

impl Start {
    async fn ask(
        &self,
        client: &Client,
        plugin: &Plugin,
        scene: &Scene,
    ) -> Result<Outcome, Failure> {
        let request = start::Request {
            name: &self.name,
            container: &self.container,
            image: self.image.as_ref(),
            backend: &self.backend,
            body: self.body.as_ref(),
            client: client.shown(),
        };
        let said = plugin.rewrite_start(scene, request).await;
        Ok(Outcome::json(said.and_then(object)?.as_ref()))
    }
}

impl Login {
    async fn ask(
        &self,
        client: &Client,
        plugin: &Plugin,
        scene: &Scene,
    ) -> Result<Outcome, Failure> {
        let request = registry_auth::Request {
            registry: &self.registry,
            image: &self.image,
            client: client.shown(),
        };
        let said = plugin.lookup(scene, request).await?;
        Ok(Outcome::credentials(said.as_ref()))
    }
}
