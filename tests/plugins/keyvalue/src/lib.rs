//! Does with `wasi:keyvalue`, in either draft, what a `POST` to its path says:
//! `{"draft": 2, "bucket": "", "increment": {"key": "n", "delta": 1}}` is answered `{"ok": 1}`, or `{"error": "..."}`.
//!
//! ```toml
//! [plugin.config]
//! path = "/keyvalue"
//! ```

use flocker_plugin::{Error, Request, Verdict, body, config, request};
use serde::Deserialize;
use serde_json::{Value, json};

mod draft;
mod draft2;

#[derive(Deserialize)]
struct Order {
    draft: u8,
    bucket: String,
    #[serde(flatten)]
    work: Work,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Work {
    /// Opens the bucket and does nothing else.
    Open,
    Get(String),
    Exists(String),
    Set(String, String),
    Delete(String),
    /// From a cursor, null for the first page.
    ListKeys(Value),
    Increment {
        key: String,
        delta: i64,
    },
    GetMany(Vec<String>),
    SetMany(Vec<(String, String)>),
    DeleteMany(Vec<String>),
    /// Takes a handle, does the work of somebody else, and swaps until it succeeds; answers how often it failed.
    Swap {
        key: String,
        value: String,
        meanwhile: Option<String>,
    },
    /// Opens the bucket so often and keeps every handle.
    Hoard(usize),
}

struct KeyValue;

impl Request for KeyValue {
    fn handle(call: request::Call) -> Result<Verdict, Error> {
        if config::get("path").as_deref() != Some(call.path.as_str()) {
            return Ok(Verdict::Proceed);
        }
        let order: Order = serde_json::from_str(&body::read()?.unwrap_or_default())?;
        let done = match order.draft {
            1 => draft::work(&order.bucket, order.work),
            _ => draft2::work(&order.bucket, order.work),
        };
        let answer = done.map_or_else(|error| json!({"error": error}), |ok| json!({"ok": ok}));
        Verdict::json(200, &answer)
    }
}

flocker_plugin::export!(KeyValue: Request);

fn text(value: Vec<u8>) -> String {
    String::from_utf8_lossy(&value).into_owned()
}

/// What both drafts have under the same name, with types that differ only where the answer is JSON anyway.
macro_rules! both {
    () => {
        pub(crate) fn work(bucket: &str, work: Work) -> Result<Value, String> {
            let open = || store::open(bucket).map_err(said);
            if let Work::Hoard(count) = work {
                let buckets = (0..count).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
                return Ok(json!(buckets.len()));
            }
            let bucket = open()?;
            match work {
                Work::Open | Work::Hoard(_) => Ok(json!(null)),
                Work::Get(key) => bucket.get(&key).map(|value| json!(value.map(text))),
                Work::Exists(key) => bucket.exists(&key).map(|there| json!(there)),
                Work::Set(key, value) => bucket.set(&key, value.as_bytes()).map(|()| json!(null)),
                Work::Delete(key) => bucket.delete(&key).map(|()| json!(null)),
                Work::ListKeys(cursor) => list(&bucket, cursor),
                Work::Increment { key, delta } => increment(&bucket, &key, delta),
                Work::GetMany(keys) => batch::get_many(&bucket, &keys).map(many),
                Work::SetMany(pairs) => {
                    let bytes = |(key, value): (String, String)| (key, value.into_bytes());
                    let pairs: Vec<_> = pairs.into_iter().map(bytes).collect();
                    batch::set_many(&bucket, &pairs).map(|()| json!(null))
                }
                Work::DeleteMany(keys) => {
                    batch::delete_many(&bucket, &keys).map(|()| json!(null))
                }
                Work::Swap {
                    key,
                    value,
                    meanwhile,
                } => swap(&bucket, &key, &value, meanwhile),
            }
            .map_err(said)
        }

        fn list(bucket: &store::Bucket, cursor: Value) -> Result<Value, store::Error> {
            let unreadable = |error| store::Error::Other(format!("{error}"));
            let cursor = serde_json::from_value(cursor).map_err(unreadable)?;
            let page = list_keys(bucket, cursor)?;
            Ok(json!({"keys": page.keys, "cursor": page.cursor}))
        }

        fn said(error: store::Error) -> String {
            match error {
                store::Error::NoSuchStore => "no such store".to_owned(),
                store::Error::AccessDenied => "access denied".to_owned(),
                store::Error::Other(reason) => reason,
            }
        }
    };
}
pub(crate) use both;
