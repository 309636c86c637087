//! What the API server says, for [`crate::zone`].

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use drydock_client::types::{EndpointSlice, Namespace, Service};
use drydock_client::{Client, ListOptions, Object, Reflector};

use crate::zone::Records;

/// Local copies of the objects that names are made of.
pub(crate) struct Cluster {
    services: Reflector<Service>,
    slices: Reflector<EndpointSlice>,
    namespaces: Reflector<Namespace>,
}

impl Cluster {
    pub(crate) fn start(client: Client) -> Cluster {
        Cluster {
            services: Reflector::start(client.clone(), ListOptions::default()),
            slices: Reflector::start(client.clone(), ListOptions::default()),
            namespaces: Reflector::start(client, ListOptions { metadata_only: true, ..ListOptions::default() }),
        }
    }

    /// Resolves once everything is known.
    pub(crate) fn synced(&self) -> impl Future<Output = ()> + use<> {
        let (services, slices, namespaces) = (self.services.clone(), self.slices.clone(), self.namespaces.clone());
        async move {
            tokio::join!(services.synced(), slices.synced(), namespaces.synced());
        }
    }
}

impl Records for Cluster {
    fn ready(&self) -> bool {
        self.services.is_synced() && self.slices.is_synced() && self.namespaces.is_synced()
    }

    fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.get("", name).is_some()
    }

    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.get(namespace, name)
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let mut slices = self.slices.list_in(namespace);
        slices.retain(|slice| slice.service_name() == Some(service));
        slices
    }

    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        let text = address.to_string();
        self.services.list().into_iter().find(|service| crate::zone::cluster_ips(service).any(|ip| ip == text))
    }

    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>> {
        let text = address.to_string();
        let mut slices = self.slices.list();
        slices.retain(|slice| slice.endpoints.iter().any(|endpoint| endpoint.addresses.contains(&text)));
        slices.sort_by(|one, other| (one.namespace(), one.name()).cmp(&(other.namespace(), other.name())));
        slices
    }
}
