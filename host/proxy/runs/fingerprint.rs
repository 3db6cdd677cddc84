//! What tells a create from another.

use std::sync::OnceLock;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A create's name and body as a digest. Only a create that waits for its image, or one that may be
/// its repetition, is ever told from others.
pub(in crate::proxy) struct Fingerprint {
    name: String,
    body: Bytes,
    text: OnceLock<String>,
}

impl Fingerprint {
    pub(in crate::proxy) fn of(name: &str, body: &Bytes) -> Self {
        Self {
            name: name.to_owned(),
            body: body.clone(),
            text: OnceLock::new(),
        }
    }

    pub(in crate::proxy) fn get(&self) -> &str {
        self.text.get_or_init(|| {
            let mut hasher = Sha256::new();
            hasher.update(self.name.len().to_le_bytes());
            hasher.update(&self.name);
            hasher.update(&self.body);
            hex(&hasher.finalize())
        })
    }
}

/// In hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
impl From<&str> for Fingerprint {
    fn from(text: &str) -> Self {
        Self {
            name: String::new(),
            body: Bytes::new(),
            text: OnceLock::from(text.to_owned()),
        }
    }
}
