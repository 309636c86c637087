//! Which slices a service should have, changing as few as possible of those it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, NamedHint, Node, Pod, Service, StringMap,
};
use serde_json::{Value, json};

use crate::controllers::endpoints::{host_name, pod_reference, target_port};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const ZONE: &str = "topology.kubernetes.io/zone";
/// How many endpoints a slice has at most (upstream: MaxEndpointsPerSlice).
const MOST: usize = 100;

/// Endpoints by address type and ports.
pub(super) type Groups = BTreeMap<(String, Vec<EndpointPort>), Vec<Endpoint>>;

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Create(Value),
    Replace(String, Value),
    Delete(Arc<EndpointSlice>),
}

fn address_type(ip: &str) -> &'static str {
    if ip.contains(':') { "IPv6" } else { "IPv4" }
}

/// The endpoints of a service with a selector.
pub(super) fn groups(service: &Service, pods: &[Arc<Pod>], node: impl Fn(&str) -> Option<Arc<Node>>) -> Groups {
    let families = match service.spec.ip_families.as_slice() {
        [] => vec!["IPv4".to_owned()],
        families => families.to_vec(),
    };
    let mut groups = Groups::new();
    for pod in pods {
        if pod.is_terminal() || pod.status.pod_ip.is_empty() {
            continue;
        }
        let mut ports: Vec<EndpointPort> = service
            .spec
            .ports
            .iter()
            .filter_map(|port| {
                Some(EndpointPort {
                    name: Some(port.name.clone()),
                    port: Some(target_port(pod, port)?),
                    protocol: Some(port.protocol.clone()),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect();
        if ports.is_empty() && !service.spec.ports.is_empty() {
            continue;
        }
        ports.sort();
        let mut ips: Vec<&str> = pod.status.pod_ips.iter().map(|ip| ip.ip.as_str()).collect();
        if ips.is_empty() {
            ips.push(&pod.status.pod_ip);
        }
        for family in &families {
            let Some(ip) = ips.iter().find(|ip| address_type(ip) == family) else { continue };
            let zone = node(&pod.spec.node_name).and_then(|node| node.metadata.labels.get(ZONE).cloned());
            let endpoint = endpoint(service, pod, ip, zone);
            groups.entry((family.clone(), ports.clone())).or_default().push(endpoint);
        }
    }
    groups
}

fn endpoint(service: &Service, pod: &Pod, ip: &str, zone: Option<String>) -> Endpoint {
    let (serving, terminating) = (pod.is_ready(), pod.metadata.is_deleting());
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    let node_name = (!pod.spec.node_name.is_empty()).then(|| pod.spec.node_name.clone());
    let distribution = service.spec.traffic_distribution.as_deref().filter(|_| ready);
    Endpoint {
        addresses: vec![ip.to_owned()],
        conditions: EndpointConditions { ready: Some(ready), serving: Some(serving), terminating: Some(terminating) },
        hostname: host_name(service, pod),
        target_ref: Some(pod_reference(pod)),
        hints: hints(distribution, node_name.as_deref(), zone.as_deref()),
        node_name,
        zone,
    }
}

/// Who should use an endpoint, as the service's `trafficDistribution` wants it.
fn hints(distribution: Option<&str>, node: Option<&str>, zone: Option<&str>) -> Option<EndpointHints> {
    let named = |name: Option<&str>| name.map(|name| NamedHint { name: name.to_owned() }).into_iter().collect();
    let hints = match distribution? {
        "PreferSameZone" | "PreferClose" => EndpointHints { for_zones: named(zone), for_nodes: Vec::new() },
        // Where no endpoint is on the client's node, one in its zone is next best.
        "PreferSameNode" => EndpointHints { for_zones: named(zone), for_nodes: named(node) },
        _ => return None,
    };
    (hints != EndpointHints::default()).then_some(hints)
}

/// What makes two endpoints the same one in two states.
fn identity(endpoint: &Endpoint) -> (Vec<String>, String) {
    let uid = endpoint.target_ref.as_ref().map(|pod| pod.uid.clone()).unwrap_or_default();
    (endpoint.addresses.clone(), uid)
}

/// What is to be written.
pub(super) fn plan(service: &Service, wanted: &Groups, existing: &[Arc<EndpointSlice>], manager: &str) -> Vec<Action> {
    let labels = labels(service, manager);
    let mut wanted = wanted.clone();
    if wanted.is_empty() && service.spec.kind != "ExternalName" {
        // A service without endpoints has one empty slice, so that there is something to watch.
        let families = if service.spec.ip_families.is_empty() {
            vec!["IPv4".to_owned()]
        } else {
            service.spec.ip_families.clone()
        };
        for family in families {
            wanted.insert((family, Vec::new()), Vec::new());
        }
    }
    let mut actions = Vec::new();
    let mut rest: Vec<&Arc<EndpointSlice>> = existing.iter().collect();
    for ((family, ports), endpoints) in &wanted {
        let (same, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|slice| {
            let mut their_ports = slice.ports.clone();
            their_ports.sort();
            slice.address_type == *family && their_ports == *ports
        });
        rest = others;
        fill(service, &labels, family, ports, endpoints, &same, &mut actions);
    }
    actions.extend(rest.into_iter().map(|slice| Action::Delete(slice.clone())));
    actions
}

/// Puts the endpoints of one group into its slices: each stays where it is, new ones fill gaps.
fn fill(
    service: &Service,
    labels: &StringMap,
    family: &str,
    ports: &[EndpointPort],
    endpoints: &[Endpoint],
    slices: &[&Arc<EndpointSlice>],
    actions: &mut Vec<Action>,
) {
    let mut new: BTreeMap<_, &Endpoint> = endpoints.iter().map(|endpoint| (identity(endpoint), endpoint)).collect();
    let mut contents: Vec<Vec<Endpoint>> = slices
        .iter()
        .map(|slice| slice.endpoints.iter().filter_map(|old| new.remove(&identity(old)).cloned()).collect())
        .collect();
    let mut new: Vec<Endpoint> = new.into_values().cloned().collect();
    // Slices that must be written anyway are filled first, then the fullest that have room.
    let mut order: Vec<usize> = (0..slices.len()).collect();
    order.sort_by_key(|at| (contents[*at] == slices[*at].endpoints, std::cmp::Reverse(contents[*at].len())));
    for at in order {
        let room = MOST.saturating_sub(contents[at].len()).min(new.len());
        let from = new.len() - room;
        contents[at].extend(new.drain(from..));
    }
    let mut kept = 0;
    for (slice, content) in slices.iter().zip(contents) {
        let is_needed = !content.is_empty() || (endpoints.is_empty() && kept == 0);
        if !is_needed {
            actions.push(Action::Delete((*slice).clone()));
            continue;
        }
        kept += 1;
        if content != slice.endpoints || slice.metadata.labels != *labels {
            let mut metadata = slice.metadata.clone();
            metadata.labels = labels.clone();
            let body = body(json!(metadata), family, ports, &content);
            actions.push(Action::Replace(slice.name().to_owned(), body));
        }
    }
    let mut chunks: Vec<&[Endpoint]> = new.chunks(MOST).collect();
    if chunks.is_empty() && kept == 0 && endpoints.is_empty() {
        chunks.push(&[]);
    }
    for chunk in chunks {
        let metadata = json!({
            "generateName": format!("{}-", service.name()),
            "namespace": service.namespace(),
            "labels": labels,
            "ownerReferences": [super::super::owned::controller_reference::<Service>(&service.metadata)],
        });
        actions.push(Action::Create(body(metadata, family, ports, chunk)));
    }
}

fn body(metadata: Value, family: &str, ports: &[EndpointPort], endpoints: &[Endpoint]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    })
}

fn labels(service: &Service, manager: &str) -> StringMap {
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), manager.to_owned());
    labels
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::{Condition, IntOrString, ServicePort};

    fn service() -> Service {
        let mut service = Service::default();
        service.metadata.name = "web".into();
        service.metadata.namespace = "x".into();
        service.metadata.labels.insert("team".into(), "a".into());
        service.spec.ports.push(ServicePort {
            protocol: "TCP".into(),
            port: 80,
            target_port: IntOrString::Int(8080),
            ..ServicePort::default()
        });
        service
    }

    fn pod(number: usize, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = format!("p{number}");
        pod.metadata.uid = format!("p{number}");
        pod.spec.node_name = "n".into();
        pod.status.pod_ip = format!("10.0.{}.{}", number / 250, number % 250 + 1);
        let status = if ready { "True" } else { "False" };
        pod.status.conditions.push(Condition { kind: "Ready".into(), status: status.into(), ..Condition::default() });
        Arc::new(pod)
    }

    /// Applies actions to slices, as the server would.
    fn apply(slices: &mut Vec<Arc<EndpointSlice>>, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Create(body) => {
                    let mut slice: EndpointSlice = serde_json::from_value(body).unwrap();
                    slice.metadata.name = format!("s{}", slices.len());
                    slices.push(Arc::new(slice));
                }
                Action::Replace(name, body) => {
                    let slice = slices.iter_mut().find(|slice| slice.metadata.name == name).unwrap();
                    *slice = Arc::new(serde_json::from_value(body).unwrap());
                }
                Action::Delete(gone) => slices.retain(|slice| slice.metadata.name != gone.metadata.name),
            }
        }
    }

    fn sync(slices: &mut Vec<Arc<EndpointSlice>>, pods: &[Arc<Pod>]) -> usize {
        let wanted = groups(&service(), pods, |_| None);
        let actions = plan(&service(), &wanted, slices, "me");
        let count = actions.len();
        apply(slices, actions);
        assert!(plan(&service(), &wanted, slices, "me").is_empty(), "a second look changes nothing");
        count
    }

    #[test]
    fn slices_follow_pods_with_few_writes() {
        let mut slices = Vec::new();
        assert_eq!(sync(&mut slices, &[]), 1);
        assert!(slices[0].endpoints.is_empty() && slices[0].ports.is_empty(), "a placeholder");
        let pods: Vec<_> = (0..150).map(|n| pod(n, true)).collect();
        sync(&mut slices, &pods);
        assert_eq!(slices.iter().map(|slice| slice.endpoints.len()).sum::<usize>(), 150);
        assert_eq!(slices.len(), 2);
        assert_eq!(slices[0].ports[0].port, Some(8080));
        let mut fewer = pods[1..].to_vec();
        fewer[5] = pod(6, false);
        assert!(sync(&mut slices, &fewer) <= 2);
        assert_eq!(sync(&mut slices, &[pods[3].clone()]), 2, "one slice shrinks, the other goes");
        assert_eq!(slices.len(), 1);
    }

    #[test]
    fn conditions_and_labels() {
        let mut leaving = (*pod(1, true)).clone();
        leaving.metadata.deletion_timestamp = Some("T".into());
        let mut slices = Vec::new();
        sync(&mut slices, &[Arc::new(leaving), pod(2, false), pod(3, true)]);
        let states: Vec<_> = slices[0]
            .endpoints
            .iter()
            .map(|e| (e.conditions.ready, e.conditions.serving, e.conditions.terminating))
            .collect();
        let yes = Some(true);
        let no = Some(false);
        assert_eq!(states, [(no, yes, yes), (no, no, no), (yes, yes, no)]);
        let labels = &slices[0].metadata.labels;
        assert_eq!(
            (labels["team"].as_str(), labels[SERVICE_NAME].as_str(), labels[MANAGED_BY].as_str()),
            ("a", "web", "me")
        );
        assert_eq!(slices[0].metadata.owner_references[0].kind, "Service");
    }

    #[test]
    fn hints_follow_the_traffic_distribution() {
        let names = |hints: &[NamedHint]| hints.iter().map(|hint| hint.name.clone()).collect::<Vec<_>>().join(" ");
        for (distribution, node, zone, expected) in [
            (Some("PreferSameZone"), Some("n"), Some("z"), Some(("z", ""))),
            (Some("PreferClose"), Some("n"), Some("z"), Some(("z", ""))),
            (Some("PreferClose"), Some("n"), None, None),
            (Some("PreferSameNode"), Some("n"), Some("z"), Some(("z", "n"))),
            (Some("PreferSameNode"), Some("n"), None, Some(("", "n"))),
            (None, Some("n"), Some("z"), None),
        ] {
            let found = hints(distribution, node, zone).map(|hints| (names(&hints.for_zones), names(&hints.for_nodes)));
            assert_eq!(found, expected.map(|(zones, nodes)| (zones.to_owned(), nodes.to_owned())), "{distribution:?}");
        }
    }
}
