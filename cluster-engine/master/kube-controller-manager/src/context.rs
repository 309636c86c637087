//! What the controllers share: flags, identities and one reflector per kind.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use drydock_client::{Client, EventRecorder, ListOptions, Object, Reflector};

use crate::Options;
use crate::identity::Identities;

/// What the controllers share.
pub(crate) struct Context {
    pub(crate) options: Options,
    identities: Identities,
    watches: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
}

impl Context {
    pub(crate) fn new(options: Options, identities: Identities) -> Context {
        Context { options, identities, watches: Mutex::default() }
    }

    /// The shared reflector of a kind; started at its first use.
    pub(crate) fn watch<K: Object>(&self) -> Reflector<K> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || Reflector::<K>::start(self.identities.own().clone(), ListOptions::default());
        let entry = watches.entry(TypeId::of::<K>()).or_insert_with(|| Box::new(start()));
        match entry.downcast_ref::<Reflector<K>>() {
            Some(reflector) => reflector.clone(),
            // The map is keyed by type, so this does not happen; a reflector of one's own is right too.
            None => start(),
        }
    }

    /// The manager's own client, for reflectors that only one controller needs.
    pub(crate) fn own_client(&self) -> Client {
        self.identities.own().clone()
    }

    /// A client that speaks as the service account of a controller.
    pub(crate) async fn client(&self, account: &str) -> Client {
        self.identities.client(account).await
    }

    /// A recorder of events under a component's name.
    pub(crate) fn recorder(&self, client: &Client, component: &str) -> EventRecorder {
        EventRecorder::new(client.clone(), component, "")
    }
}
