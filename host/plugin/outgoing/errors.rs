//! What went wrong with a request, in the errors of wasi:http that a plugin is given.

use std::{error::Error as _, io};

use http_body_util::LengthLimitError;
use tokio_rustls::rustls;
use wasmtime_wasi_http::Error;

use super::HTTP_BODY;

pub(super) fn too_long(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    if error.is::<LengthLimitError>() {
        return Error::HttpRequestBodySize(Some(HTTP_BODY as u64));
    }
    let own = error.downcast::<Error>();
    own.map_or_else(
        |other| Error::InternalError(Some(other.to_string())),
        |own| *own,
    )
}

pub(super) fn unknown(error: &io::Error) -> Error {
    let rcode = Some(error.to_string());
    Error::DnsError {
        rcode,
        info_code: None,
    }
}

pub(super) fn insecure(error: io::Error) -> Error {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref());
    match reason {
        // The code for this has no room for the reason, without which nobody can mend it.
        Some(rustls::Error::InvalidCertificate(_)) => Error::InternalError(Some(error.to_string())),
        _ => Error::Tls(error),
    }
}

/// What went wrong with an exchange; perhaps it was the plugin's own body.
pub(super) fn broken(error: hyper::Error) -> Error {
    let own = error.source().and_then(|source| source.downcast_ref());
    match own {
        Some(Error::HttpRequestBodySize(size)) => Error::HttpRequestBodySize(*size),
        _ if error.is_incomplete_message() => Error::HttpResponseIncomplete,
        _ => Error::Hyper(error),
    }
}
