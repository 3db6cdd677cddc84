//! What every backend that has the object does.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Proxy, Turn, forward};
use crate::{
    docker::{Body, call::Call, edit, message},
    error::Error,
};

impl Proxy {
    /// `POST /containers/prune` on all backends: the lists joined, the space added up.
    pub(super) async fn container_prune(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        // A prune works as long as it must; only backends that are down are left out.
        let forever = std::time::Duration::from_secs(24 * 3600);
        let mut answers = turn
            .ask_all(forever, |_| forward::request(turn, call.copy()))
            .await?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let (mut deleted, mut space) = (None, 0);
        for (_, body) in &answers.ok {
            let body = String::from_utf8_lossy(body);
            space += edit::read::<u64>(&body, "SpaceReclaimed").unwrap_or_default();
            if let Some(ids) =
                edit::read::<Option<Vec<String>>>(&body, "ContainersDeleted").flatten()
            {
                ids.iter().for_each(|id| self.inventory.index.removed(id));
                deleted.get_or_insert_with(Vec::new).extend(ids);
            }
        }
        let answer = json!({ "ContainersDeleted": deleted.map_or(Value::Null, Value::from), "SpaceReclaimed": space });
        Ok(answers.mark(message::json(StatusCode::OK, answer.to_string())))
    }
}
