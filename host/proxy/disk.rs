//! `GET /system/df`: what all backends use.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{Proxy, Turn, fanout::Answers, forward};
use crate::{
    backend::Backend,
    docker::{Body, call::Call, message},
    error::Error,
};

impl Proxy {
    /// The backends' numbers added up and their lists joined, nothing left out: what two backends have takes space
    /// twice.
    pub(super) async fn disk_usage(
        &self,
        turn: &Turn,
        call: Call,
    ) -> Result<Response<Body>, Error> {
        turn.some_backend()?;
        let backends = turn.flock.backends().iter();
        let asked = backends.map(|backend| self.measured(turn, &call, backend));
        let mut answers = Answers::join(join_all(asked).await)?;
        if let Some(refusal) = answers.refusal() {
            return refusal;
        }
        let usages = answers
            .ok
            .iter()
            .filter_map(|(_, body)| serde_json::from_slice(body).ok());
        let usage = usages.reduce(sum).unwrap_or_default();
        Ok(answers.mark(message::json(StatusCode::OK, usage.to_string())))
    }

    /// Asks one backend, after others who ask it: a daemon measures once at a time and refuses the rest.
    async fn measured(
        &self,
        turn: &Turn,
        call: &Call,
        backend: &Arc<Backend>,
    ) -> Result<Answers, Error> {
        let _turn = self.locks.disks.reserve(&backend.name).await;
        let request = |_: &Backend| forward::request(turn, call.copy());
        super::fanout::ask([backend], super::fanout::PATIENT, request).await
    }
}

/// Adds numbers, joins lists, and does the same member by member in objects; anything else stays the first one's.
fn sum(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Value::from(a.saturating_add(b)),
            _ => Value::Number(a),
        },
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            Value::Array(a)
        }
        (Value::Object(mut a), Value::Object(b)) => {
            for (name, value) in b {
                let value = match a.remove(&name) {
                    Some(known) => sum(known, value),
                    None => value,
                };
                a.insert(name, value);
            }
            Value::Object(a)
        }
        (Value::Null, other) => other,
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usages_add_up() {
        let one = json!({"LayersSize": 5, "Images": [{"Size": 1}], "Volumes": null,
                         "ImageUsage": {"TotalSize": 1, "Items": [1]}, "BuilderSize": 0});
        let two = json!({"LayersSize": 6, "Images": [{"Size": 1}], "Volumes": [{}],
                         "ImageUsage": {"TotalSize": 2, "Items": [2]}, "BuilderSize": 1});
        let both = json!({"LayersSize": 11, "Images": [{"Size": 1}, {"Size": 1}], "Volumes": [{}],
                          "ImageUsage": {"TotalSize": 3, "Items": [1, 2]}, "BuilderSize": 1});
        assert_eq!(sum(one, two), both);
    }
}
