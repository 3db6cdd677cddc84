//! `wasi:keyvalue` beside `keyspace`: what they share, and what flockerd refuses to hold.

use super::{imports::context, *};
use crate::{
    plugin::{
        bindings::flocker::plugin::keyspace,
        keyvalue::draft2::wasi::keyvalue::{
            atomics::{self, CasError, HostCas},
            batch,
            store::{self, Error as Fault, HostBucket},
        },
    },
    state::memory::Memory,
};

#[tokio::test]
async fn the_default_bucket_is_the_keyspace() {
    let mut context = context(Scene::empty(), Some(Arc::new(Memory::new())));
    keyspace::Host::set(&mut context, "k".to_owned(), b"7".to_vec(), None)
        .await
        .unwrap();
    for name in ["", "default"] {
        let bucket = store::Host::open(&mut context, name.to_owned())
            .await
            .unwrap();
        let value = HostBucket::get(&mut context, bucket, "k".to_owned())
            .await
            .unwrap();
        assert_eq!(value.as_deref(), Some(&b"7"[..]), "{name:?}");
    }
    let bucket = store::Host::open(&mut context, "other".to_owned())
        .await
        .unwrap();
    HostBucket::set(&mut context, bucket, "j".to_owned(), b"8".to_vec())
        .await
        .unwrap();
    let keys = keyspace::Host::keys(&mut context, String::new())
        .await
        .unwrap();
    assert_eq!(keys, ["k"]);
}

#[tokio::test(start_paused = true)]
async fn what_expires_in_the_keyspace_does_so_in_the_bucket_and_what_is_written_there_stays() {
    let memory = Arc::new(Memory::new());
    let mut context = context(Scene::empty(), Some(memory));
    for key in ["gone", "kept", "counted"] {
        keyspace::Host::set(&mut context, key.to_owned(), b"1".to_vec(), Some(1000))
            .await
            .unwrap();
    }
    let open = store::Host::open(&mut context, String::new())
        .await
        .unwrap();
    let bucket = || wasmtime::component::Resource::new_borrow(open.rep());
    HostBucket::set(&mut context, bucket(), "kept".to_owned(), b"2".to_vec())
        .await
        .unwrap();
    let add = atomics::Host::increment(&mut context, bucket(), "counted".to_owned(), 1).await;
    assert_eq!(add.unwrap(), 2);
    let cas = HostCas::new(&mut context, bucket(), "gone".to_owned())
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(
        !HostBucket::exists(&mut context, bucket(), "gone".to_owned())
            .await
            .unwrap()
    );
    let page = HostBucket::list_keys(&mut context, bucket(), None)
        .await
        .unwrap();
    assert_eq!(page.keys, ["counted", "kept"]);
    let swapped = atomics::Host::swap(&mut context, cas, b"3".to_vec()).await;
    let Err(CasError::CasFailed(cas)) = swapped else {
        panic!("{swapped:?}");
    };
    atomics::Host::swap(&mut context, cas, b"3".to_vec())
        .await
        .unwrap();
    let again = atomics::Host::increment(&mut context, bucket(), "gone".to_owned(), -4).await;
    assert_eq!(again.unwrap(), -1);
}

#[tokio::test]
async fn values_of_many_keys_are_no_more_than_flockerd_holds_at_once() {
    let mut context = context(Scene::empty(), Some(Arc::new(Memory::new())));
    let open = store::Host::open(&mut context, String::new())
        .await
        .unwrap();
    let bucket = || wasmtime::component::Resource::new_borrow(open.rep());
    let mebibyte = vec![0; 1 << 20];
    HostBucket::set(&mut context, bucket(), "k".to_owned(), mebibyte)
        .await
        .unwrap();
    let keys = |count| vec!["k".to_owned(); count];
    let found = batch::Host::get_many(&mut context, bucket(), keys(16))
        .await
        .unwrap();
    assert_eq!(found.len(), 16);
    let refused = batch::Host::get_many(&mut context, bucket(), keys(17)).await;
    assert!(
        matches!(&refused, Err(Fault::Other(reason)) if reason == "the values have more than 16777216 bytes together"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_plugin_that_is_the_state_store_has_no_bucket() {
    let mut context = context(Scene::empty(), None);
    let refused = store::Host::open(&mut context, String::new()).await;
    assert!(
        matches!(&refused, Err(Fault::Other(reason)) if reason.starts_with("this plugin is the state store")),
        "{refused:?}"
    );
}
