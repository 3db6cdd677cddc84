//! Credentials for flockerd's own pulls: a plugin's, or those of the Docker configuration of flockerd's user.

use std::{collections::HashMap, path::PathBuf};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde::Deserialize;
use serde_json::json;

use crate::plugin::registry_auth::Credentials;

/// The key under which `docker login` keeps Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    /// Base64 of `user:password`.
    auth: Option<String>,
    identitytoken: Option<String>,
}

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

/// What the Docker configuration has for a registry. Credential helpers are not asked.
pub(super) async fn configured(registry: &str) -> Option<String> {
    let file = tokio::fs::read(path()?).await.ok()?;
    let config: ConfigFile = serde_json::from_slice(&file)
        .inspect_err(|reason| tracing::warn!(%reason, "docker configuration cannot be read"))
        .ok()?;
    find(&config, registry).map(|credentials| encode(registry, &credentials))
}

fn path() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder =
        folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

fn find(config: &ConfigFile, registry: &str) -> Option<Credentials> {
    let spellings = match registry {
        "docker.io" => vec![HUB.to_owned(), "docker.io".into(), "index.docker.io".into()],
        other => vec![
            other.to_owned(),
            format!("https://{other}"),
            format!("http://{other}"),
        ],
    };
    let auth = spellings.iter().find_map(|name| config.auths.get(name))?;
    let decoded = auth
        .auth
        .as_ref()
        .and_then(|auth| String::from_utf8(STANDARD.decode(auth).ok()?).ok());
    let (username, password) = decoded.as_deref()?.split_once(':')?;
    Some(Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
        identity_token: auth.identitytoken.clone().filter(|token| !token.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docker_configuration_is_read_as_the_cli_writes_it() {
        let config: ConfigFile = serde_json::from_value(json!({
            "auths": {
                "10.0.0.1:5000": { "auth": STANDARD.encode("ann:a:b") },
                HUB: { "auth": STANDARD.encode("bob:x"), "identitytoken": "t" },
                "empty": {},
            },
            "credsStore": "pass",
        }))
        .unwrap();
        let ann = find(&config, "10.0.0.1:5000").unwrap();
        assert_eq!(
            (ann.username.as_str(), ann.password.as_str()),
            ("ann", "a:b")
        );
        assert_eq!(
            find(&config, "docker.io")
                .unwrap()
                .identity_token
                .as_deref(),
            Some("t")
        );
        assert!(find(&config, "empty").is_none());
        assert!(find(&config, "other").is_none());
    }

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
