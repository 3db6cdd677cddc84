//! Prunes: every backend removes what nobody there uses.

use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{Proxy, Turn, fanout, forward};
use crate::{
    docker::{Body, action::Pruned, call::Call, edit, message},
    error::Error,
};

impl Pruned {
    /// The member of the answer that lists what is gone, and whether the answer tells the space that came free.
    fn answer(self) -> (&'static str, bool) {
        match self {
            Self::Containers => ("ContainersDeleted", true),
            Self::Images => ("ImagesDeleted", true),
            Self::Networks => ("NetworksDeleted", false),
            Self::Volumes => ("VolumesDeleted", true),
            Self::BuildCache => ("CachesDeleted", true),
        }
    }
}

impl Proxy {
    /// A prune on all backends that its filters concern: the lists joined, the space added up.
    pub(super) async fn prune(
        &self,
        turn: &Turn,
        mut call: Call,
        pruned: Pruned,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let concerned = turn.selected(&mut call.query);
        let request = |_: &_| forward::request(turn, call.copy());
        let mut answers = fanout::ask(&concerned, fanout::PATIENT, request).await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let (name, has_space) = pruned.answer();
        let (mut deleted, mut space) = (Value::Null, 0);
        for (backend, body) in &answers.ok {
            let body = String::from_utf8_lossy(body);
            space += edit::read::<u64>(&body, "SpaceReclaimed").unwrap_or_default();
            let gone: Option<Vec<Value>> = edit::read(&body, name).flatten();
            let gone_now = gone.as_deref().unwrap_or_default();
            self.forget(pruned, &backend.name, gone_now);
            if pruned == Pruned::Images && !gone_now.is_empty() {
                self.relist(std::slice::from_ref(backend)).await;
            }
            deleted = joined(deleted, gone);
        }
        let mut answer = Map::new();
        answer.insert(name.into(), deleted);
        if has_space {
            answer.insert("SpaceReclaimed".into(), space.into());
        }
        let answer = Value::Object(answer).to_string();
        Ok(answers.mark(message::json(StatusCode::OK, answer)))
    }

    /// Brings the index up to date before the client reads the answer.
    fn forget(&self, pruned: Pruned, backend: &std::sync::Arc<str>, gone: &[Value]) {
        let index = &self.inventory.index;
        for name in gone.iter().filter_map(Value::as_str) {
            match pruned {
                Pruned::Containers => index.removed(name),
                Pruned::Networks => index.network_forgotten(name, backend),
                Pruned::Volumes => index.volume_removed(name, backend),
                Pruned::Images | Pruned::BuildCache => {}
            }
        }
    }
}

/// A list that grows; null while all lists are, as some daemons answer it.
fn joined(list: Value, more: Option<Vec<Value>>) -> Value {
    match (list, more) {
        (Value::Array(mut list), Some(more)) => {
            list.extend(more);
            Value::Array(list)
        }
        (_, Some(more)) => Value::Array(more),
        (list, None) => list,
    }
}
