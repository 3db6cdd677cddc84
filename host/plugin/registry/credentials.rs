//! Credentials for registries: docker's own, in `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`.

use std::{env, fs::File, io, path::PathBuf, time::Duration};

use docker_credential::{CredentialRetrievalError as Failure, DockerCredential};
use oci_client::secrets::RegistryAuth;
use tokio::{task::spawn_blocking, time::timeout};

/// The key under which `docker login` keeps Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns what the docker configuration has for a registry. What cannot be used is logged and as good as nothing: most
/// registries give public artifacts to anybody.
pub(super) async fn find(registry: &str) -> RegistryAuth {
    let server = match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        other => other.to_owned(),
    };
    // A credential helper is a program; whoever calls it waits for it.
    let looked_up = timeout(PATIENCE, spawn_blocking(move || look_up(&server))).await;
    let found = match looked_up {
        Ok(Ok(found)) => found,
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_) => Err(format!("the credential helper took more than {PATIENCE:?}")),
    };
    found.unwrap_or_else(|reason| {
        tracing::warn!(
            registry,
            reason,
            "the docker configuration gives no credentials"
        );
        RegistryAuth::Anonymous
    })
}

fn look_up(server: &str) -> Result<RegistryAuth, String> {
    let Some(path) = path() else {
        return Ok(RegistryAuth::Anonymous);
    };
    let file = match File::open(&path) {
        Ok(file) => io::BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(RegistryAuth::Anonymous);
        }
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    match docker_credential::get_credential_from_reader(file, server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(
            "an identity token cannot be used, log in with a password or an access token".into(),
        ),
        Err(Failure::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(Failure::HelperFailure { stdout, .. }) if has_none(&stdout) => {
            Ok(RegistryAuth::Anonymous)
        }
        Err(error) => Err(explain(&error, &path)),
    }
}

/// The words by which every credential helper says that it has nothing for a registry.
fn has_none(stdout: &str) -> bool {
    stdout.contains("credentials not found")
}

/// What helpers print is left out, for it may hold a secret.
fn explain(error: &Failure, path: &std::path::Path) -> String {
    match error {
        Failure::HelperFailure { helper, .. } => format!("{helper} failed"),
        Failure::ConfigReadError => format!("{} is not as docker writes it", path.display()),
        other => other.to_string().to_lowercase(),
    }
}

fn path() -> Option<PathBuf> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty());
    let folder = given("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| given("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}
