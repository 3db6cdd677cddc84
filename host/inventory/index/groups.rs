//! Where each group of objects lives, counted.

use std::collections::{BTreeMap, HashMap};

use super::{BackendName, containers::Number};
use crate::docker::group::Group;

#[derive(Default)]
pub(super) struct Groups {
    homes: HashMap<Group, BTreeMap<BackendName, usize>>,
    /// The groups of those containers that have one.
    containers: HashMap<Number, Group>,
}

impl Groups {
    pub(super) fn enter(&mut self, group: &Option<Group>, backend: &BackendName) {
        if let Some(group) = group {
            let homes = self.homes.entry(group.clone()).or_default();
            *homes.entry(backend.clone()).or_default() += 1;
        }
    }

    pub(super) fn leave(&mut self, group: &Option<Group>, backend: &BackendName) {
        let Some(group) = group else { return };
        let Some(homes) = self.homes.get_mut(group) else {
            return;
        };
        if let Some(count) = homes.get_mut(backend) {
            *count -= 1;
            if *count == 0 {
                homes.remove(backend);
            }
        }
        if homes.is_empty() {
            self.homes.remove(group);
        }
    }

    /// Notes the group of a container that has entered it; all of one group share its name.
    pub(super) fn note(&mut self, container: Number, group: Option<Group>) {
        let shared = group.and_then(|group| self.homes.get_key_value(&group));
        if let Some((group, _)) = shared {
            self.containers.insert(container, group.clone());
        }
    }

    pub(super) fn noted(&self, container: Number) -> Option<&Group> {
        self.containers.get(&container)
    }

    pub(super) fn take(&mut self, container: Number) -> Option<Group> {
        self.containers.remove(&container)
    }

    /// The backend that has most of a group; of several the first by name.
    pub(super) fn home(&self, group: &str) -> Option<BackendName> {
        let homes = self.homes.get(group)?.iter();
        let most = homes.max_by(|(a, m), (b, n)| m.cmp(n).then(b.cmp(a)));
        most.map(|(backend, _)| backend.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_lives_where_most_of_it_is() {
        let mut groups = Groups::default();
        let shop: Option<Group> = Some("shop".into());
        let [one, two] = ["n1", "n2"].map(BackendName::from);
        assert_eq!(groups.home("shop"), None);
        groups.enter(&shop, &two);
        assert_eq!(groups.home("shop"), Some(two.clone()));
        groups.enter(&shop, &one);
        assert_eq!(groups.home("shop"), Some(one.clone()));
        groups.enter(&shop, &two);
        assert_eq!(groups.home("shop"), Some(two.clone()));
        groups.enter(&None, &one);
        for backend in [&one, &two, &two, &two] {
            groups.leave(&shop, backend);
        }
        assert_eq!(groups.home("shop"), None);
    }
}
