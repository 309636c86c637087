//! The local copy: objects by namespace and name, and who wants to hear of changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::Event;
use crate::object::Object;

/// Answers whether it wants to hear more.
type Handler<K> = Box<dyn Fn(&Event<K>) -> bool + Send + Sync>;
type Objects<K> = BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<K>>>;

pub(super) struct Store<K> {
    objects: RwLock<Objects<K>>,
    /// Held while a change is made and told, so that a new handler misses none.
    handlers: Mutex<Vec<Handler<K>>>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Store { objects: RwLock::default(), handlers: Mutex::default() }
    }
}

impl<K: Object> Store<K> {
    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().get(namespace)?.get(name).cloned()
    }

    pub(super) fn list(&self) -> Vec<Arc<K>> {
        self.read().values().flat_map(BTreeMap::values).cloned().collect()
    }

    pub(super) fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read().get(namespace).map(|objects| objects.values().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.read().values().map(BTreeMap::len).sum()
    }

    pub(super) fn handle(&self, handler: impl Fn(&Event<K>) -> bool + Send + Sync + 'static) {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.list().into_iter().all(|object| handler(&Event::Applied(object, None))) {
            handlers.push(Box::new(handler));
        }
    }

    /// The whole truth after a list: tells what differs from the copy.
    pub(super) fn replace(&self, objects: Vec<K>) {
        let present: HashSet<(String, String)> =
            objects.iter().map(|object| (object.namespace().to_owned(), object.name().to_owned())).collect();
        let gone: Vec<Arc<K>> = self
            .list()
            .into_iter()
            .filter(|object| !present.contains(&(object.namespace().to_owned(), object.name().to_owned())))
            .collect();
        for object in gone {
            self.delete(object.namespace(), object.name(), None);
        }
        for object in objects {
            self.apply(object);
        }
    }

    pub(super) fn apply(&self, mut object: K) {
        object.trim();
        let object = Arc::new(object);
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let old = {
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            let namespace = match objects.get_mut(object.namespace()) {
                Some(namespace) => namespace,
                None => objects.entry(object.namespace().into()).or_default(),
            };
            match namespace.get_mut(object.name()) {
                Some(slot) if slot.meta().resource_version == object.meta().resource_version => return,
                Some(slot) => Some(std::mem::replace(slot, object.clone())),
                None => namespace.insert(object.name().into(), object.clone()),
            }
        };
        let event = match old {
            // A namesake made after a delete that we did not see.
            Some(old) if old.uid() != object.uid() => {
                let event = Event::Deleted(old);
                handlers.retain(|handler| handler(&event));
                Event::Applied(object, None)
            }
            old => Event::Applied(object, old),
        };
        handlers.retain(|handler| handler(&event));
    }

    /// `last` is the state at deletion, if known.
    pub(super) fn delete(&self, namespace: &str, name: &str, last: Option<K>) {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = {
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            let Some(there) = objects.get_mut(namespace) else { return };
            let removed = there.remove(name);
            if there.is_empty() {
                objects.remove(namespace);
            }
            removed
        };
        let Some(removed) = removed else { return };
        let last = last.map_or(removed, |mut last| {
            last.trim();
            Arc::new(last)
        });
        let event = Event::Deleted(last);
        handlers.retain(|handler| handler(&event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::PartialObject;

    fn object(namespace: &str, name: &str, version: &str) -> PartialObject {
        let mut object = PartialObject::default();
        object.metadata.namespace = namespace.into();
        object.metadata.name = name.into();
        object.metadata.uid = format!("{namespace}/{name}");
        object.metadata.resource_version = version.into();
        object
    }

    fn told(store: &Store<PartialObject>) -> Arc<Mutex<Vec<String>>> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = log.clone();
        store.handle(move |event| {
            let line = match event {
                Event::Applied(new, None) => format!("+{}", new.name()),
                Event::Applied(new, Some(old)) => {
                    format!("{} {}->{}", new.name(), old.metadata.resource_version, new.metadata.resource_version)
                }
                Event::Deleted(old) => format!("-{}@{}", old.name(), old.metadata.resource_version),
            };
            writer.lock().unwrap().push(line);
            true
        });
        log
    }

    #[test]
    fn a_relist_tells_only_differences() {
        let store = Store::default();
        store.apply(object("x", "a", "1"));
        let log = told(&store);
        store.apply(object("x", "b", "2"));
        store.replace(vec![object("x", "b", "2"), object("x", "c", "3"), object("y", "b", "4")]);
        store.apply(object("x", "c", "5"));
        store.delete("x", "c", Some(object("x", "c", "6")));
        store.delete("x", "nobody", None);
        assert_eq!(*log.lock().unwrap(), ["+a", "+b", "-a@1", "+c", "+b", "c 3->5", "-c@6"]);
        assert_eq!(store.len(), 2);
        assert_eq!(store.list_in("x").len(), 1);
        assert!(store.get("y", "b").is_some());
    }

    #[test]
    fn a_namesake_is_a_deletion_and_a_new_object() {
        let store = Store::default();
        store.apply(object("x", "a", "1"));
        let log = told(&store);
        let mut second = object("x", "a", "9");
        second.metadata.uid = "other".into();
        store.apply(second);
        assert_eq!(*log.lock().unwrap(), ["+a", "-a@1", "+a"]);
    }
}
