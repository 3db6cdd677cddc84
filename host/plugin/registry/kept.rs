//! What was pulled before, each file by the digest of what is in it; a file that does not match its name is no file.

use std::{io, path::PathBuf};

use oci_client::Reference;
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncWriteExt},
};

use super::{Layer, Pulled, SIZE_MAX};
use crate::plugin::{cache::Cache, digest};

/// The longest note, in bytes: a digest.
const NOTE_MAX: u64 = 100;

/// Manifests and components by their digests, and what tags meant when they were last looked up.
pub(super) struct Kept(Option<Cache>);

impl Kept {
    /// Without a cache nothing is kept.
    pub(super) fn new(cache: Option<Cache>) -> Self {
        Self(cache)
    }

    /// Returns the component of a manifest.
    pub(super) async fn pulled(&self, reference: &Reference, digest: &str) -> Option<Pulled> {
        let manifest = self.read(digest).await?;
        let layer = Layer::find(&manifest).ok()?;
        let pinned = reference.clone_with_digest(digest.to_owned());
        let bytes = self.layer(&layer).await?;
        Some(Pulled { bytes, pinned })
    }

    pub(super) async fn layer(&self, layer: &Layer) -> Option<Vec<u8>> {
        self.read(&layer.digest).await
    }

    /// Returns the digest of the manifest that a tag meant when it was last looked up.
    pub(super) async fn noted(&self, reference: &Reference) -> Option<String> {
        let path = self.file(&note(reference))?;
        let bytes = head(path, NOTE_MAX).await.ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Notes what a tag means now.
    pub(super) async fn note(&self, reference: &Reference, digest: &str) {
        if reference.digest().is_none() {
            self.write(&note(reference), digest.as_bytes()).await;
        }
    }

    /// Keeps a manifest or a component, unless it is there.
    pub(super) async fn keep(&self, digest: &str, bytes: &[u8]) {
        if self.file(&name(digest)).is_none() {
            self.write(&name(digest), bytes).await;
        }
    }

    async fn read(&self, expected: &str) -> Option<Vec<u8>> {
        let path = self.file(&name(expected))?;
        let bytes = head(path.clone(), SIZE_MAX as u64).await.ok()?;
        if format!("sha256:{}", digest(&bytes)) == expected {
            return Some(bytes);
        }
        tracing::warn!(path = %path.display(), "a file of the cache does not match its digest, it is removed");
        // One that stays is found wrong again.
        let _ = fs::remove_file(path).await;
        None
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref()?.file(name)
    }

    /// A pull is good without it being kept.
    async fn write(&self, name: &str, bytes: &[u8]) {
        let Some(cache) = &self.0 else { return };
        if let Err(error) = write(cache, name, bytes).await {
            tracing::warn!(%error, "a pulled plugin is not kept");
        }
    }
}

async fn write(cache: &Cache, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = cache.draft()?;
    let mut file = fs::File::create(draft.path()).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    cache.keep(draft, name)
}

/// Reads a file, but no more of it than `limit` bytes.
async fn head(path: PathBuf, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).await?;
    file.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The name of a file for a digest.
fn name(digest: &str) -> String {
    digest.replace(':', "-")
}

/// The name of the file that tells what a tag means.
fn note(reference: &Reference) -> String {
    format!("tag-{}", digest(reference.whole().as_bytes()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn kept() -> (TempDir, Kept) {
        let folder = TempDir::new().unwrap();
        let cache = Cache::open(&folder.path().join("registry")).unwrap();
        (folder, Kept::new(Some(cache)))
    }

    #[tokio::test]
    async fn only_what_matches_its_digest_is_read_back() {
        let (folder, kept) = kept();
        let named = format!("sha256:{}", digest(b"sheep"));
        kept.keep(&named, b"sheep").await;
        assert_eq!(kept.read(&named).await.as_deref(), Some(&b"sheep"[..]));
        let file = folder.path().join("registry").join(name(&named));
        std::fs::write(&file, b"wolf!").unwrap();
        assert_eq!(kept.read(&named).await, None);
        assert!(!file.exists());
        kept.keep(&named, b"sheep").await;
        assert_eq!(kept.read(&named).await.as_deref(), Some(&b"sheep"[..]));
    }

    #[tokio::test]
    async fn a_tag_is_noted_for_its_reference_alone() {
        let (_folder, kept) = kept();
        let reference = |text: &str| Reference::try_from(text).unwrap();
        let tag = reference("localhost/a:1");
        kept.note(&tag, "sha256:1").await;
        kept.note(&tag, "sha256:2").await;
        assert_eq!(kept.noted(&tag).await.as_deref(), Some("sha256:2"));
        assert_eq!(kept.noted(&reference("localhost/a:2")).await, None);
        assert_eq!(kept.noted(&reference("localhost/b:1")).await, None);
    }

    #[tokio::test]
    async fn without_a_cache_nothing_is_kept() {
        let kept = Kept::new(None);
        kept.keep("sha256:1", b"a").await;
        assert_eq!(kept.read("sha256:1").await, None);
    }
}
