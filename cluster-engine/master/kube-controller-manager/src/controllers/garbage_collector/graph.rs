//! Who owns whom, by uid.

use std::collections::{BTreeSet, HashMap};

use drydock_api::meta::{ObjectMeta, OwnerReference};
use drydock_client::Resource;

use super::{FOREGROUND, ORPHAN};

/// What the graph knows of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) resource: Resource,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) deleting: bool,
    pub(super) foreground: bool,
    pub(super) orphan: bool,
}

impl Item {
    pub(super) fn new(resource: Resource, meta: &ObjectMeta) -> Item {
        let has = |finalizer: &str| meta.finalizers.iter().any(|found| found == finalizer);
        Item {
            resource,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            owners: meta.owner_references.clone(),
            deleting: meta.is_deleting(),
            foreground: has(FOREGROUND),
            orphan: has(ORPHAN),
        }
    }

    /// It is being deleted and waits until its dependents are gone.
    pub(super) fn waits_for_dependents(&self) -> bool {
        self.deleting && self.foreground
    }

    /// Whether it is in a namespace and `dependent` is not in the same, so that it cannot be its owner.
    pub(super) fn is_foreign_to(&self, dependent: &Item) -> bool {
        !self.namespace.is_empty() && self.namespace != dependent.namespace
    }

    /// Whether it keeps an owner from going before it.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        self.owners.iter().any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
    }
}

/// The graph.
#[derive(Debug, Default)]
pub(super) struct Graph {
    items: HashMap<String, Item>,
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Item> {
        self.items.get(uid)
    }

    /// Everything that names `uid` as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Item> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|dependent| self.items.get(dependent)).cloned().collect()
    }

    /// Takes in an object's present state; who should be looked at because of it.
    pub(super) fn apply(&mut self, item: Item) -> Vec<String> {
        let mut visit = Vec::new();
        let old = self.items.get(&item.uid).cloned();
        let owners = |item: &Item| item.owners.iter().map(|owner| owner.uid.clone()).collect::<BTreeSet<_>>();
        let (before, now) = (old.as_ref().map(owners).unwrap_or_default(), owners(&item));
        for lost in before.difference(&now) {
            self.disconnect(lost, &item.uid);
        }
        for owner in &now {
            self.dependents.entry(owner.clone()).or_default().insert(item.uid.clone());
        }
        let starts_waiting =
            item.deleting && (item.foreground || item.orphan) && old.as_ref().is_none_or(|old| !old.deleting);
        if starts_waiting || item.waits_for_dependents() || (item.deleting && item.orphan) {
            visit.push(item.uid.clone());
        }
        // An owner that waits may be waiting for this.
        let no_longer_blocks = old.as_ref().is_some_and(|old| old.owners != item.owners);
        if no_longer_blocks {
            visit.extend(self.waiting(before.union(&now)));
        }
        let has_unknown_owner = now.iter().any(|owner| !self.items.contains_key(owner));
        // An owner in another namespace cannot be meant; what is looked up instead is its namesake here.
        let has_foreign_owner = now.iter().any(|o| self.items.get(o).is_some_and(|owner| owner.is_foreign_to(&item)));
        let has_waiting_owner = now.iter().any(|o| self.items.get(o).is_some_and(Item::waits_for_dependents));
        if !now.is_empty() && (has_unknown_owner || has_waiting_owner || has_foreign_owner) && before != now {
            visit.push(item.uid.clone());
        }
        self.items.insert(item.uid.clone(), item);
        visit
    }

    /// An object is gone; who should be looked at because of it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(item) = self.items.remove(uid) else { return Vec::new() };
        let owners: BTreeSet<String> = item.owners.iter().map(|owner| owner.uid.clone()).collect();
        for owner in &owners {
            self.disconnect(owner, uid);
        }
        let mut visit = self.waiting(owners.iter());
        visit.extend(self.dependents.get(uid).into_iter().flatten().cloned());
        visit
    }

    fn waiting<'a>(&self, owners: impl Iterator<Item = &'a String>) -> Vec<String> {
        owners.filter(|owner| self.items.get(*owner).is_some_and(Item::waits_for_dependents)).cloned().collect()
    }

    fn disconnect(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    /// Everything with an owner that is not known; to be looked at once all kinds are known.
    pub(super) fn suspects(&self) -> Vec<String> {
        let unknown = |item: &&Item| item.owners.iter().any(|owner| !self.items.contains_key(&owner.uid));
        self.items.values().filter(unknown).map(|item| item.uid.clone()).collect()
    }

    /// Forgets all objects of a resource that is no longer served.
    pub(super) fn forget(&mut self, resource: &Resource) {
        let gone: Vec<String> =
            self.items.values().filter(|item| item.resource == *resource).map(|item| item.uid.clone()).collect();
        for uid in gone {
            self.remove(&uid);
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    pub(crate) fn item(uid: &str, owners: &[&str]) -> Item {
        let mut meta = ObjectMeta { uid: uid.into(), name: uid.into(), ..ObjectMeta::default() };
        for owner in owners {
            meta.owner_references.push(OwnerReference {
                uid: owner.trim_start_matches('!').into(),
                block_owner_deletion: owner.starts_with('!').then_some(true),
                ..OwnerReference::default()
            });
        }
        let resource = Resource {
            group: "".into(),
            version: "v1".into(),
            kind: "Thing".into(),
            plural: "things".into(),
            namespaced: true,
        };
        Item::new(resource, &meta)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::item;
    use super::*;

    #[test]
    fn an_owner_in_another_namespace_is_looked_at() {
        let mut graph = Graph::default();
        let (mut owner, mut child) = (item("owner", &[]), item("child", &["owner"]));
        (owner.namespace, child.namespace) = ("a".into(), "b".into());
        graph.apply(owner);
        assert_eq!(graph.apply(child), ["child"]);
    }

    #[test]
    fn losing_an_owner_is_noticed() {
        let mut graph = Graph::default();
        assert!(graph.apply(item("owner", &[])).is_empty());
        assert!(graph.apply(item("child", &["owner"])).is_empty());
        assert_eq!(graph.dependents("owner").len(), 1);
        assert_eq!(graph.remove("owner"), ["child"]);
        assert_eq!(graph.suspects(), ["child"]);
        assert_eq!(graph.apply(item("late", &["never"])), ["late"]);
    }

    #[test]
    fn a_waiting_owner_is_looked_at_when_something_goes() {
        let mut graph = Graph::default();
        graph.apply(item("owner", &[]));
        graph.apply(item("child", &["!owner"]));
        let mut leaving = item("owner", &[]);
        leaving.deleting = true;
        leaving.foreground = true;
        assert_eq!(graph.apply(leaving), ["owner"]);
        assert_eq!(graph.remove("child"), ["owner"]);
        assert!(graph.dependents("owner").is_empty());
    }

    #[test]
    fn a_changed_owner_moves_the_edge() {
        let mut graph = Graph::default();
        graph.apply(item("a", &[]));
        graph.apply(item("b", &[]));
        graph.apply(item("child", &["a"]));
        graph.apply(item("child", &["b"]));
        assert!(graph.dependents("a").is_empty());
        assert_eq!(graph.dependents("b").len(), 1);
    }
}
