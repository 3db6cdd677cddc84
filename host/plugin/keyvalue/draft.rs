//! `wasi:keyvalue@0.2.0-draft`: a cursor is the number of keys before the page, numbers have no sign.

use wasmtime::component::Resource;

use super::{Bucket, Fault, Linked, page};
use crate::plugin::imports::Context;

wasmtime::component::bindgen!({
    path: "host/plugin/keyvalue/wit/draft",
    world: "imports",
    imports: { default: async },
    with: { "wasi:keyvalue/store.bucket": super::Bucket },
});

use wasi::keyvalue::{
    atomics, batch,
    store::{self, Error, KeyResponse},
};

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoSuchStore => Self::NoSuchStore,
            Fault::Other(reason) => Self::Other(reason),
        }
    }
}

impl store::Host for Context {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Error> {
        Ok(self.open_bucket(&identifier)?)
    }
}

impl store::HostBucket for Context {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.bucket(&bucket)?.get(&key).await?)
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        Ok(self.bucket(&bucket)?.set(&key, &value).await?)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Error> {
        Ok(self.bucket(&bucket)?.delete(&key).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Error> {
        Ok(self.bucket(&bucket)?.exists(&key).await?)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<KeyResponse, Error> {
        let keys = self.bucket(&bucket)?.keys().await?;
        let start = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
        let (keys, next) = page(keys, start);
        let cursor = next.map(|next| next as u64);
        Ok(KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Linked<()> {
        self.close_bucket(bucket)
    }
}

impl atomics::Host for Context {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Error> {
        Ok(self.bucket(&bucket)?.add(&key, delta.into()).await?)
    }
}

impl batch::Host for Context {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let found = self.bucket(&bucket)?.get_many(keys).await?;
        let present = |(key, value): (_, Option<_>)| value.map(|value| (key, value));
        Ok(found.into_iter().map(present).collect())
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Error> {
        Ok(self.bucket(&bucket)?.set_many(pairs).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Error> {
        Ok(self.bucket(&bucket)?.delete_many(keys).await?)
    }
}
