//! `wasi:keyvalue@0.2.0-draft2`: a cursor is the last key of the page before, numbers have a sign, and there is
//! compare-and-swap.

use wasmtime::component::Resource;

use super::{Bucket, Fault, Linked, cas::Cas, page};
use crate::plugin::imports::Context;

wasmtime::component::bindgen!({
    path: "host/plugin/keyvalue/wit/draft2",
    world: "imports",
    imports: { default: async },
    with: {
        "wasi:keyvalue/store.bucket": super::Bucket,
        "wasi:keyvalue/atomics.cas": super::cas::Cas,
    },
});

use wasi::keyvalue::{
    atomics::{self, CasError},
    batch,
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

impl From<Fault> for CasError {
    fn from(fault: Fault) -> Self {
        Self::StoreError(fault.into())
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
        cursor: Option<String>,
    ) -> Result<KeyResponse, Error> {
        let keys = self.bucket(&bucket)?.keys().await?;
        let read = |cursor: String| keys.partition_point(|key| *key <= cursor);
        let start = cursor.map_or(0, read);
        let (keys, next) = page(keys, start);
        let cursor = next.and_then(|_| keys.last().cloned());
        Ok(KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Linked<()> {
        self.close_bucket(bucket)
    }
}

impl atomics::HostCas for Context {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, Error> {
        let mut cas = Cas::new(self.bucket(&bucket)?, key);
        cas.current().await?;
        Ok(self.table.push(cas).map_err(Fault::from)?)
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Error> {
        let cas = self.table.get_mut(&cas).map_err(Fault::from)?;
        Ok(cas.current().await?)
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> Linked<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl atomics::Host for Context {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Result<i64, Error> {
        Ok(self.bucket(&bucket)?.add(&key, delta.into()).await?)
    }

    async fn swap(&mut self, handle: Resource<Cas>, value: Vec<u8>) -> Result<(), CasError> {
        let mut cas = self.table.delete(handle).map_err(Fault::from)?;
        if cas.swap(&value).await? {
            return Ok(());
        }
        let renewed = self.table.push(cas).map_err(Fault::from)?;
        Err(CasError::CasFailed(renewed))
    }
}

impl batch::Host for Context {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, Error> {
        Ok(self.bucket(&bucket)?.get_many(keys).await?)
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
