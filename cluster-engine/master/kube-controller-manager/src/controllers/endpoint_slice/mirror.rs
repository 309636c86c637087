//! Slices for services without a selector, made from the Endpoints that somebody wrote for them.

use std::sync::Arc;

use drydock_client::types::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Service};
use drydock_client::{Error, Reflector, WorkQueue};

use super::plan::Groups;
use super::{Writer, watch_slices};
use crate::context::Context;
use crate::kinds::{Address, Endpoints};
use crate::work::{Key, Next, Reconcile, key, work};

/// Who keeps slices made from Endpoints.
const NAME: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

struct Controller {
    services: Reflector<Service>,
    endpoints: Reflector<Endpoints>,
    writer: Writer,
}

pub(in crate::controllers) async fn run(context: Arc<Context>) {
    let services = context.watch::<Service>();
    let endpoints = context.watch::<Endpoints>();
    let slices = context.watch::<EndpointSlice>();
    let client = context.client("endpointslicemirroring-controller").await;
    services.synced().await;
    endpoints.synced().await;
    slices.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    services.handle(move |event| add.add(key(&**event.object())));
    let add = queue.clone();
    endpoints.handle(move |event| add.add(key(&**event.object())));
    watch_slices(&slices, &queue, NAME);
    let controller = Controller { services, endpoints, writer: Writer::new(client, slices, NAME) };
    work(Arc::new(controller), queue, 2).await;
}

/// Whether these Endpoints are somebody's own and to be mirrored.
fn is_mirrored(service: &Service, endpoints: &Endpoints) -> bool {
    service.spec.selector.is_empty()
        && service.spec.kind != "ExternalName"
        && endpoints.metadata.labels.get(SKIP).is_none_or(|value| value != "true")
        && !endpoints.metadata.annotations.contains_key(LEADER)
}

fn groups(endpoints: &Endpoints) -> Groups {
    let mut groups = Groups::new();
    for subset in &endpoints.subsets {
        let mut ports: Vec<EndpointPort> = subset
            .ports
            .iter()
            .map(|port| EndpointPort {
                name: Some(port.name.clone()),
                port: Some(port.port),
                protocol: Some(port.protocol.clone()),
                app_protocol: port.app_protocol.clone(),
            })
            .collect();
        ports.sort();
        let ready = subset.addresses.iter().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
        for (address, is_ready) in ready.chain(not_ready) {
            let family = if address.ip.contains(':') { "IPv6" } else { "IPv4" };
            groups.entry((family.to_owned(), ports.clone())).or_default().push(endpoint(address, is_ready));
        }
    }
    groups
}

fn endpoint(address: &Address, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: EndpointConditions { ready: Some(is_ready), serving: None, terminating: None },
        hostname: (!address.hostname.is_empty()).then(|| address.hostname.clone()),
        target_ref: address.target_ref.clone(),
        node_name: address.node_name.clone(),
        zone: None,
        hints: None,
    }
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "endpointslicemirroring";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let (service, endpoints) = (self.services.get(&key.0, &key.1), self.endpoints.get(&key.0, &key.1));
        let mirrored = match (&service, &endpoints) {
            (Some(service), Some(endpoints)) => is_mirrored(service, endpoints),
            _ => false,
        };
        match (service, endpoints) {
            (Some(service), Some(endpoints)) if mirrored => {
                self.writer.write(&service, &groups(&endpoints)).await?;
            }
            _ => self.writer.remove_all(key).await?,
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Port, Subset};

    #[test]
    fn what_is_mirrored() {
        let (mut service, mut endpoints) = (Service::default(), Endpoints::default());
        assert!(is_mirrored(&service, &endpoints));
        endpoints.metadata.labels.insert(SKIP.into(), "true".into());
        assert!(!is_mirrored(&service, &endpoints));
        endpoints.metadata.labels.clear();
        service.spec.selector.insert("a".into(), "b".into());
        assert!(!is_mirrored(&service, &endpoints));
    }

    #[test]
    fn subsets_become_groups() {
        let address = |ip: &str| Address { ip: ip.into(), ..Address::default() };
        let mut endpoints = Endpoints::default();
        endpoints.subsets.push(Subset {
            addresses: vec![address("10.0.0.1"), address("fd00::1")],
            not_ready_addresses: vec![address("10.0.0.2")],
            ports: vec![Port { port: 80, protocol: "TCP".into(), ..Port::default() }],
        });
        let groups = groups(&endpoints);
        let short: Vec<_> = groups
            .iter()
            .map(|((family, ports), found)| {
                (
                    family.as_str(),
                    ports[0].port,
                    found.iter().filter(|e| e.conditions.ready == Some(true)).count(),
                    found.len(),
                )
            })
            .collect();
        assert_eq!(short, [("IPv4", Some(80), 1, 2), ("IPv6", Some(80), 1, 1)]);
    }
}
