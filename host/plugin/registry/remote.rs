//! One registry, asked for one reference. Believes nothing of what it says that a digest does not prove.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol, SizedStream},
    errors::{DigestError, OciDistributionError},
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
        OCI_IMAGE_MEDIA_TYPE,
    },
    secrets::RegistryAuth,
};

use super::{Layer, PullError, credentials, error::chain};
use crate::plugin::digest;

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a registry may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

const MANIFESTS: &[&str] = &[
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// A registry that has answered, with the credentials for it.
pub(super) struct Remote<'a> {
    client: Client,
    reference: &'a Reference,
    auth: RegistryAuth,
}

impl<'a> Remote<'a> {
    /// Finds out how the registry is spoken to. An insecure one may have any certificate, or no TLS at all.
    pub(super) async fn connect(
        reference: &'a Reference,
        insecure: bool,
    ) -> Result<Self, PullError> {
        let auth = credentials::find(reference.registry()).await;
        let secure = Self {
            client: client(ClientProtocol::Https, insecure)?,
            reference,
            auth,
        };
        match secure.greet().await {
            Err(OciDistributionError::RequestError(error)) if insecure && error.is_connect() => {}
            greeted => {
                return greeted
                    .map_err(|error| secure.failed(error))
                    .map(|()| secure);
            }
        }
        let plain = Self {
            client: client(ClientProtocol::Http, insecure)?,
            ..secure
        };
        let greeted = plain.greet().await;
        greeted.map_err(|error| plain.failed(error)).map(|()| plain)
    }

    /// Logs in if the registry wants that.
    async fn greet(&self) -> Result<(), OciDistributionError> {
        let pull = RegistryOperation::Pull;
        let greeted = self.client.auth(self.reference, &self.auth, pull).await;
        greeted.map(drop)
    }

    /// Returns the manifest, whose digest is the reference's if that has one.
    pub(super) async fn manifest(&self) -> Result<Bytes, PullError> {
        let asked = self
            .client
            .pull_manifest_raw(self.reference, &self.auth, MANIFESTS);
        let (manifest, _) = asked.await.map_err(|error| self.failed(error))?;
        let found = format!("sha256:{}", digest(&manifest));
        match self.reference.digest() {
            Some(expected) if !found.eq_ignore_ascii_case(expected) => {
                Err(PullError::Corrupt("the manifest"))
            }
            _ => Ok(manifest),
        }
    }

    /// Returns the component.
    pub(super) async fn blob(&self, layer: &Layer) -> Result<Vec<u8>, PullError> {
        // By its digest alone: other addresses that a manifest names for a layer are not asked.
        let asked = self
            .client
            .pull_blob_stream(self.reference, layer.digest.as_str());
        let stream = asked.await.map_err(|error| self.failed(error))?;
        let bytes = collect(stream, layer.size).await?;
        match format!("sha256:{}", digest(&bytes)) == layer.digest {
            true => Ok(bytes),
            false => Err(PullError::Corrupt("the component")),
        }
    }

    fn failed(&self, error: OciDistributionError) -> PullError {
        let login = self.auth != RegistryAuth::Anonymous;
        PullError::of(error, self.reference.registry(), login)
    }
}

fn client(protocol: ClientProtocol, insecure: bool) -> Result<Client, PullError> {
    let config = ClientConfig {
        protocol,
        accept_invalid_certificates: insecure,
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("flockerd/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| PullError::Refused {
        reason: chain(&error),
    })
}

/// Reads a blob as far as it should go.
async fn collect(mut stream: SizedStream, size: usize) -> Result<Vec<u8>, PullError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(interrupted)?);
        if bytes.len() > size {
            return Err(PullError::Corrupt("the component"));
        }
    }
    Ok(bytes)
}

fn interrupted(error: io::Error) -> PullError {
    let cause = error.get_ref();
    if cause.is_some_and(|cause| cause.is::<DigestError>()) {
        return PullError::Corrupt("the component");
    }
    PullError::Unreachable {
        reason: chain(&error),
    }
}
