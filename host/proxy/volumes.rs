//! Volumes: each lives on one backend, where the rest of its group is.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{
    Proxy, Turn, forward, items,
    locate::{encode, same_name, split_backend},
    place::{Newcomer, Placed},
    target,
};
use crate::{
    backend::Backend,
    docker::{
        self, Body,
        action::{Object, Volumes},
        call::Call,
        create::Tie,
        described::Described,
        edit,
        group::Group,
        message,
    },
    error::Error,
    inventory::index::{Stale, Volume},
    plugin::route::Subject,
};

impl Proxy {
    pub(super) async fn volumes(
        self: &Arc<Self>,
        turn: &Turn,
        call: Call,
        action: Volumes,
    ) -> Result<Response<Body>, Error> {
        match action {
            Volumes::List => self.volume_list(turn, call).await,
            Volumes::Create => self.volume_create(turn, call).await,
            Volumes::Remove => self.volume_remove(turn, call).await,
        }
    }

    /// `GET /volumes` of all backends.
    async fn volume_list(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let mut answers = self.ask_lists(turn, &mut call).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let mut volumes: Option<Vec<&str>> = None;
        let mut names: HashSet<&str> = HashSet::new();
        let mut warnings: Vec<&str> = Vec::new();
        for (backend, body) in &answers.ok {
            let listed = items::text(&backend.name, body)?;
            if let Some(list) = edit::member(listed, "Volumes").filter(|list| *list != "null") {
                let rows = volumes.get_or_insert_default();
                for item in items::scan(&backend.name, list, ["Name", "Driver"])? {
                    let [name, driver] = item.members.map(|span| span.within(list));
                    if names.insert(name) || !self.is_everywhere(driver) {
                        rows.push(item.span.within(list));
                    }
                }
            }
            let more = edit::member(listed, "Warnings").unwrap_or("null");
            warnings.extend(items::parse(&backend.name, more.as_bytes())?);
        }
        // Nothing is `null` where daemons say so; an empty flock has an empty list.
        let all_null = volumes.is_none() && !answers.ok.is_empty();
        let volumes = match all_null {
            true => "null".to_owned(),
            false => edit::array(volumes.unwrap_or_default().into_iter()),
        };
        let warnings = match warnings.is_empty() {
            true => "null".to_owned(),
            false => edit::array(warnings.into_iter()),
        };
        let text = format!(r#"{{"Volumes":{volumes},"Warnings":{warnings}}}"#);
        Ok(answers.mark(message::json(StatusCode::OK, text)))
    }

    /// Whether volumes of a driver, given as it is written, are the same everywhere.
    fn is_everywhere(&self, driver: &str) -> bool {
        let driver: String = serde_json::from_str(driver).unwrap_or_default();
        self.settings.shared.has_volume(&driver)
    }

    /// `POST /volumes/create`. A name that exists anywhere is that volume, as a daemon has it.
    async fn volume_create(
        self: &Arc<Self>,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let body = docker::collect(call.take_body(), self.settings.body_limit).await?;
        call.set_body(body.clone());
        let described = Described::read(or_empty(&body))
            .map_err(|reason| Error::refused(StatusCode::BAD_REQUEST, reason.to_string()))?;
        let name = described.name.as_deref().filter(|name| !name.is_empty());
        let _reserved = match name {
            Some(name) => Some(self.locks.volumes.reserve(name).await),
            None => None,
        };
        let group = described.group();
        let owner = match name {
            Some(name) => self.volume_owner(turn, name, group.as_ref()).await?,
            None => None,
        };
        let (backend, placed) = match owner {
            Some(backend) => (backend, None),
            None => {
                let placed = self.place_volume(turn, &call, &body, name, group).await?;
                (placed.backend.clone(), Some(placed))
            }
        };
        let changed = placed.as_ref().and_then(|placed| placed.body.clone());
        let sent = changed.map_or(body, Bytes::from);
        call.set_body(sent.clone());
        let response = backend.send(forward::request(turn, call)?).await?;
        let (head, answer) = target::read(response, &backend).await?;
        if head.status == StatusCode::CREATED {
            let made = placed.and_then(|_| std::str::from_utf8(&sent).ok().map(Arc::from));
            self.note_volume(&backend, &answer, made);
        }
        Ok(Response::from_parts(head, docker::full(answer)))
    }

    /// The backend that has a volume of this name already.
    async fn volume_owner(
        &self,
        turn: &Turn,
        name: &str,
        group: Option<&Group>,
    ) -> Result<Option<Arc<Backend>>, Error> {
        let owners = self.volumes_named(turn, name, None).await?;
        let same_group = owners.iter().find(|volume| volume.group.as_ref() == group);
        for owner in same_group.into_iter().chain(owners.first()) {
            let backend = turn.backend(&owner.backend)?;
            let path = format!("/volumes/{}", encode(name));
            match target::inspect(turn, &backend, &path).await? {
                Some(_) => return Ok(Some(backend)),
                None => self.inventory.index.volume_removed(name, &backend.name),
            }
        }
        Ok(None)
    }

    async fn place_volume(
        self: &Arc<Self>,
        turn: &Turn,
        call: &Call,
        body: &Bytes,
        name: Option<&str>,
        group: Option<Group>,
    ) -> Result<Placed, Error> {
        let text = String::from_utf8_lossy(body).into_owned();
        let newcomer = Newcomer {
            name,
            body: Some(&text).filter(|text| !text.is_empty()),
            group,
            ..Newcomer::of(Subject::Volume, &call.client)
        };
        self.place(turn, newcomer).await
    }

    /// Puts a created volume into the index.
    fn note_volume(&self, backend: &Backend, answer: &[u8], made: Option<Arc<str>>) {
        let Ok(volume) = serde_json::from_slice::<Described>(answer) else {
            return;
        };
        let volume = Volume {
            group: volume.group(),
            backend: backend.name.clone(),
            name: volume.name.unwrap_or_default(),
            driver: volume.driver.unwrap_or_default(),
            made,
        };
        match volume.made {
            Some(_) => self.inventory.index.volume_created(volume),
            None => self.inventory.index.volume_found(volume),
        }
    }

    /// `DELETE /volumes/{volume}`: one that is the same everywhere goes everywhere.
    async fn volume_remove(&self, turn: &Turn, mut call: Call) -> Result<Response<Body>, Error> {
        let reference = call.reference().into_owned();
        let (name, at) = split_backend(turn, &reference);
        if at.is_none() && self.is_shared(&Tie::Volume(name.to_owned())) {
            for other in self.inventory.index.volumes(name).into_iter().skip(1) {
                let backend = turn.backend(&other.backend)?;
                let response = backend.send(forward::request(turn, call.copy())?).await?;
                if !response.status().is_success() {
                    return Ok(response);
                }
                self.inventory.index.volume_removed(name, &backend.name);
            }
        }
        let backend = self.locate(turn, &mut call, Object::Volume).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if response.status().is_success() {
            self.inventory.index.volume_removed(name, &backend.name);
        }
        Ok(response)
    }

    /// The volumes of a name, on one backend if it is named. When the index does not know any, the backends are asked.
    pub(super) async fn volumes_named(
        &self,
        turn: &Turn,
        name: &str,
        backend: Option<&str>,
    ) -> Result<Vec<Volume>, Error> {
        let mut owners = self.inventory.index.volumes(name);
        if owners.is_empty() {
            let path = format!("/volumes/{}", encode(name));
            for holder in self.ask(turn, &path, backend).await?.holders() {
                self.inventory.refresh(holder, Stale::Volumes).await?;
            }
            owners = self.inventory.index.volumes(name);
        }
        owners.retain(|owner| backend.is_none_or(|name| *owner.backend == *name));
        Ok(owners)
    }

    /// The backend that has a volume; when none has it, the first one, whose 404 is the right answer.
    pub(super) async fn volume(&self, turn: &Turn, reference: &str) -> Result<Arc<Backend>, Error> {
        let (name, backend) = split_backend(turn, reference);
        let owners = self.volumes_named(turn, name, backend).await?;
        match owners.as_slice() {
            [] => backend.map_or_else(|| turn.home(), |name| turn.backend(name)),
            [one] => turn.backend(&one.backend),
            [first, ..] if self.settings.shared.has_volume(&first.driver) => {
                let names: Vec<_> = owners.iter().map(|owner| owner.backend.clone()).collect();
                turn.first_usable(&names).ok_or(Error::NoBackend)
            }
            _ => {
                let places = owners.iter().map(|owner| &owner.backend);
                Err(same_name("volumes", name, places))
            }
        }
    }

    /// Makes a volume on another backend as it was made where it is.
    pub(super) async fn volume_again(
        &self,
        turn: &Turn,
        volume: &Volume,
        made: &str,
        backend: &Backend,
    ) -> Result<bool, Error> {
        let name = serde_json::Value::from(volume.name.as_str()).to_string();
        let body = edit::insert(made, "Name", &name);
        let answer = target::post(turn, backend, "/volumes/create", body.clone()).await?;
        if answer.0 == StatusCode::CREATED {
            self.note_volume(backend, &answer.1, Some(body.into()));
        }
        Ok(answer.0 == StatusCode::CREATED)
    }
}

/// The body may be left out.
fn or_empty(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}
