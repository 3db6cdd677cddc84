//! Gives the registry credentials that are kept in Vault, in a key-value engine of version 2.
//!
//! ```toml
//! [[plugin]]
//! path = "vault_login.wasm"
//! http = ["https://vault.internal:8200"]
//! env = ["VAULT_TOKEN"]
//! [plugin.config]
//! url = "https://vault.internal:8200"
//! path = "registries"                 # `registries/registry.example.com:5000` has `username` and `password`
//! mount = "secret"                    # where the engine is; `secret` if it is left out
//! ```

use std::env;

use flocker_plugin::{
    Error, RegistryAuth, config, http,
    registry_auth::{Credentials, Request},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
    path: String,
    #[serde(default = "secret")]
    mount: String,
}

fn secret() -> String {
    "secret".into()
}

/// What `GET /v1/{mount}/data/{path}` answers.
#[derive(Deserialize)]
struct Secret {
    data: Version,
}

#[derive(Deserialize)]
struct Version {
    data: Login,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

struct VaultLogin;

impl RegistryAuth for VaultLogin {
    fn lookup(request: Request) -> Result<Option<Credentials>, Error> {
        let Config { url, path, mount } = config::table()?;
        let (url, registry) = (url.trim_end_matches('/'), http::escape(&request.registry));
        let token = env::var("VAULT_TOKEN");
        let token = token.map_err(|_| Error::fail("VAULT_TOKEN is not granted, see `env`"))?;
        let answer = http::get(format!("{url}/v1/{mount}/data/{path}/{registry}"))
            .header("X-Vault-Token", token)
            .send()?;
        if answer.status == 404 {
            return Ok(None);
        }
        let Secret { data } = answer.success()?.json()?;
        let Login { username, password } = data.data;
        Ok(Some(Credentials::password(username, password)))
    }
}

flocker_plugin::export!(VaultLogin: RegistryAuth);

#[cfg(test)]
mod tests {
    use flocker_plugin::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_a_user_and_a_password() {
        let text = json!({"data": {"data": {"username": "u", "password": "p"}, "metadata": {"version": 3}}});
        let secret: Secret = serde_json::from_value(text).expect("it is Vault's form");
        let login = secret.data.data;
        assert_eq!((login.username, login.password), ("u".into(), "p".into()));
    }

    #[test]
    fn without_a_token_it_fails_and_asks_nobody() {
        let table = json!({"url": "http://vault:8200", "path": "registries"});
        let mut flock = testing::Flock::new().config(table);
        let request = Request {
            registry: "registry.example.com".into(),
            image: "registry.example.com/app:1".into(),
            client: testing::client(),
        };
        let said = flock.call(|| VaultLogin::lookup(request));
        assert!(
            matches!(&said, Err(Error::Failed(reason)) if reason.contains("`env`")),
            "{said:?}"
        );
        assert!(flock.requests().is_empty());
    }
}
