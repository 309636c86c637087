//! A reflector keeps a local copy of a resource: list, then watch for ever.
//!
//! The copy is indexed by namespace and name. Whoever wants to know of changes registers a handler
//! or subscribes; both first hear of everything that is there. A watch that ends is resumed from
//! the last resourceVersion seen (bookmarks move it along); 410 leads to a new list, whose
//! differences to the copy become events, so no change is missed and none is told twice.

mod run;
mod store;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::store::Store;
use crate::Client;
use crate::api::{Api, ListOptions};
use crate::object::{Object, Resource};

/// A change of the local copy.
#[derive(Clone, Debug)]
pub enum Event<K> {
    /// The object is new or changed; with its state before, if it was known.
    Applied(Arc<K>, Option<Arc<K>>),
    /// The object is gone; its last known state.
    Deleted(Arc<K>),
}

impl<K> Event<K> {
    /// The object the event is about, in its newest known state.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Event::Applied(object, _) | Event::Deleted(object) => object,
        }
    }
}

/// A local copy of a resource, kept up to date by a task; clones share it. The task ends with the
/// last clone.
pub struct Reflector<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    store: Arc<Store<K>>,
    synced: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl<K> Drop for Shared<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K> Clone for Reflector<K> {
    fn clone(&self) -> Self {
        Reflector { shared: self.shared.clone() }
    }
}

impl<K: Object> Reflector<K> {
    /// Starts a copy of all objects of `K` that match `options`.
    pub fn start(client: Client, options: ListOptions) -> Reflector<K> {
        Reflector::over(Api::all(client), options)
    }

    /// Starts a copy of the objects in one namespace.
    pub fn start_in(client: Client, namespace: &str, options: ListOptions) -> Reflector<K> {
        Reflector::over(Api::namespaced(client, namespace), options)
    }

    /// Starts a copy of a resource known at run time only.
    pub fn start_of(client: Client, resource: Resource, options: ListOptions) -> Reflector<K> {
        Reflector::over(Api::of(client, resource, ""), options)
    }

    fn over(api: Api<K>, options: ListOptions) -> Reflector<K> {
        let store = Arc::new(Store::default());
        let (say_synced, synced) = watch::channel(false);
        let task = tokio::spawn(run::run(api, options, store.clone(), say_synced));
        Reflector { shared: Arc::new(Shared { store, synced, task }) }
    }

    /// The object, if the copy has it. The namespace of cluster-scoped objects is empty.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.shared.store.get(namespace, name)
    }

    /// All objects, in order of namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.store.list()
    }

    /// The objects of one namespace, in order of their names.
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.shared.store.list_in(namespace)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.shared.store.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first list was taken over.
    pub fn is_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits until the first list was taken over.
    pub async fn synced(&self) {
        // An error means that the task is gone, which only dropping the reflector does.
        let _ = self.shared.synced.clone().wait_for(|synced| *synced).await;
    }

    /// Calls `handler` for everything there is and for each change, in order, from the reflector's
    /// task. It must not block and must not register handlers here.
    pub fn handle(&self, handler: impl Fn(&Event<K>) + Send + Sync + 'static) {
        self.shared.store.handle(move |event| {
            handler(event);
            true
        });
    }

    /// A channel with everything there is and each change, in order.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Event<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.store.handle(move |event| sender.send(event.clone()).is_ok());
        receiver
    }
}
