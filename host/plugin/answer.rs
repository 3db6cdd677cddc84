//! What a plugin may answer: the shapes and sizes that the rest of flockerd relies on.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde::de::IgnoredAny;

use super::{
    Resolve, Verdict,
    bindings::{list, request, route},
    failure::Failure,
    limits,
};

pub(super) fn verdict(verdict: request::Verdict) -> Result<Verdict, Failure> {
    match verdict {
        request::Verdict::Proceed => Ok(Verdict::Proceed),
        request::Verdict::Respond(answer) => response(answer).map(Verdict::Respond),
    }
}

/// Checks a plugin's answer for the client. What frames the body on the wire is not the plugin's to say.
fn response(answer: request::Response) -> Result<http::Response<Bytes>, Failure> {
    if !(200..=599).contains(&answer.status) {
        let reason = format!(
            "its answer has status {}, which is not from 200 to 599",
            answer.status
        );
        return Err(Failure::broken(reason));
    }
    check_headers(&answer.headers)?;
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        let invalid = || Failure::broken(format!("its answer has an invalid header {name:?}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        if ![
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ]
        .contains(&name)
        {
            response = response.header(name, value);
        }
    }
    let response = response.body(Bytes::from(answer.body));
    response.map_err(|error| Failure::broken(format!("its answer is not HTTP: {error}")))
}

/// Checks that headers are as many and as long as clients take.
fn check_headers(headers: &[(String, String)]) -> Result<(), Failure> {
    let (count, allowed) = (headers.len(), limits::HEADERS);
    if count > allowed {
        let reason = format!("its answer has {count} headers, {allowed} are allowed");
        return Err(Failure::broken(reason));
    }
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len());
    let (bytes, allowed) = (bytes.sum::<usize>(), limits::HEADER_BYTES);
    if bytes > allowed {
        let reason = format!("its answer has headers of {bytes} bytes, {allowed} are allowed");
        return Err(Failure::broken(reason));
    }
    Ok(())
}

pub(super) fn chosen(
    answer: route::Decision,
    resolve: Resolve<'_>,
) -> Result<route::Decision, Failure> {
    Ok(route::Decision {
        backend: answer
            .backend
            .as_deref()
            .map(resolve)
            .transpose()
            .map_err(Failure::broken)?,
        body: object(answer.body)?,
    })
}

/// Checks that a list is of bearable length.
pub(super) fn entries(list: Vec<list::Entry>) -> Result<Vec<list::Entry>, Failure> {
    if list.len() > limits::BACKENDS {
        let (length, allowed) = (list.len(), limits::BACKENDS);
        let reason = format!("its list has {length} backends, {allowed} are allowed");
        return Err(Failure::broken(reason));
    }
    Ok(list)
}

/// Checks that changed JSON is an object of bearable size.
pub(super) fn object(json: Option<String>) -> Result<Option<String>, Failure> {
    let Some(text) = &json else {
        return Ok(None);
    };
    if text.len() > limits::JSON {
        let reason = format!(
            "its JSON has {} bytes, {} are allowed",
            text.len(),
            limits::JSON
        );
        return Err(Failure::broken(reason));
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(Failure::broken(format!("its answer is not JSON: {error}")));
    }
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Failure::broken("its answer is JSON, but not an object"));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_json_is_an_object() {
        for good in ["{}", " \n{\"Image\": \"alpine\", \"Image\": null} "] {
            assert_eq!(
                object(Some(good.to_owned())).unwrap().as_deref(),
                Some(good)
            );
        }
        for (bad, reason) in [
            ("", "its answer is not JSON: EOF"),
            ("{\"Image\": }", "its answer is not JSON: expected value"),
            ("{} {}", "its answer is not JSON: trailing characters"),
            ("[1]", "its answer is JSON, but not an object"),
            ("null", "its answer is JSON, but not an object"),
        ] {
            let said = object(Some(bad.to_owned())).unwrap_err().reason();
            assert!(said.starts_with(reason), "{bad}: {said}");
        }
        let long = format!("{{{}}}", " ".repeat(limits::JSON));
        assert!(
            object(Some(long))
                .unwrap_err()
                .reason()
                .contains("are allowed")
        );
        assert_eq!(object(None).unwrap(), None);
    }

    #[test]
    fn an_answer_for_the_client_is_checked() {
        let answer = |status, header: (&str, &str)| {
            response(request::Response {
                status,
                headers: vec![(header.0.to_owned(), header.1.to_owned())],
                body: b"hi".to_vec(),
            })
        };
        let good = answer(418, ("X-Pot", "tea")).unwrap();
        assert_eq!(
            (
                good.status().as_u16(),
                &good.headers()["x-pot"],
                good.body().as_ref()
            ),
            (418, &HeaderValue::from_static("tea"), &b"hi"[..])
        );
        assert!(
            answer(200, ("Content-Length", "99"))
                .unwrap()
                .headers()
                .is_empty()
        );
        assert!(
            answer(101, ("x", "y"))
                .unwrap_err()
                .reason()
                .contains("status 101")
        );
        assert!(
            answer(200, ("x y", "z"))
                .unwrap_err()
                .reason()
                .contains("invalid header")
        );
        assert!(
            answer(200, ("x", "a\r\nb: c"))
                .unwrap_err()
                .reason()
                .contains("invalid header")
        );
    }
}
