//! Whether the node takes a pod: the predicates that the scheduler has checked are checked again (a pod may have been
//! assigned without it).

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::quantity::Quantity;

use crate::pod::{NodeSelectorRequirement, NodeSelectorTerm, Pod};
use crate::state::Failure;

/// What counts of the node.
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) allocatable: &'a BTreeMap<String, Quantity>,
}

/// Checks a pod against the node and the pods that are there already.
///
/// # Errors
/// The reason and message of the failed pod, in upstream's words.
pub(super) fn admit(pod: &Pod, others: &[Arc<Pod>], node: &Node<'_>) -> Result<(), Failure> {
    if pod.spec.os.as_ref().is_some_and(|os| !os.name.is_empty() && os.name != "linux") {
        let message = "Failed to admit pod as the OS field doesn't match node OS".to_owned();
        return Err(refusal("PodOSNotSupported", message));
    }
    if pod.spec.node_selector.get("kubernetes.io/os").is_some_and(|os| Some(os) != node.labels.get("kubernetes.io/os"))
    {
        let message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label".to_owned();
        return Err(refusal("PodOSSelectorNodeLabelDoesNotMatch", message));
    }
    if !selected(pod, node) {
        return Err(refusal("NodeAffinity", "Predicate NodeAffinity failed".to_owned()));
    }
    sysctls(pod)?;
    if host_ports_clash(pod, others) {
        return Err(refusal("NodePorts", "Predicate NodePorts failed".to_owned()));
    }
    let capacity = node.allocatable.get("pods").map_or(i64::MAX, Quantity::value);
    let used = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if used + 1 > capacity {
        return Err(insufficient("pods", 1, used, capacity));
    }
    let all = pod.all_containers().flat_map(|(_, container)| container.resources.requests.keys());
    // Resources of devices that the node does not know are the scheduler's business alone (upstream:
    // `removeMissingExtendedResources`).
    let further =
        all.map(String::as_str).filter(|name| name.starts_with("hugepages-") || node.allocatable.contains_key(*name));
    let mut names = vec!["cpu", "memory", "ephemeral-storage"];
    for name in further {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let amount = |quantity: Quantity| if name == "cpu" { quantity.milli_value() } else { quantity.value() };
        let requested = amount(pod.request(name));
        let used: i64 = others.iter().map(|other| amount(other.request(name))).sum();
        let Some(capacity) = node.allocatable.get(name).map(|quantity| amount(*quantity)) else { continue };
        if requested > 0 && used + requested > capacity {
            return Err(insufficient(name, requested, used, capacity));
        }
    }
    Ok(())
}

fn insufficient(resource: &str, requested: i64, used: i64, capacity: i64) -> Failure {
    let message = format!(
        "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
    );
    refusal(&format!("OutOf{resource}"), message)
}

fn refusal(reason: &str, message: String) -> Failure {
    Failure::new(reason, format!("Pod was rejected: {message}"))
}

/// Sysctls that every pod may set, each with what must not be the node's (upstream: `safeSysctls`).
const SAFE_SYSCTLS: [(&str, Shared); 12] = [
    ("kernel.shm_rmid_forced", Shared::Ipc),
    ("net.ipv4.ip_local_port_range", Shared::Network),
    ("net.ipv4.tcp_syncookies", Shared::Network),
    ("net.ipv4.ping_group_range", Shared::Network),
    ("net.ipv4.ip_unprivileged_port_start", Shared::Network),
    ("net.ipv4.ip_local_reserved_ports", Shared::Network),
    ("net.ipv4.tcp_keepalive_time", Shared::Network),
    ("net.ipv4.tcp_fin_timeout", Shared::Network),
    ("net.ipv4.tcp_keepalive_intvl", Shared::Network),
    ("net.ipv4.tcp_keepalive_probes", Shared::Network),
    ("net.ipv4.tcp_rmem", Shared::Network),
    ("net.ipv4.tcp_wmem", Shared::Network),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Ipc,
    Network,
}

fn sysctls(pod: &Pod) -> Result<(), Failure> {
    for sysctl in &pod.spec.security_context.sysctls {
        let name = sysctl.name.replace('/', ".");
        let forbidden = |why: &str| refusal("SysctlForbidden", format!("forbidden sysctl: \"{name}\" {why}"));
        match SAFE_SYSCTLS.iter().find(|(safe, _)| *safe == name) {
            None => return Err(forbidden("not allowlisted")),
            Some((_, Shared::Network)) if pod.spec.host_network => {
                return Err(forbidden("not allowed with host net enabled"));
            }
            Some((_, Shared::Ipc)) if pod.spec.host_ipc => return Err(forbidden("not allowed with host ipc enabled")),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether a port of the node that the pod wants is taken.
fn host_ports_clash(pod: &Pod, others: &[Arc<Pod>]) -> bool {
    fn ports(pod: &Pod) -> impl Iterator<Item = (&str, u16, &str)> {
        let spec = &pod.spec;
        let containers = spec.containers.iter().chain(spec.init_containers.iter().filter(|it| it.is_sidecar()));
        let ports = containers.flat_map(|container| &container.ports).filter(|port| port.host_port != 0);
        ports.map(|port| {
            let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
            let ip = if port.host_ip.is_empty() { "0.0.0.0" } else { port.host_ip.as_str() };
            (protocol, port.host_port, ip)
        })
    }
    let meets = |(protocol, port, ip): (&str, u16, &str), other: (&str, u16, &str)| {
        protocol == other.0 && port == other.1 && (ip == other.2 || ip == "0.0.0.0" || other.2 == "0.0.0.0")
    };
    ports(pod).any(|wanted| others.iter().any(|other| ports(other).any(|taken| meets(wanted, taken))))
}

/// Whether the node has room for a pod that changes its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// Others would have to leave first.
    NotNow(String),
    /// The node is too small.
    Never(String),
}

/// Checks the resources of a resized pod; `others` are without it.
pub(super) fn fits(pod: &Pod, others: &[Arc<Pod>], allocatable: &BTreeMap<String, Quantity>) -> Fit {
    for name in ["cpu", "memory"] {
        let amount = |quantity: Quantity| if name == "cpu" { quantity.milli_value() } else { quantity.value() };
        let Some(capacity) = allocatable.get(name).map(|quantity| amount(*quantity)) else { continue };
        let requested = amount(pod.request(name));
        if requested > capacity {
            let text =
                format!("Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}");
            return Fit::Never(text);
        }
        let used: i64 = others.iter().map(|other| amount(other.request(name))).sum();
        if requested + used > capacity {
            let text = format!(
                "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
            );
            return Fit::NotNow(text);
        }
    }
    Fit::Yes
}

fn selected(pod: &Pod, node: &Node<'_>) -> bool {
    let selector = &pod.spec.node_selector;
    if !selector.iter().all(|(key, value)| node.labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| required.node_selector_terms.iter().any(|term| term_matches(term, node)))
}

fn term_matches(term: &NodeSelectorTerm, node: &Node<'_>) -> bool {
    let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
    let labels = |requirement: &NodeSelectorRequirement| {
        holds(requirement, node.labels.get(&requirement.key).map(String::as_str))
    };
    let fields = |requirement: &NodeSelectorRequirement| {
        holds(requirement, Some(node.name).filter(|_| requirement.key == "metadata.name"))
    };
    !empty && term.match_expressions.iter().all(labels) && term.match_fields.iter().all(fields)
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let listed = || value.is_some_and(|value| requirement.values.iter().any(|wanted| wanted == value));
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = || requirement.values.first().and_then(|bound| number(bound));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((value.and_then(number), bound()), (Some(value), Some(bound)) if value > bound),
        "Lt" => matches!((value.and_then(number), bound()), (Some(value), Some(bound)) if value < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    #[track_caller]
    fn check(spec: &str, expected: &str) {
        let labels = [("disk".to_owned(), "ssd".to_owned()), ("gen".to_owned(), "4".to_owned())].into();
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        let allocatable = [
            ("cpu".to_owned(), quantity("1")),
            ("memory".to_owned(), quantity("1Gi")),
            ("pods".to_owned(), quantity("2")),
        ]
        .into();
        let node = Node { name: "n1", labels: &labels, allocatable: &allocatable };
        let other = Arc::new(pod(
            "spec: {containers: [{name: a, resources: {requests: {cpu: 100m}}, ports: [{hostPort: 8080, hostIP: 10.0.0.1}]}]}",
        ));
        let result = admit(&pod(&format!("spec: {{{spec}}}")), &[other], &node);
        assert_eq!(
            result.err().map_or("ok".to_owned(), |failure| format!("{}: {}", failure.reason, failure.message)),
            expected
        );
    }

    #[test]
    fn resized_pods_fit_now_later_or_never() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        let allocatable = [("cpu".to_owned(), quantity("1"))].into();
        let of =
            |cpu: &str| pod(&format!("spec: {{containers: [{{name: a, resources: {{requests: {{cpu: {cpu}}}}}}}]}}"));
        let others = [Arc::new(of("300m"))];
        assert_eq!(fits(&of("700m"), &others, &allocatable), Fit::Yes);
        let text = "Node didn't have enough resource: cpu, requested: 800, used: 300, capacity: 1000";
        assert_eq!(fits(&of("800m"), &others, &allocatable), Fit::NotNow(text.to_owned()));
        let text = "Node didn't have enough capacity: cpu, requested: 2000, capacity: 1000";
        assert_eq!(fits(&of("2"), &others, &allocatable), Fit::Never(text.to_owned()));
    }

    #[test]
    fn predicates() {
        check("containers: [{name: a}]", "ok");
        check(
            "containers: [{name: a, resources: {requests: {cpu: 950m}}}]",
            "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu, requested: 950, used: 100, capacity: 1000",
        );
        check("containers: [{name: a, resources: {requests: {cpu: 900m}}}]", "ok");
        check("nodeSelector: {disk: ssd}", "ok");
        check("containers: [{name: a, ports: [{hostPort: 80}]}]", "ok");
        check("containers: [{name: a, ports: [{hostPort: 8080, hostIP: 10.0.0.2}]}]", "ok");
        check("containers: [{name: a, ports: [{hostPort: 8080, protocol: UDP}]}]", "ok");
        check(
            "containers: [{name: a, ports: [{hostPort: 8080}]}]",
            "NodePorts: Pod was rejected: Predicate NodePorts failed",
        );
        check(
            "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}",
            "SysctlForbidden: Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted",
        );
        check("securityContext: {sysctls: [{name: net/ipv4/tcp_syncookies, value: '1'}]}", "ok");
        check(
            "hostNetwork: true, securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}]}",
            "SysctlForbidden: Pod was rejected: forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host net enabled",
        );
        let refused = "NodeAffinity: Pod was rejected: Predicate NodeAffinity failed";
        check("nodeSelector: {disk: hdd}", refused);
        let affinity = |term: &str| {
            format!(
                "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{{term}}}]}}}}}}"
            )
        };
        check(&affinity("matchExpressions: [{key: disk, operator: In, values: [hdd, ssd]}]"), "ok");
        check(&affinity("matchExpressions: [{key: gen, operator: Gt, values: ['3']}]"), "ok");
        check(&affinity("matchExpressions: [{key: gen, operator: DoesNotExist}]"), refused);
        check(&affinity("matchFields: [{key: metadata.name, operator: In, values: [n1]}]"), "ok");
        check(&affinity("matchFields: [{key: metadata.name, operator: In, values: [n2]}]"), refused);
    }
}
