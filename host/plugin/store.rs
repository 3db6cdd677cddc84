//! flockerd's state kept by a plugin: expiry, compare-and-swap and listing on top of its get, set and delete.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::{error::Error, state::StateStore};

use super::{Hook, Scene, failure::Failure, instance::Plugin};

/// The key of the index. Other keys begin with a letter.
const INDEX: &str = "!index";

/// The longest value a plugin is given, in bytes.
const VALUE: usize = 1 << 20;

/// A state store on a plugin that exports `state`.
///
/// A value is stored after eight bytes that say when it expires, in milliseconds since 1970, zero for never. The index
/// is a JSON object of all keys and their expiry; it is written before a new key and after a deleted one, so that after
/// a crash it may name a key too many but never lacks one.
pub struct PluginState {
    /// Calls come one after another, and no swap sees another's middle.
    plugin: Mutex<Plugin>,
}

type Index = BTreeMap<String, u64>;

impl PluginState {
    pub(super) fn new(plugin: Plugin) -> Self {
        Self {
            plugin: Mutex::new(plugin),
        }
    }
}

#[async_trait]
impl StateStore for PluginState {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.plugin.lock().await.load(key).await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
        self.plugin.lock().await.store(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        self.plugin.lock().await.forget(key).await
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let plugin = self.plugin.lock().await;
        if plugin.load(key).await?.as_deref() != expected {
            return Ok(false);
        }
        match replacement {
            Some(value) => plugin.store(key, value, ttl).await?,
            None => plugin.forget(key).await?,
        }
        Ok(true)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let index = self.plugin.lock().await.index().await?;
        let now = now();
        let living = |(key, expiry): (String, u64)| {
            (key.starts_with(prefix) && lives(expiry, now)).then_some(key)
        };
        Ok(index.into_iter().filter_map(living).collect())
    }
}

impl Plugin {
    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let stored = self.state_get(&Scene::empty(), key).await;
        let found = stored.and_then(|stored| stored.map(|stored| living(key, &stored)).transpose());
        Ok(self.kept(found)?.flatten())
    }

    async fn store(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
        let expiry = ttl.map_or(0, |ttl| now().saturating_add(milliseconds(ttl)));
        let mut index = self.index().await?;
        if index.insert(key.to_owned(), expiry) != Some(expiry) {
            self.write_index(index).await?;
        }
        self.write(key, &[&expiry.to_be_bytes(), value].concat())
            .await
    }

    async fn forget(&self, key: &str) -> Result<(), Error> {
        let deleted = self.state_delete(&Scene::empty(), key).await;
        self.kept(deleted)?;
        let mut index = self.index().await?;
        match index.remove(key) {
            Some(_) => self.write_index(index).await,
            None => Ok(()),
        }
    }

    async fn index(&self) -> Result<Index, Error> {
        let stored = self.state_get(&Scene::empty(), INDEX).await;
        self.kept(stored.and_then(|stored| {
            let index = stored
                .map(|stored| serde_json::from_slice(&stored))
                .transpose();
            let never_set =
                |error| Failure::broken(format!("it returned an index never set: {error}"));
            index.map(Option::unwrap_or_default).map_err(never_set)
        }))
    }

    /// Writes the index without what has expired, and has the plugin forget that too.
    async fn write_index(&self, mut index: Index) -> Result<(), Error> {
        let now = now();
        let expired: Vec<String> = index
            .extract_if(.., |_, expiry| !lives(*expiry, now))
            .map(|(key, _)| key)
            .collect();
        for key in expired {
            let deleted = self.state_delete(&Scene::empty(), &key).await;
            self.kept(deleted)?;
        }
        let text = serde_json::to_vec(&index).expect("a map of strings and numbers is JSON");
        self.write(INDEX, &text).await
    }

    async fn write(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > VALUE {
            let reason = format!(
                "the value of {key} has {} bytes, {VALUE} are allowed",
                bytes.len()
            );
            return Err(Error::State(reason));
        }
        let set = self.state_set(&Scene::empty(), key, bytes).await;
        self.kept(set)
    }

    /// Notes how a call ended, and makes flockerd's error of a failure.
    fn kept<T>(&self, answer: Result<T, Failure>) -> Result<T, Error> {
        let failure = match self.noted(Hook::State, answer) {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let reason = failure.reason();
        tracing::warn!(
            plugin = self.name(),
            hook = Hook::State.name(),
            reason,
            "plugin failed"
        );
        Err(Error::State(format!("plugin {}: {reason}", self.name())))
    }
}

/// The value in what is stored for a key; none when it has expired.
fn living(key: &str, stored: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let Some((expiry, value)) = stored.split_first_chunk() else {
        let reason = format!("it returned a value never set for {key}");
        return Err(Failure::broken(reason));
    };
    Ok(lives(u64::from_be_bytes(*expiry), now()).then(|| value.to_vec()))
}

fn lives(expiry: u64, now: u64) -> bool {
    expiry == 0 || now < expiry
}

/// Milliseconds since 1970.
fn now() -> u64 {
    milliseconds(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
