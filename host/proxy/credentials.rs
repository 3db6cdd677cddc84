//! Credentials for flockerd's own pulls: a plugin's, or those of the Docker configuration of flockerd's user.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::json;

use crate::{
    docker::login::{self, HUB, Login},
    plugin::registry_auth::Credentials,
};

/// The value of `X-Registry-Auth` for credentials.
pub(super) fn encode(registry: &str, credentials: &Credentials) -> String {
    let server = if registry == "docker.io" {
        HUB
    } else {
        registry
    };
    let auth = match &credentials.identity_token {
        Some(token) => json!({ "identitytoken": token, "serveraddress": server }),
        None => json!({
            "username": credentials.username, "password": credentials.password, "serveraddress": server,
        }),
    };
    URL_SAFE.encode(auth.to_string())
}

/// What the Docker configuration has for a registry.
pub(super) async fn configured(registry: &str) -> Option<String> {
    let (username, password, identity_token) = match login::find(registry).await? {
        Login::UsernamePassword(username, password) => (username, password, None),
        Login::IdentityToken(token) => (String::new(), String::new(), Some(token)),
    };
    let credentials = Credentials {
        username,
        password,
        identity_token,
    };
    Some(encode(registry, &credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_url_safe_base64() {
        let credentials = Credentials {
            username: "ann".into(),
            password: "ÿ?>".into(),
            identity_token: None,
        };
        let header = encode("r:5000", &credentials);
        let decoded: serde_json::Value =
            serde_json::from_slice(&URL_SAFE.decode(&header).unwrap()).unwrap();
        assert_eq!(
            decoded,
            json!({ "username": "ann", "password": "ÿ?>", "serveraddress": "r:5000" })
        );
    }
}
