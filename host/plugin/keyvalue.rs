//! The standard `wasi:keyvalue` over a plugin's own keys, in the two drafts that other hosts speak.
//!
//! wasmtime and wasmCloud speak `0.2.0-draft`, Spin `0.2.0-draft2`; pre-release versions match exactly, and the types of
//! the two differ. What both do is here, their types are in a file each.

mod cas;
mod draft;
pub(super) mod draft2;

use wasmtime::{
    Result as Linked,
    component::{HasSelf, Linker, Resource},
};
use wasmtime_wasi::ResourceTableError;

use super::{imports::Context, keyspace::Keyspace, limits};

/// The keys of one page.
const PAGE: usize = 1000;

/// The longest name of a bucket, in bytes.
const NAME: usize = 64;

/// Adds both drafts to what a plugin may import.
pub(super) fn add_to_linker(linker: &mut Linker<Context>) -> Linked<()> {
    draft::Imports::add_to_linker::<_, HasSelf<_>>(linker, |context| context)?;
    draft2::Imports::add_to_linker::<_, HasSelf<_>>(linker, |context| context)
}

/// Whether an import is one of those that [`add_to_linker`] adds.
pub(super) fn offers(import: &str) -> bool {
    let name = import.strip_prefix("wasi:keyvalue/");
    let Some((interface, version)) = name.and_then(|name| name.split_once('@')) else {
        return false;
    };
    ["store", "atomics", "batch"].contains(&interface)
        && ["0.2.0-draft", "0.2.0-draft2"].contains(&version)
}

/// An open bucket.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Clone)]
pub struct Bucket(Keyspace);

/// Why a plugin did not get what it asked for.
enum Fault {
    NoSuchStore,
    Other(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl From<ResourceTableError> for Fault {
    fn from(error: ResourceTableError) -> Self {
        Self::Other(format!("too much is open: {error}"))
    }
}

impl Context {
    fn open_bucket(&mut self, name: &str) -> Result<Resource<Bucket>, Fault> {
        let keys = self.keyspace()?;
        let bucket = match name {
            "" | "default" => keys,
            _ if is_name(name) => keys.bucket(name),
            _ => return Err(Fault::NoSuchStore),
        };
        Ok(self.table.push(Bucket(bucket))?)
    }

    fn bucket(&self, handle: &Resource<Bucket>) -> Result<Bucket, Fault> {
        Ok(self.table.get(handle)?.clone())
    }

    fn close_bucket(&mut self, handle: Resource<Bucket>) -> Linked<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl Bucket {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.get(key).await?)
    }

    async fn exists(&self, key: &str) -> Result<bool, Fault> {
        Ok(self.get(key).await?.is_some())
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Fault> {
        Ok(self.0.set(key, value, None).await?)
    }

    async fn delete(&self, key: &str) -> Result<(), Fault> {
        Ok(self.0.delete(key).await?)
    }

    async fn keys(&self) -> Result<Vec<String>, Fault> {
        Ok(self.0.keys("").await?)
    }

    /// Adds to a number, against every other instance, and returns the sum.
    async fn add<N: TryFrom<i128>>(&self, key: &str, delta: i128) -> Result<N, Fault> {
        loop {
            let before = self.get(key).await?;
            let sum = number(key, before.as_deref())?.checked_add(delta);
            let fits = sum.and_then(|sum| N::try_from(sum).ok().map(|answer| (sum, answer)));
            let (sum, answer) =
                fits.ok_or_else(|| format!("the number in {key} leaves its range"))?;
            let sum = sum.to_string();
            let (before, after) = (before.as_deref(), Some(sum.as_bytes()));
            if self.0.swap(key, before, after, None).await? {
                return Ok(answer);
            }
        }
    }

    /// Gets as many values as flockerd is willing to hold at once.
    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, Fault> {
        let mut found = Vec::new();
        let mut bytes = 0;
        for key in keys {
            let value = self.get(&key).await?;
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes > limits::TRANSFER {
                let allowed = limits::TRANSFER;
                return Err(format!("the values have more than {allowed} bytes together").into());
            }
            found.push((key, value));
        }
        Ok(found)
    }

    async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
        for (key, value) in pairs {
            self.set(&key, &value).await?;
        }
        Ok(())
    }

    async fn delete_many(&self, keys: Vec<String>) -> Result<(), Fault> {
        for key in keys {
            self.delete(&key).await?;
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= NAME && name.bytes().all(allowed)
}

fn number(key: &str, value: Option<&[u8]>) -> Result<i128, Fault> {
    let Some(value) = value else { return Ok(0) };
    let text = str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Fault::Other(format!("the value of {key} is not a whole number")))
}

/// The keys from a position on that fit on one page, and the position of the next page if there is one.
fn page(mut keys: Vec<String>, start: usize) -> (Vec<String>, Option<usize>) {
    let start = start.min(keys.len());
    let end = keys.len().min(start + PAGE);
    let next = (end < keys.len()).then_some(end);
    keys.truncate(end);
    (keys.split_off(start), next)
}
