//! Who makes a call: the connection it came by and the identity the transport vouches for.

use std::sync::Arc;

/// One client connection. One command of a client may use several.
#[derive(Debug, Clone)]
pub struct Client {
    /// Unique over restarts of flockerd; remembers which connection was told to pull an image.
    pub connection: Arc<str>,
    /// `192.0.2.7:51234`, or `unix`.
    pub address: Arc<str>,
    /// `uid:1000` for a unix socket.
    pub identity: Option<Arc<str>>,
}
