//! `wasi:keyvalue@0.2.0-draft`, as wasmtime and wasmCloud have it.

use serde_json::{Value, json};

use crate::{Work, both, text};

wit_bindgen::generate!({
    world: "imports",
    path: "../../../host/plugin/keyvalue/wit/draft",
    generate_all,
});

use wasi::keyvalue::{atomics, batch, store};

both!();

fn list_keys(
    bucket: &store::Bucket,
    cursor: Option<u64>,
) -> Result<store::KeyResponse, store::Error> {
    bucket.list_keys(cursor)
}

fn increment(bucket: &store::Bucket, key: &str, delta: i64) -> Result<Value, store::Error> {
    atomics::increment(bucket, key, delta.unsigned_abs()).map(|sum| json!(sum))
}

fn many(found: Vec<Option<(String, Vec<u8>)>>) -> Value {
    let pair = |pair: Option<(String, Vec<u8>)>| pair.map(|(key, value)| (key, text(value)));
    json!(found.into_iter().map(pair).collect::<Vec<_>>())
}

fn swap(_: &store::Bucket, _: &str, _: &str, _: Option<String>) -> Result<Value, store::Error> {
    Err(store::Error::Other("this draft has no swap".to_owned()))
}
