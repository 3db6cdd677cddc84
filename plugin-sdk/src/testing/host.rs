//! The imports as the generated code has them, answered from the scene of the running test.

use super::{SCENE, Scene};

fn scene<T>(look: impl FnOnce(&mut Scene) -> T) -> T {
    SCENE.with_borrow_mut(|scene| {
        let scene = scene.as_mut();
        look(scene.expect("imports work inside `testing::Flock::call` only"))
    })
}

pub(crate) mod body {
    pub(crate) fn read() -> Result<Option<String>, String> {
        super::scene(|scene| scene.body.clone())
    }
}

pub(crate) mod config {
    use serde_json::Value;

    pub(crate) fn get(key: &str) -> Option<String> {
        super::scene(|scene| {
            scene.config.get(key).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        })
    }

    pub(crate) fn table() -> String {
        super::scene(|scene| Value::Object(scene.config.clone()).to_string())
    }
}

pub(crate) mod flock {
    pub(crate) fn backends() -> Vec<crate::Backend> {
        super::scene(|scene| scene.backends.clone())
    }
}

pub(crate) mod log {
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        let level = format!("{level:?}");
        let name = level.trim_start_matches("Level::").to_ascii_lowercase();
        super::scene(|scene| scene.log.push(format!("{name} {message}")));
    }
}

pub(crate) mod http {
    use crate::{
        http::{Request, Response},
        import::http::Url,
    };

    pub(crate) fn send(request: &Request, url: &Url<'_>) -> Result<Response, String> {
        super::scene(|scene| {
            scene.requests.push(request.clone());
            let asked = format!("{} {}", request.method, request.url);
            let answer = scene.answers.get(&asked).cloned();
            answer.ok_or_else(|| format!("{} cannot be reached", url.authority))
        })
    }
}

pub(crate) mod keyspace {
    use super::scene;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, String> {
        check_key(key)?;
        scene(|scene| Ok(scene.keyspace.get(key).cloned()))
    }

    pub(crate) fn set(key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), String> {
        let present = get(key)?;
        swap(key, present.as_deref(), Some(value), ttl).map(drop)
    }

    pub(crate) fn delete(key: &str) -> Result<(), String> {
        let present = get(key)?;
        swap(key, present.as_deref(), None, None).map(drop)
    }

    pub(crate) fn swap(
        key: &str,
        expected: Option<&[u8]>,
        replacement: Option<&[u8]>,
        _ttl: Option<u64>,
    ) -> Result<bool, String> {
        if get(key)?.as_deref() != expected {
            return Ok(false);
        }
        if replacement.is_some_and(|value| value.len() > 1 << 20) {
            return Err("the value is longer than 1 MiB".into());
        }
        scene(|scene| match replacement {
            Some(value) => scene.keyspace.insert(key.into(), value.into()),
            None => scene.keyspace.remove(key),
        });
        Ok(true)
    }

    pub(crate) fn keys(prefix: &str) -> Result<Vec<String>, String> {
        let begins = |key: &&String| key.starts_with(prefix);
        scene(|scene| Ok(scene.keyspace.keys().filter(begins).cloned().collect()))
    }

    fn check_key(key: &str) -> Result<(), String> {
        let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if printable && key.len() <= 256 {
            return Ok(());
        }
        Err(format!(
            "the key `{key}` is not printable ascii of at most 256 bytes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::{keyspace, testing::Flock};

    #[test]
    fn the_keyspace_keeps_to_the_contract() -> Result<(), String> {
        let mut flock = Flock::new();
        flock.call(|| {
            assert!(keyspace::swap("b", None, Some(b"1"), None)?);
            assert!(!keyspace::swap("b", None, Some(b"2"), None)?);
            assert!(!keyspace::swap("b", Some(b"2"), None, None)?);
            keyspace::set("a", b"0", None)?;
            keyspace::set("c", b"0", None)?;
            keyspace::set("c", b"3", None)?;
            keyspace::delete("a")?;
            keyspace::delete("a")?;
            assert_eq!(keyspace::keys("")?, ["b", "c"]);
            assert_eq!(keyspace::get("c")?.as_deref(), Some(&b"3"[..]));
            assert!(keyspace::swap("c", Some(b"3"), None, None)?);
            assert!(keyspace::set("ü", b"", None).is_err());
            assert!(keyspace::set(&"k".repeat(257), b"", None).is_err());
            keyspace::set("long", &vec![0; (1 << 20) + 1], None).expect_err("it is too long");
            Ok::<(), String>(())
        })?;
        assert_eq!(flock.keyspace().keys().collect::<Vec<_>>(), ["b"]);
        Ok(())
    }
}
