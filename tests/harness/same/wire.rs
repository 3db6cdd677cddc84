//! Archives, times and request lines as a daemon reads them.

use std::time::{SystemTime, UNIX_EPOCH};

/// An archive of files, as bodies of type `application/x-tar`.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut head = [0; 512];
        let mut write =
            |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
        write(0, name);
        write(100, "0000644\x000000000\x000000000\0");
        write(
            124,
            &format!("{:011o}\x0000000000000\x00        0", content.len()),
        );
        write(257, "ustar\x0000");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend(head);
        archive.extend(content.as_bytes());
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Seconds since 1970 with a fraction, as `since` takes them.
pub(super) fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// Percent-encodes what JSON has and a request line must not have.
pub(super) fn encode(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b' ' | b'"' | b'{' | b'}' | b'[' | b']' | b'\\' | 127.. => {
                encoded += &format!("%{byte:02X}");
            }
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}
