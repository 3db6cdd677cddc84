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
        let body = self.shown_inspected(&backend.name, &body).unwrap_or(body);
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, docker::full(body)))
    }

    /// What is shown instead of an inspected container; none of what is none.
    fn shown_inspected(&self, backend: &str, container: &[u8]) -> Option<Bytes> {
        let marked = mark(container, backend)?;
        let Some(published) = &self.published else {
            return Some(marked.into());
        };
        let marked = String::from_utf8(marked).ok()?;
        let shown = match edit::read::<String>(&marked, "Id") {
            Some(id) => published.show_inspected(&id, marked),
            None => marked,
        };
        Some(shown.into())
    }
}

/// Adds the backend to the labels of an inspected container; none when it is no container.
fn mark(container: &[u8], backend: &str) -> Option<Vec<u8>> {
    let [config] = scan::object(container, ["Config"]).ok()?.members;
    let [labels] = scan::object(config.of(container), ["Labels"]).ok()?.members;
    let edit = Edit::label(container, config, labels.moved(config.start()));
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
            let marked = mark(container.as_bytes(), "n1");
            assert_eq!(marked.as_deref(), Some(expected.as_bytes()));
        }
        for other in [r#"{"message":"no"}"#, "nonsense", r#"{"Config":null}"#] {
            assert_eq!(mark(other.as_bytes(), "n1"), None);
        }
    }
}
