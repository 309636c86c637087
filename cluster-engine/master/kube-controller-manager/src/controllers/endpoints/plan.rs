//! What a service's Endpoints should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::{IntOrString, ObjectRef, Pod, Service, ServicePort, StringMap};
use serde_json::{Value, json};

use crate::kinds::{Address, Endpoints, Port, Subset};

const HEADLESS: &str = "service.kubernetes.io/headless";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// More addresses than this are not listed (upstream: maxCapacity).
const CAPACITY: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Create(Value),
    Replace(Value),
    Delete,
}

pub(super) fn plan(service: Option<&Service>, existing: Option<&Endpoints>, pods: &[Arc<Pod>]) -> Option<Action> {
    let is_ours = |endpoints: &Endpoints| endpoints.metadata.labels.contains_key(MANAGED_BY);
    let Some(service) = service.filter(|service| !service.metadata.is_deleting()) else {
        return existing.map(|_| Action::Delete);
    };
    if service.spec.selector.is_empty() || service.spec.kind == "ExternalName" {
        // Somebody else keeps those, unless we made them while there was a selector.
        return existing
            .filter(|endpoints| service.spec.kind == "ExternalName" && is_ours(endpoints))
            .map(|_| Action::Delete);
    }
    let (subsets, is_over) = subsets(service, pods);
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), "endpoint-controller".to_owned());
    let mut annotations: StringMap = existing.map(|existing| existing.metadata.annotations.clone()).unwrap_or_default();
    if is_over {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
    let mut metadata = json!({
        "name": service.name(),
        "namespace": service.namespace(),
        "labels": labels,
    });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let body =
        |metadata: Value| json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets});
    match existing {
        None => Some(Action::Create(body(metadata))),
        Some(there)
            if there.subsets == subsets
                && there.metadata.labels == labels
                && there.metadata.annotations == annotations =>
        {
            None
        }
        Some(there) => {
            metadata["resourceVersion"] = there.metadata.resource_version.as_str().into();
            Some(Action::Replace(body(metadata)))
        }
    }
}

/// Addresses grouped by the ports that they have in common, in a stable order; and whether there
/// were too many.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> (Vec<Subset>, bool) {
    let mut groups: BTreeMap<Vec<Port>, (Vec<Address>, Vec<Address>)> = BTreeMap::new();
    let mut count = 0;
    for pod in pods {
        if !belongs(pod, service.spec.publish_not_ready_addresses) {
            continue;
        }
        count += 1;
        if count > CAPACITY {
            continue;
        }
        let mut ports: Vec<Port> = service
            .spec
            .ports
            .iter()
            .filter_map(|port| {
                Some(Port {
                    name: port.name.clone(),
                    port: target_port(pod, port)?,
                    protocol: port.protocol.clone(),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect();
        if ports.is_empty() && !service.spec.ports.is_empty() {
            continue;
        }
        ports.sort();
        let is_ready = service.spec.publish_not_ready_addresses || pod.is_ready();
        let (ready, not_ready) = groups.entry(ports).or_default();
        if is_ready { ready.push(address(service, pod)) } else { not_ready.push(address(service, pod)) }
    }
    let by_address = |address: &Address| {
        (address.ip.parse::<std::net::IpAddr>().ok(), address.target_ref.as_ref().map(|pod| pod.uid.clone()))
    };
    let subsets = groups
        .into_iter()
        .map(|(ports, (mut addresses, mut not_ready_addresses))| {
            addresses.sort_by_key(by_address);
            not_ready_addresses.sort_by_key(by_address);
            Subset { addresses, not_ready_addresses, ports }
        })
        .collect();
    (subsets, count > CAPACITY)
}

fn belongs(pod: &Pod, with_terminating: bool) -> bool {
    !pod.is_terminal() && !pod.status.pod_ip.is_empty() && (with_terminating || !pod.metadata.is_deleting())
}

fn address(service: &Service, pod: &Pod) -> Address {
    Address {
        ip: pod.status.pod_ip.clone(),
        hostname: host_name(service, pod).unwrap_or_default(),
        node_name: (!pod.spec.node_name.is_empty()).then(|| pod.spec.node_name.clone()),
        target_ref: Some(pod_reference(pod)),
    }
}

/// The pod's host name in the service's domain.
pub(in crate::controllers) fn host_name(service: &Service, pod: &Pod) -> Option<String> {
    let spec = &pod.spec;
    (!spec.hostname.is_empty() && spec.subdomain == service.metadata.name).then(|| spec.hostname.clone())
}

pub(in crate::controllers) fn pod_reference(pod: &Pod) -> ObjectRef {
    ObjectRef {
        kind: "Pod".to_owned(),
        namespace: pod.namespace().to_owned(),
        name: pod.name().to_owned(),
        uid: pod.uid().to_owned(),
        ..ObjectRef::default()
    }
}

/// The number of the pod's port that a service port leads to (upstream: `FindPort`).
pub(in crate::controllers) fn target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        IntOrString::Int(0) => Some(port.port),
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
            let mut ports = pod.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
            let protocol = |text: &str| if text.is_empty() { "TCP".to_owned() } else { text.to_owned() };
            ports
                .find(|found| found.name == *name && protocol(&found.protocol) == protocol(&port.protocol))
                .map(|found| found.container_port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::{Condition, Container, ContainerPort};

    fn service(target: IntOrString) -> Service {
        let mut service = Service::default();
        service.metadata.name = "web".into();
        service.metadata.namespace = "x".into();
        service.spec.selector.insert("app".into(), "web".into());
        service.spec.ports.push(ServicePort {
            name: "http".into(),
            protocol: "TCP".into(),
            port: 80,
            target_port: target,
            ..ServicePort::default()
        });
        service
    }

    fn pod(name: &str, ip: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.metadata.uid = name.into();
        pod.status.pod_ip = ip.into();
        let status = if ready { "True" } else { "False" };
        pod.status.conditions.push(Condition { kind: "Ready".into(), status: status.into(), ..Condition::default() });
        pod.spec.containers.push(Container {
            ports: vec![ContainerPort {
                name: "web".into(),
                container_port: 8080,
                protocol: "TCP".into(),
                ..ContainerPort::default()
            }],
            ..Container::default()
        });
        Arc::new(pod)
    }

    fn made(action: Option<Action>) -> Endpoints {
        match action {
            Some(Action::Create(body) | Action::Replace(body)) => serde_json::from_value(body).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ready_and_not_ready_addresses() {
        let service = service(IntOrString::String("web".into()));
        let pods =
            [pod("b", "10.0.0.10", true), pod("a", "10.0.0.9", true), pod("c", "10.0.0.3", false), pod("d", "", true)];
        let first = made(plan(Some(&service), None, &pods));
        let ips = |list: &[Address]| list.iter().map(|address| address.ip.clone()).collect::<Vec<_>>();
        assert_eq!(ips(&first.subsets[0].addresses), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(ips(&first.subsets[0].not_ready_addresses), ["10.0.0.3"]);
        assert_eq!(first.subsets[0].ports[0].port, 8080);
        assert_eq!(plan(Some(&service), Some(&first), &pods), None, "nothing new");
        assert_eq!(plan(None, Some(&first), &[]), Some(Action::Delete));
        let empty = made(plan(Some(&service), Some(&first), &[]));
        assert!(empty.subsets.is_empty());
    }

    #[test]
    fn services_without_selector_are_left_alone() {
        let mut service = service(IntOrString::Int(80));
        service.spec.selector.clear();
        assert_eq!(plan(Some(&service), None, &[]), None);
        assert_eq!(plan(Some(&service), Some(&Endpoints::default()), &[]), None);
    }

    #[test]
    fn unknown_port_names_leave_the_pod_out() {
        let service = service(IntOrString::String("other".into()));
        assert!(made(plan(Some(&service), None, &[pod("a", "10.0.0.9", true)])).subsets.is_empty());
    }
}
