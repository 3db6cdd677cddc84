//! Hook `request`: every call, before flockerd decides anything about it.

use serde::Serialize;

use crate::Error;
/// Sees every call first: lets it proceed, answers it, or refuses it.
pub use crate::bindings::request_hook::exports::flocker::plugin::request::Guest as Request;
pub use crate::bindings::request_hook::exports::flocker::plugin::request::{
    Call, Response, Verdict,
};

impl Call {
    /// Returns the first value of a header, which `headers` in the plugin's configuration must name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Verdict {
    /// Answers the client with a value as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::Respond(Response {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: serde_json::to_vec(value)?,
        }))
    }
}
