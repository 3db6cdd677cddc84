//! What `docker login` keeps of registries: in `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, or in a helper.

use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use docker_credential::{CredentialRetrievalError as Failure, get_credential_from_reader};
use tokio::{task::spawn_blocking, time::timeout};

pub use docker_credential::DockerCredential as Login;

/// The key under which `docker login` keeps Docker Hub.
pub const HUB: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns what is kept for a registry. What cannot be used is logged and as good as nothing: most registries give what
/// is public to anybody.
pub async fn find(registry: &str) -> Option<Login> {
    let (path, name) = (path()?, registry.to_owned());
    // A credential helper is a program; whoever calls it waits for it.
    let looked_up = timeout(PATIENCE, spawn_blocking(move || look_up(&path, &name))).await;
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
        None
    })
}

fn look_up(path: &Path, registry: &str) -> Result<Option<Login>, String> {
    for name in spellings(registry) {
        let file = match File::open(path) {
            Ok(file) => io::BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        match get_credential_from_reader(file, &name) {
            Ok(found) => return Ok(Some(found)),
            Err(Failure::NoCredentialConfigured) => {}
            Err(Failure::HelperFailure { stdout, .. }) if has_none(&stdout) => {}
            Err(error) => return Err(explain(&error, path)),
        }
    }
    Ok(None)
}

/// The names under which a registry may be kept.
fn spellings(registry: &str) -> Vec<String> {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => vec![HUB.to_owned()],
        other => ["", "https://", "http://"]
            .map(|scheme| format!("{scheme}{other}"))
            .into(),
    }
}

/// The words by which every credential helper says that it has nothing for a registry.
fn has_none(stdout: &str) -> bool {
    stdout.contains("credentials not found")
}

/// What helpers print is left out, for it may hold a secret.
fn explain(error: &Failure, path: &Path) -> String {
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

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_docker_configuration_is_read_as_the_cli_writes_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.json");
        assert!(look_up(&path, "docker.io").unwrap().is_none());
        let config = json!({ "auths": {
            "10.0.0.1:5000": { "auth": STANDARD.encode("ann:a:b") },
            "https://r.example": { "auth": STANDARD.encode("eve:y") },
            HUB: { "auth": STANDARD.encode("bob:x"), "identitytoken": "t" },
            "empty": {},
        }});
        std::fs::write(&path, config.to_string()).unwrap();
        let find = |registry| look_up(&path, registry).unwrap();
        let login = |user: &str, password: &str| {
            Some(Login::UsernamePassword(user.into(), password.into()))
        };
        assert_eq!(find("10.0.0.1:5000"), login("ann", "a:b"));
        assert_eq!(find("r.example"), login("eve", "y"));
        assert_eq!(find("docker.io"), Some(Login::IdentityToken("t".into())));
        assert_eq!((find("empty"), find("other")), (None, None));
        std::fs::write(&path, "{").unwrap();
        assert!(look_up(&path, "docker.io").is_err());
    }
}
