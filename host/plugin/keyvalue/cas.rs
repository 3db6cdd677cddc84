//! Compare and swap on a handle: a value is replaced only if it is still the one that was seen.

use sha2::{Digest, Sha256};

use super::{Bucket, Fault};

/// What was seen of a key. Of the value only the digest is kept: a plugin may hold a thousand of these.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Cas {
    bucket: Bucket,
    key: String,
    seen: Option<[u8; 32]>,
}

impl Cas {
    /// Has seen nothing yet.
    pub(super) fn new(bucket: Bucket, key: String) -> Self {
        Self {
            bucket,
            key,
            seen: None,
        }
    }

    /// Returns the value, which from now on is the one seen.
    pub(super) async fn current(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.bucket.get(&self.key).await?;
        self.seen = value.as_deref().map(digest);
        Ok(value)
    }

    /// Replaces the value that was seen and returns whether it did; otherwise the value there now is the one seen.
    pub(super) async fn swap(&mut self, replacement: &[u8]) -> Result<bool, Fault> {
        let seen = self.seen;
        let value = self.current().await?;
        if self.seen != seen {
            return Ok(false);
        }
        let (keys, value) = (&self.bucket.0, value.as_deref());
        if keys.swap(&self.key, value, Some(replacement), None).await? {
            return Ok(true);
        }
        self.current().await?;
        Ok(false)
    }
}

fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}
