//! From a plugin's source to the bytes of its component.

use oci_client::Reference;

use crate::config::PluginSource;

use super::{Registries, digest, load::Cause};

/// What a source has now.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) origin: Origin,
}

/// Which component a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The SHA-256 of the component, in hexadecimal.
    pub(super) digest: String,
    /// How long the component is, in bytes.
    pub(super) size: usize,
    /// For a component from a registry, the reference that means this one for ever.
    pub(super) pinned: Option<Reference>,
}

/// Reads a component.
///
/// # Errors
/// Why there are no bytes to be had; whether they are a component is not looked at.
pub(super) async fn read(source: &PluginSource, registries: &Registries) -> Result<Read, Cause> {
    let (bytes, pinned) = match source {
        PluginSource::File(path) => match tokio::fs::read(path).await {
            Ok(bytes) => (bytes, None),
            Err(error) => {
                let path = path.display().to_string();
                return Err(Cause::Unreadable { path, error });
            }
        },
        PluginSource::Registry(reference) => {
            let pulled = registries.pull(reference).await;
            let pulled = pulled.map_err(|error| Cause::NotPulled {
                wanted: source.to_string(),
                error,
            })?;
            (pulled.bytes, Some(pulled.pinned))
        }
    };
    let origin = Origin {
        digest: digest(&bytes),
        size: bytes.len(),
        pinned,
    };
    Ok(Read { bytes, origin })
}
