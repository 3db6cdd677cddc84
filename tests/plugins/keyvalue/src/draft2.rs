//! `wasi:keyvalue@0.2.0-draft2`, as Spin has it.

use serde_json::{Value, json};

use crate::{Work, both, text};

wit_bindgen::generate!({
    world: "imports",
    path: "../../../host/plugin/keyvalue/wit/draft2",
    generate_all,
});

use wasi::keyvalue::{
    atomics::{self, Cas, CasError},
    batch, store,
};

both!();

fn list_keys(
    bucket: &store::Bucket,
    cursor: Option<String>,
) -> Result<store::KeyResponse, store::Error> {
    bucket.list_keys(cursor.as_deref())
}

fn increment(bucket: &store::Bucket, key: &str, delta: i64) -> Result<Value, store::Error> {
    atomics::increment(bucket, key, delta).map(|sum| json!(sum))
}

fn many(found: Vec<(String, Option<Vec<u8>>)>) -> Value {
    let pair = |(key, value): (String, Option<Vec<u8>>)| (key, value.map(text));
    json!(found.into_iter().map(pair).collect::<Vec<_>>())
}

fn swap(
    bucket: &store::Bucket,
    key: &str,
    value: &str,
    meanwhile: Option<String>,
) -> Result<Value, store::Error> {
    let mut cas = Cas::new(bucket, key)?;
    if let Some(other) = meanwhile {
        bucket.set(key, other.as_bytes())?;
    }
    let mut failures = Vec::new();
    loop {
        match atomics::swap(cas, value.as_bytes()) {
            Ok(()) => return Ok(json!(failures)),
            Err(CasError::CasFailed(renewed)) => cas = renewed,
            Err(CasError::StoreError(error)) => return Err(error),
        }
        failures.push(cas.current()?.map(text));
    }
}
