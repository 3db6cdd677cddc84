//! What a manifest must look like for a component to be in it.
//!
//! The layout is that of the CNCF's wasm working group, as `wkg` pushes it: a config of the type
//! `application/vnd.wasm.config.v0+json` and one layer of the type `application/wasm`. Older tools name other types; what
//! they have in common is that the layer is the component itself.

use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, OciDescriptor, OciManifest,
};

use super::{PullError, SIZE_MAX, error::line};

/// The blob that is the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// `sha256:...`
    pub(super) digest: String,
    /// In bytes, at most [`SIZE_MAX`].
    pub(super) size: usize,
}

impl Layer {
    /// Finds the only layer that is wasm; others, such as a README, are none of flockerd's business.
    pub(super) fn find(manifest: &[u8]) -> Result<Self, PullError> {
        let image = match serde_json::from_slice(manifest) {
            Ok(OciManifest::Image(image)) => image,
            Ok(OciManifest::ImageIndex(_)) => return Err(other("an image for several platforms")),
            Err(_) => return Err(other("something without a manifest of layers")),
        };
        let mut wasm = image.layers.iter().filter(|layer| is_wasm(layer));
        match (wasm.next(), wasm.next()) {
            (Some(layer), None) => Self::checked(layer),
            (Some(_), Some(_)) => Err(other("several wasm files")),
            (None, _) if is_container(&image.config) => Err(other("a container image")),
            (None, _) => {
                let types = image.layers.iter().map(|layer| layer.media_type.as_str());
                let types = types.collect::<Vec<_>>().join(", ");
                Err(other(&format!("an artifact with the layers [{types}]")))
            }
        }
    }

    fn checked(layer: &OciDescriptor) -> Result<Self, PullError> {
        let hexadecimal = layer.digest.strip_prefix("sha256:").unwrap_or_default();
        if hexadecimal.len() != 64 || !hexadecimal.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(other("an artifact whose layer has no sha256"));
        }
        let size = u64::try_from(layer.size).unwrap_or_default();
        match usize::try_from(size) {
            Ok(size) if size <= SIZE_MAX => Ok(Self {
                digest: layer.digest.to_ascii_lowercase(),
                size,
            }),
            _ => Err(PullError::TooLarge {
                size,
                limit: SIZE_MAX,
            }),
        }
    }
}

fn other(what: &str) -> PullError {
    PullError::OtherKind { what: line(what) }
}

/// `application/wasm`, and `application/vnd.wasm.content.layer.v1+wasm` with its kin.
fn is_wasm(layer: &OciDescriptor) -> bool {
    layer.media_type == "application/wasm" || layer.media_type.ends_with("+wasm")
}

fn is_container(config: &OciDescriptor) -> bool {
    [IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE].contains(&config.media_type.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WASM: &str = "application/wasm";
    const CONFIG: &str = "application/vnd.wasm.config.v0+json";

    fn descriptor(media_type: &str, size: i64) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", "0a".repeat(32)), "size": size})
    }

    fn manifest(config: &str, layers: &[Value]) -> Value {
        json!({"schemaVersion": 2, "config": descriptor(config, 2), "layers": layers})
    }

    fn find(manifest: &Value) -> Result<Layer, String> {
        Layer::find(manifest.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_component_is_found_as_the_tools_push_it() {
        let expected = Layer {
            digest: format!("sha256:{}", "0a".repeat(32)),
            size: 7,
        };
        let old = "application/vnd.wasm.content.layer.v1+wasm";
        let readme = descriptor("text/markdown", 3);
        for mut found in [
            manifest(CONFIG, &[descriptor(WASM, 7)]),
            manifest("application/vnd.wasm.config.v1+json", &[descriptor(old, 7)]),
            manifest(
                "application/vnd.oci.empty.v1+json",
                &[readme, descriptor(WASM, 7)],
            ),
            manifest(IMAGE_CONFIG_MEDIA_TYPE, &[descriptor(WASM, 7)]),
        ] {
            assert_eq!(find(&found), Ok(expected.clone()), "{found}");
            found["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
            found["artifactType"] = json!(WASM);
            assert_eq!(find(&found), Ok(expected.clone()), "{found}");
        }
    }

    #[test]
    fn what_is_no_component_is_named() {
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        let mut no_digest = descriptor(WASM, 7);
        no_digest["digest"] = json!("sha256:../../etc/passwd");
        for (manifest, what) in [
            (
                manifest(IMAGE_CONFIG_MEDIA_TYPE, &[descriptor(tar, 7)]),
                "it is a container image,",
            ),
            (
                manifest(IMAGE_DOCKER_CONFIG_MEDIA_TYPE, &[]),
                "it is a container image,",
            ),
            (
                manifest(CONFIG, &[descriptor(tar, 7)]),
                "an artifact with the layers [application/vnd.oci",
            ),
            (
                manifest(CONFIG, &[descriptor(WASM, 7), descriptor(WASM, 7)]),
                "several wasm files",
            ),
            (manifest(CONFIG, &[no_digest]), "no sha256"),
            (
                manifest(CONFIG, &[descriptor(WASM, 1 << 40)]),
                "1099511627776 bytes",
            ),
            (
                json!({"schemaVersion": 2, "manifests": []}),
                "several platforms",
            ),
            (json!({"errors": []}), "without a manifest"),
            (json!("text"), "without a manifest"),
        ] {
            let error = find(&manifest).unwrap_err();
            assert!(error.contains(what), "{manifest}: {error}");
        }
    }
}
