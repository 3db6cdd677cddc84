//! `GET /containers/{id}/json`: what the daemon says, and where the container is.

use bytes::Bytes;
use http::{Response, StatusCode, header};

use super::{
    Proxy, Turn, forward,
    lists::mark::{Edit, Mark},
    target,
};
use crate::{
    docker::{self, Body, action::Object, call::Call, edit, scan},
    error::Error,
};

impl Proxy {
    /// Forwards an inspect, and adds what only the flock knows to a good answer.
    pub(super) async fn container_inspect(
        &self,
        turn: &Turn,
        mut call: Call,
    ) -> Result<Response<Body>, Error> {
        let backend = self.locate(turn, &mut call, Object::Container).await?;
        let response = backend.send(forward::request(turn, call)?).await?;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        let (mut head, body) = target::read(response, &backend).await?;
        let container = std::str::from_utf8(&body).ok();
        let shown = container.and_then(|container| self.shown_inspected(&backend.name, container));
        let body = shown.map_or(body, Bytes::from);
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, docker::full(body)))
    }

    fn shown_inspected(&self, backend: &str, container: &str) -> Option<String> {
        let marked = mark(container, backend)?;
        let Some(published) = &self.published else {
            return Some(marked);
        };
        Some(match edit::read::<String>(container, "Id") {
            Some(id) => published.show_inspected(&id, marked),
            None => marked,
        })
    }
}

/// Adds the backend to the labels of an inspected container; none when it is no container.
fn mark(container: &str, backend: &str) -> Option<String> {
    let [config] = scan::object(container.as_bytes(), ["Config"]).ok()?.members;
    let [labels] = scan::object(config.of(container.as_bytes()), ["Labels"])
        .ok()?
        .members;
    let labels = labels.moved(config.start());
    let edit = Edit::label(container.as_bytes(), config, labels);
    Some(Mark::new(backend).labelled(container, edit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspected_containers_tell_their_backend() {
        for (container, expected) in [
            (
                "{\"Config\":{\"Labels\":{\"a\":\"b\"},\"X\":1.50},\"Z\":0}\n",
                "{\"Config\":{\"Labels\":{\"a\":\"b\",\"flocker.backend\":\"n1\"},\"X\":1.50},\"Z\":0}\n",
            ),
            (
                r#"{"Config":{"Labels":null}}"#,
                r#"{"Config":{"Labels":{"flocker.backend":"n1"}}}"#,
            ),
            (
                r#"{"Config":{}}"#,
                r#"{"Config":{"Labels":{"flocker.backend":"n1"}}}"#,
            ),
            (
                r#"{"Config":{"X":1,"Labels":{"flocker.backend":"n2","a":"b"}}}"#,
                r#"{"Config":{"X":1,"Labels":{"flocker.backend":"n1","a":"b"}}}"#,
            ),
        ] {
            assert_eq!(mark(container, "n1").as_deref(), Some(expected));
        }
        for other in [r#"{"message":"no"}"#, "nonsense", r#"{"Config":null}"#] {
            assert_eq!(mark(other, "n1"), None);
        }
    }
}
