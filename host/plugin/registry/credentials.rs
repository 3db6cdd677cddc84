//! Credentials for registries, as their client wants them: docker's own.

use oci_client::secrets::RegistryAuth;

use crate::docker::login::{self, Login};

/// Returns what `docker login` keeps for a registry.
pub(super) async fn find(registry: &str) -> RegistryAuth {
    match login::find(registry).await {
        Some(Login::UsernamePassword(user, password)) => RegistryAuth::Basic(user, password),
        Some(Login::IdentityToken(_)) => {
            let reason =
                "an identity token cannot be used, log in with a password or an access token";
            tracing::warn!(
                registry,
                reason,
                "the docker configuration gives no credentials"
            );
            RegistryAuth::Anonymous
        }
        None => RegistryAuth::Anonymous,
    }
}
