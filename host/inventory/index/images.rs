//! The images of all backends, and which of them a reference means.
//!
//! Hosts may have different images of one name. For the flock a name means one of them: the one that was written last
//! under flockerd's eyes (pulled, built, tagged, loaded), else the one that most backends have, else the first
//! backend's. That stays the same from call to call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::BackendName;
use crate::docker::reference::Reference;

/// One image as a backend lists it.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// `sha256:` and 64 hex digits.
    pub id: String,
    /// `busybox:latest`, `busybox@sha256:...`, as the daemon writes them.
    pub references: Vec<String>,
}

/// What a reference means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// The image's id, empty when nobody has it.
    pub id: String,
    /// The backends that have it, by name.
    pub exact: Vec<BackendName>,
    /// The backends that have an image of this name, by name.
    pub any: Vec<BackendName>,
    /// Several images are meant: their ids begin alike.
    pub is_ambiguous: bool,
    /// The name was written under flockerd's eyes: other images of this name are out of date.
    pub is_written: bool,
}

impl Holders {
    /// The backends where a container of this image may run: those that have what the name means, or anything of that
    /// name when nothing says which one is right.
    pub fn right(self) -> Vec<BackendName> {
        match self.is_written {
            true => self.exact,
            false => self.any,
        }
    }
}

#[derive(Default)]
pub(super) struct Images {
    backends: BTreeMap<BackendName, Shelf>,
    /// What each name meant when it was written last.
    written: HashMap<String, String>,
    /// Copies under way, by name and backend.
    copying: HashSet<(String, BackendName)>,
    /// What copies of an image are called where other engines call it otherwise: the image's id by name, and theirs.
    copies: HashMap<String, (String, HashSet<String>)>,
}

/// What one backend has.
#[derive(Default)]
struct Shelf {
    ids: BTreeSet<String>,
    /// Ids by canonical reference.
    names: HashMap<String, String>,
}

impl Images {
    /// Takes a backend's list. What changed since the last one was written in between.
    pub(super) fn replace(&mut self, backend: &BackendName, images: Vec<Image>) {
        let shelf = Shelf::new(images);
        if let Some(known) = self.backends.get(backend) {
            for (name, id) in &shelf.names {
                if known.names.get(name) == Some(id) {
                    continue;
                }
                match self.copying.contains(&(name.clone(), backend.clone())) {
                    true => drop(copied(&self.written, &mut self.copies, name, id)),
                    false => drop(self.written.insert(name.clone(), id.clone())),
                }
            }
        }
        self.backends.insert(backend.clone(), shelf);
        let backends = &self.backends;
        self.written.retain(|name, id| {
            backends
                .values()
                .any(|shelf| shelf.names.get(name) == Some(id))
        });
    }

    pub(super) fn forget(&mut self, backend: &BackendName) {
        self.backends.remove(backend);
    }

    pub(super) fn backends(&self) -> impl Iterator<Item = &BackendName> {
        self.backends.keys()
    }

    /// Notes that a copy of an image to a backend begins or has ended.
    pub(super) fn copying(&mut self, reference: &str, backend: &BackendName, begins: bool) {
        let key = (Reference::parse(reference).canonical(), backend.clone());
        match begins {
            true => drop(self.copying.insert(key)),
            false => drop(self.copying.remove(&key)),
        }
    }

    /// Finds out what a reference means: a name, else an id or the beginning of one.
    pub(super) fn find(&self, reference: &str) -> Holders {
        let name = Reference::parse(reference).canonical();
        let named: Vec<(&BackendName, &str)> = self
            .backends
            .iter()
            .filter_map(|(backend, shelf)| Some((backend, shelf.names.get(&name)?.as_str())))
            .collect();
        if named.is_empty() {
            return self.by_id(reference);
        }
        let written = self.written.get(&name).map(String::as_str);
        let id = written.unwrap_or_else(|| most_common(&named));
        let copies = self.copies.get(&name).filter(|(of, _)| of == id);
        let is_copy = |other: &str| copies.is_some_and(|(_, copies)| copies.contains(other));
        let exact = named
            .iter()
            .filter(|(_, other)| *other == id || is_copy(other));
        Holders {
            id: id.to_owned(),
            exact: exact.map(|(backend, _)| (*backend).clone()).collect(),
            any: named
                .iter()
                .map(|(backend, _)| (*backend).clone())
                .collect(),
            is_written: written.is_some(),
            is_ambiguous: false,
        }
    }

    fn by_id(&self, reference: &str) -> Holders {
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Holders::default();
        }
        let wanted = format!("sha256:{}", digits.to_ascii_lowercase());
        let mut found = Holders::default();
        for (backend, shelf) in &self.backends {
            let ids = shelf.ids.range(wanted.clone()..);
            for id in ids.take_while(|id| id.starts_with(&wanted)) {
                found.is_ambiguous |= !found.id.is_empty() && found.id != *id;
                found.id.clone_from(id);
                found.any.push(backend.clone());
            }
        }
        found.exact.clone_from(&found.any);
        found
    }

    /// How many tags of a repository each backend has.
    pub(super) fn tags(&self, repository: &str) -> BTreeMap<BackendName, usize> {
        let name = Reference::parse(repository).canonical();
        let prefix = format!("{}:", name.rsplit_once(':').map_or("", |(name, _)| name));
        let count = |shelf: &Shelf| {
            let names = shelf.names.keys();
            names.filter(|name| name.starts_with(&prefix)).count()
        };
        let counts = self.backends.iter();
        counts
            .map(|(backend, shelf)| (backend.clone(), count(shelf)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl Shelf {
    fn new(images: Vec<Image>) -> Self {
        let mut shelf = Self::default();
        for image in images {
            for reference in &image.references {
                let name = Reference::parse(reference).canonical();
                shelf.names.insert(name, image.id.clone());
            }
            shelf.ids.insert(image.id);
        }
        shelf
    }
}

/// Notes a copy under another id of what was written last.
fn copied(
    written: &HashMap<String, String>,
    copies: &mut HashMap<String, (String, HashSet<String>)>,
    name: &str,
    id: &str,
) -> Option<()> {
    let of = written.get(name)?;
    let known = copies.entry(name.to_owned()).or_default();
    if known.0 != *of {
        *known = (of.clone(), HashSet::new());
    }
    known.1.insert(id.to_owned());
    Some(())
}

/// The id that most backends have; of several the one of the first backend.
fn most_common<'a>(named: &[(&BackendName, &'a str)]) -> &'a str {
    let count = |id: &str| named.iter().filter(|(_, other)| *other == id).count();
    let mut best = ("", 0);
    for (_, id) in named {
        let times = count(id);
        if times > best.1 {
            best = (id, times);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, references: &[&str]) -> Image {
        Image {
            id: format!("sha256:{id}"),
            references: references
                .iter()
                .map(|&reference| reference.to_owned())
                .collect(),
        }
    }

    fn names(backends: &[BackendName]) -> Vec<&str> {
        backends.iter().map(|name| &**name).collect()
    }

    #[test]
    fn a_name_means_one_image() {
        let mut images = Images::default();
        let [one, two, three] = ["n1", "n2", "n3"].map(BackendName::from);
        images.replace(&one, vec![image("aa", &["app:latest", "x:1"])]);
        images.replace(&two, vec![image("bb", &["app:latest"])]);
        assert_eq!(images.find("app").id, "sha256:aa");
        images.replace(&three, vec![image("bb", &["app:latest"])]);
        let found = images.find("docker.io/library/app:latest");
        assert_eq!(found.id, "sha256:bb");
        assert_eq!(names(&found.exact), ["n2", "n3"]);
        assert_eq!(names(&found.any), ["n1", "n2", "n3"]);
        assert!(!found.is_written);
        images.replace(
            &one,
            vec![image("cc", &["app:latest"]), image("aa", &["x:1"])],
        );
        let found = images.find("app");
        assert_eq!((found.id.as_str(), found.is_written), ("sha256:cc", true));
        assert_eq!(names(&found.exact), ["n1"]);
        images.replace(&one, Vec::new());
        assert_eq!(images.find("app").id, "sha256:bb");
        assert_eq!(images.find("x:1"), Holders::default());
    }

    #[test]
    fn ids_are_found_by_their_beginning_and_names_win() {
        let mut images = Images::default();
        images.replace(
            &"n1".into(),
            vec![image("abc1", &["repo@sha256:12"]), image("ffff", &["abc"])],
        );
        assert_eq!(images.find("abc").id, "sha256:ffff");
        assert_eq!(images.find("abc1").id, "sha256:abc1");
        assert_eq!(images.find("sha256:AB").id, "sha256:abc1");
        assert_eq!(images.find("repo@sha256:12").id, "sha256:abc1");
        images.replace(&"n2".into(), vec![image("abd2", &[])]);
        assert!(images.find("sha256:ab").is_ambiguous);
        assert!(!images.find("abc1").is_ambiguous);
        assert_eq!(images.find("xyz").id, "");
        assert_eq!(images.find("").id, "");
    }

    #[test]
    fn a_copy_under_another_id_is_what_was_copied() {
        let mut images = Images::default();
        let [one, two] = ["n1", "n2"].map(BackendName::from);
        images.replace(&one, Vec::new());
        images.replace(&two, Vec::new());
        images.replace(&one, vec![image("aa", &["app:latest"])]);
        images.copying("app", &two, true);
        images.replace(&two, vec![image("a2", &["app:latest"])]);
        images.copying("app", &two, false);
        let found = images.find("app");
        assert_eq!(found.id, "sha256:aa");
        assert_eq!(names(&found.exact), ["n1", "n2"]);
        images.replace(&one, vec![image("bb", &["app:latest"])]);
        assert_eq!(names(&images.find("app").exact), ["n1"]);
    }

    #[test]
    fn tags_of_a_repository_are_counted() {
        let mut images = Images::default();
        images.replace(
            &"n1".into(),
            vec![image("1", &["app:1", "app:2", "application:1"])],
        );
        images.replace(&"n2".into(), vec![image("1", &["app:1"])]);
        let counts: Vec<usize> = images.tags("app").into_values().collect();
        assert_eq!(counts, [2, 1]);
    }
}
