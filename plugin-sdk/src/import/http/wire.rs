//! A request over `wasi:http`, waited for.

use super::{Request, Response, Url};
use crate::bindings::client::wasi::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
            OutgoingBody, OutgoingRequest, Scheme, http_error_code,
        },
    },
    io::streams::StreamError,
};

/// What one write to a stream may have, in bytes.
const WRITE: usize = 4096;

/// What one read asks for, in bytes.
const READ: u64 = 64 << 10;

pub(super) fn send(request: &Request, url: &Url<'_>) -> Result<Response, String> {
    let outgoing = outgoing(request, url)?;
    let body = match request.body.is_empty() {
        true => None,
        false => Some(outgoing.body().map_err(|()| "it can have no body")?),
    };
    let told = |error| told(error, url);
    let answer = outgoing_handler::handle(outgoing, None).map_err(told)?;
    let written = body.map_or(Ok(()), |body| write(body, &request.body));
    // Why a body could not be written the answer tells better.
    let answer = wait(&answer)?.map_err(told)?;
    written?;
    let headers = answer.headers().entries().into_iter();
    let headers = headers.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
    let headers = headers.collect();
    let body = answer.consume().map_err(|()| "its body is gone")?;
    Ok(Response {
        status: answer.status(),
        headers,
        body: read(&body, url)?,
    })
}

fn outgoing(request: &Request, url: &Url<'_>) -> Result<OutgoingRequest, String> {
    let headers = request.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone().into_bytes()));
    let mut headers: Vec<_> = headers.collect();
    if !request.body.is_empty() {
        let length = request.body.len().to_string();
        headers.push(("content-length".into(), length.into_bytes()));
    }
    let headers = Fields::from_list(&headers);
    let headers = headers.map_err(|error| format!("a header cannot be sent: {error:?}"))?;
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if url.secure {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let parts = outgoing
        .set_method(&method(&request.method))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(url.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&url.path)));
    parts.map_err(|()| "its method, host or path has characters that it cannot have")?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.into()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    let broken = |_| "its body could not be written";
    let stream = body.write().map_err(broken)?;
    for piece in bytes.chunks(WRITE) {
        let written = stream.blocking_write_and_flush(piece);
        written.map_err(|_| "its body could not be written")?;
    }
    // The body can end only when nobody writes any more.
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    Ok(finished.map_err(|_| "its body could not be written")?)
}

fn wait(answer: &FutureIncomingResponse) -> Result<Result<IncomingResponse, ErrorCode>, String> {
    answer.subscribe().block();
    let answer = answer.get().and_then(Result::ok);
    Ok(answer.ok_or("there is no answer")?)
}

fn read(body: &IncomingBody, url: &Url<'_>) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "its body is gone")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                let reason = http_error_code(&error).map(|code| told(code, url));
                return Err(reason.unwrap_or_else(|| error.to_debug_string()));
            }
        }
    }
}

/// What happened, in words.
fn told(error: ErrorCode, url: &Url<'_>) -> String {
    let reason = match error {
        ErrorCode::HttpRequestDenied => {
            return format!(
                "{} is not granted to this plugin, see `http` in its configuration",
                url.authority
            );
        }
        ErrorCode::ConnectionRefused => "the connection was refused",
        ErrorCode::ConnectionTimeout => "no connection in time",
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => "no answer in time",
        ErrorCode::HttpResponseIncomplete => "the answer breaks off",
        ErrorCode::HttpResponseBodySize(_) => "the answer is too long",
        ErrorCode::HttpRequestBodySize(_) => "the body is too long",
        ErrorCode::DnsError(ref payload) => payload.rcode.as_deref().unwrap_or("unknown name"),
        ErrorCode::InternalError(Some(ref reason)) => reason,
        other => return format!("{other:?}").replace("ErrorCode::", ""),
    };
    reason.to_owned()
}
