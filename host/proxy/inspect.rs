//! `GET /containers/{id}/json`: what the daemon says, and where the container is.

use http::{Response, StatusCode, header};
use serde_json::Value;

use super::{Proxy, Turn, forward, lists::LABEL, target};
use crate::{
    docker::{self, Body, action::Object, call::Call, edit},
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
        let body = match std::str::from_utf8(&body) {
            Ok(container) => self.shown_inspected(&backend.name, container).into(),
            Err(_) => body,
        };
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, docker::full(body)))
    }

    fn shown_inspected(&self, backend: &str, container: &str) -> String {
        let marked = mark(container, backend);
        match (&self.published, edit::read::<String>(container, "Id")) {
            (Some(published), Some(id)) => published.show_inspected(&id, marked),
            _ => marked,
        }
    }
}

/// Adds the backend to the labels of an inspected container.
fn mark(container: &str, backend: &str) -> String {
    let Some(config) = edit::member(container, "Config") else {
        return container.to_owned();
    };
    let labels = edit::member(config, "Labels").unwrap_or("{}");
    let labels = edit::insert(labels, LABEL, &Value::from(backend).to_string());
    edit::insert(
        container,
        "Config",
        &edit::insert(config, "Labels", &labels),
    )
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
            (r#"{"message":"no"}"#, r#"{"message":"no"}"#),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(mark(container, "n1"), expected);
        }
    }
}
