//! Gives the registry credentials of its configuration to the pulls that flockerd makes by itself.
//!
//! ```toml
//! [[plugin]]
//! path = "registry_login.wasm"
//! [plugin.config.registries."registry.example.com:5000"]
//! username = "puller"
//! password = "secret"
//! ```
//!
//! Docker Hub may be called `docker.io`, `index.docker.io`, `registry-1.docker.io` or `https://index.docker.io/v1/`.

use std::collections::BTreeMap;

use flocker_plugin::{
    Error, RegistryAuth, config,
    registry_auth::{Credentials, Request},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    registries: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    #[serde(default)]
    password: String,
    identity_token: Option<String>,
}

struct RegistryLogin;

impl RegistryAuth for RegistryLogin {
    fn lookup(request: Request) -> Result<Option<Credentials>, Error> {
        let config: Config = config::table()?;
        let wanted = host(&request.registry);
        let mut logins = config.registries.into_iter();
        let found = logins.find(|(registry, _)| host(registry) == wanted);
        Ok(found.map(|(_, login)| login.into()))
    }
}

flocker_plugin::export!(RegistryLogin: RegistryAuth);

impl From<Login> for Credentials {
    fn from(login: Login) -> Self {
        Self {
            username: login.username,
            password: login.password,
            identity_token: login.identity_token,
        }
    }
}

/// Reduces a registry's address to `host:port`, and every name of Docker Hub to `docker.io`.
fn host(registry: &str) -> String {
    let address = registry
        .split_once("://")
        .map_or(registry, |(_, rest)| rest);
    let host = address.split('/').next().unwrap_or(address);
    match host.to_ascii_lowercase().as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use flocker_plugin::testing;
    use serde_json::json;

    use super::*;

    fn lookup(registry: &str) -> Option<Credentials> {
        let mut flock = testing::Flock::new().config(json!({"registries": {
            "https://index.docker.io/v1/": {"username": "hub", "password": "1"},
            "registry.example.com:5000": {"username": "team", "password": "2"},
            "token.example.com": {"username": "", "identity_token": "3"},
        }}));
        let request = Request {
            registry: registry.into(),
            image: format!("{registry}/app:1"),
            client: testing::client(),
        };
        let answer = flock.call(|| RegistryLogin::lookup(request));
        answer.expect("the table is right")
    }

    #[test]
    fn a_registry_is_found_under_each_of_its_names() {
        let hub = Credentials::password("hub", "1");
        let team = Credentials::password("team", "2");
        let token = Credentials {
            identity_token: Some("3".into()),
            ..Credentials::password("", "")
        };
        let cases = [
            ("docker.io", Some(&hub)),
            ("registry-1.docker.io", Some(&hub)),
            ("registry.example.com:5000", Some(&team)),
            ("Registry.Example.com:5000", Some(&team)),
            ("registry.example.com", None),
            ("token.example.com", Some(&token)),
            ("other.example.com", None),
        ];
        for (registry, expected) in cases {
            assert_eq!(lookup(registry).as_ref(), expected, "{registry}");
        }
    }

    #[test]
    fn without_a_table_there_is_no_opinion() {
        let request = Request {
            registry: "docker.io".into(),
            image: "nginx".into(),
            client: testing::client(),
        };
        let answer = testing::Flock::new().call(|| RegistryLogin::lookup(request));
        assert_eq!(answer, Ok(None));
    }
}
