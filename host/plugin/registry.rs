//! Components from image registries: pulled once, kept, and never taken for others.

use std::{io, path::PathBuf, time::Duration};

use oci_client::Reference;
use tokio::time::timeout;

use super::{cache::Cache, digest};

mod artifact;
mod credentials;
mod error;
mod kept;
mod remote;

pub use error::PullError;

use artifact::Layer;
use kept::Kept;
use remote::Remote;

/// The largest component that is pulled, in bytes.
const SIZE_MAX: usize = 256 << 20;

/// How long one pull may take, however slowly bytes trickle in.
const PATIENCE: Duration = Duration::from_secs(300);

/// How plugins get out of registries.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    cache: Option<PathBuf>,
    insecure: Vec<String>,
}

/// A component out of a registry.
pub(super) struct Pulled {
    pub(super) bytes: Vec<u8>,
    /// The reference with the digest of the manifest instead of a tag.
    pub(super) pinned: Reference,
}

impl Registries {
    /// Keeps what was pulled below `cache`; without a folder, or when that one cannot be used, every start pulls again.
    /// The registries in `insecure` are asked without TLS, or with any certificate, as those on the loopback are.
    pub fn new(cache: Option<PathBuf>, insecure: Vec<String>) -> Self {
        Self { cache, insecure }
    }

    /// Returns the component that a reference means. What is known by its digest asks no registry; what a tag means is
    /// asked each time, and taken from the cache when the registry is out of reach.
    pub(super) async fn pull(&self, reference: &Reference) -> Result<Pulled, PullError> {
        let kept = Kept::new(self.open());
        if let Some(digest) = reference.digest()
            && let Some(pulled) = kept.pulled(reference, digest).await
        {
            tell(reference, &pulled, "plugin found in the cache");
            return Ok(pulled);
        }
        let asked = timeout(PATIENCE, self.ask(reference, &kept)).await;
        let asked = asked.unwrap_or_else(|_| {
            let reason = format!("pulling took more than {PATIENCE:?}");
            Err(PullError::Unreachable { reason })
        });
        match asked {
            Err(PullError::Unreachable { reason }) => fall_back(reference, &kept, reason).await,
            asked => asked,
        }
    }

    /// Asks the registry, and takes from the cache what it has already.
    async fn ask(&self, reference: &Reference, kept: &Kept) -> Result<Pulled, PullError> {
        let insecure = self.is_insecure(reference.registry());
        let remote = Remote::connect(reference, insecure).await?;
        let manifest = remote.manifest().await?;
        let layer = Layer::find(&manifest)?;
        let manifest_digest = format!("sha256:{}", digest(&manifest));
        let pinned = reference.clone_with_digest(manifest_digest.clone());
        let (bytes, words) = match kept.layer(&layer).await {
            Some(bytes) => (bytes, "plugin found in the cache"),
            None => (remote.blob(&layer).await?, "plugin pulled"),
        };
        let pulled = Pulled { bytes, pinned };
        tell(reference, &pulled, words);
        kept.keep(&layer.digest, &pulled.bytes).await;
        kept.keep(&manifest_digest, &manifest).await;
        kept.note(reference, &manifest_digest).await;
        Ok(pulled)
    }

    fn is_insecure(&self, registry: &str) -> bool {
        self.insecure.iter().any(|named| named == registry) || is_loopback(registry)
    }

    fn open(&self) -> Option<Cache> {
        let path = self.cache.as_ref()?;
        let unusable = |error: &io::Error| tracing::warn!(path = %path.display(), %error, "the cache of pulled plugins cannot be used");
        Cache::open(&path.join("registry"))
            .inspect_err(unusable)
            .ok()
    }
}

async fn fall_back(
    reference: &Reference,
    kept: &Kept,
    reason: String,
) -> Result<Pulled, PullError> {
    let digest = kept.noted(reference).await;
    let pulled = match &digest {
        Some(digest) => kept.pulled(reference, digest).await,
        None => None,
    };
    match (digest, pulled) {
        (Some(digest), Some(pulled)) => {
            tracing::warn!(%reference, digest, reason, "registry out of reach, the plugin is the one pulled last");
            Ok(pulled)
        }
        _ => Err(PullError::Unreachable { reason }),
    }
}

fn tell(reference: &Reference, pulled: &Pulled, words: &str) {
    let digest = pulled.pinned.digest().unwrap_or_default();
    let bytes = pulled.bytes.len();
    tracing::info!(%reference, digest, bytes, "{words}");
}

/// True for `localhost` and the addresses of this host alone, with or without a port.
fn is_loopback(registry: &str) -> bool {
    let authority = registry.parse::<http::uri::Authority>();
    let host = authority.as_ref().map_or(registry, |named| named.host());
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_recognised() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:80",
            "127.1.2.3",
            "[::1]:5",
        ] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in [
            "ghcr.io",
            "10.0.0.1:5000",
            "localhost.example.com",
            "[::2]:5",
        ] {
            assert!(!is_loopback(registry), "{registry}");
        }
        let registries = Registries::new(None, vec!["10.0.0.1:5000".to_owned()]);
        assert!(registries.is_insecure("10.0.0.1:5000") && !registries.is_insecure("10.0.0.1"));
    }
}
