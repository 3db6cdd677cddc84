//! Hook `registry-auth`: credentials for an image's registry.

/// Gives the credentials for a pull that flockerd makes by itself.
pub use crate::bindings::registry_auth_hook::exports::flocker::plugin::registry_auth::Guest as RegistryAuth;
pub use crate::bindings::registry_auth_hook::exports::flocker::plugin::registry_auth::{
    Credentials, Request,
};

impl Credentials {
    /// Makes credentials of a user name and a password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            identity_token: None,
        }
    }
}
