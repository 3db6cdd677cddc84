//! Keeps flockerd's state in the memory of its instance: lost when the instance is thrown away. A pattern for stores
//! that keep it elsewhere.

use std::{cell::RefCell, collections::BTreeMap};

use flocker_plugin::{Error, State};

thread_local! {
    // A warm instance serves call after call, so what it remembers can only lie outside them.
    static VALUES: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

struct MemoryState;

impl State for MemoryState {
    fn get(key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(VALUES.with_borrow(|values| values.get(&key).cloned()))
    }

    fn set(key: String, value: Vec<u8>) -> Result<(), Error> {
        VALUES.with_borrow_mut(|values| values.insert(key, value));
        Ok(())
    }

    fn delete(key: String) -> Result<(), Error> {
        VALUES.with_borrow_mut(|values| values.remove(&key));
        Ok(())
    }
}

flocker_plugin::export!(MemoryState: State);

#[cfg(test)]
mod tests {
    use super::*;

    fn get(key: &str) -> Option<Vec<u8>> {
        MemoryState::get(key.into()).expect("memory does not fail")
    }

    #[test]
    fn what_is_set_is_kept_until_it_is_deleted() -> Result<(), Error> {
        assert_eq!(get("a"), None);
        MemoryState::set("a".into(), vec![1])?;
        MemoryState::set("b".into(), vec![])?;
        MemoryState::set("a".into(), vec![0, 255])?;
        assert_eq!(get("a"), Some(vec![0, 255]));
        assert_eq!(get("b"), Some(vec![]));
        MemoryState::delete("a".into())?;
        MemoryState::delete("a".into())?;
        assert_eq!(get("a"), None);
        assert_eq!(get("b"), Some(vec![]));
        Ok(())
    }
}
