//! What a namespace uses of what a quota limits (upstream: `pkg/quota/v1/evaluator`).

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::quantity::{Format, Quantity};
use drydock_client::types::{Container, Pod, Service, StringMap};

use crate::kinds::{Claim, Quota};

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

fn parsed(list: &StringMap) -> Amounts {
    list.iter().filter_map(|(name, text)| Some((name.clone(), Quantity::parse(text).ok()?))).collect()
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let slot = to.entry(name.clone()).or_insert(Quantity::ZERO);
        *slot = slot.add(*amount);
    }
}

fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let slot = to.entry(name.clone()).or_insert(*amount);
        *slot = (*slot).max(*amount);
    }
}

fn number(count: usize) -> Quantity {
    Quantity::new(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// What a namespace holds, as far as quotas look at it.
#[derive(Default)]
pub(super) struct Holdings {
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) claims: Vec<Arc<Claim>>,
    /// How many objects there are of other kinds, by `configmaps` or `deployments.apps`.
    pub(super) counts: BTreeMap<String, usize>,
}

/// The kind whose number a resource name limits, as `secrets` or `deployments.apps`; `None` for amounts.
pub(super) fn counted(name: &str) -> Option<&str> {
    match name {
        "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets" => Some(name),
        _ => name.strip_prefix("count/"),
    }
}

/// What the quota should say is used.
pub(super) fn used(quota: &Quota, there: &Holdings) -> StringMap {
    let mut total = Amounts::new();
    for pod in there.pods.iter().filter(|pod| scopes(quota).all(|scope| pod_matches(&scope, pod))) {
        add(&mut total, &of_pod(pod));
    }
    // Nothing but pods falls under a scope here.
    let is_open = scopes(quota).next().is_none();
    if is_open {
        there.services.iter().for_each(|service| add(&mut total, &of_service(service)));
        there.claims.iter().for_each(|claim| add(&mut total, &of_claim(claim)));
    }
    let mut used = StringMap::new();
    for name in quota.spec.hard.keys() {
        let amount = match counted(name) {
            Some("pods" | "services" | "persistentvolumeclaims") | None => {
                if !is_amount(name) && counted(name).is_none() {
                    continue;
                }
                total.get(name).copied().unwrap_or(Quantity::ZERO)
            }
            Some(kind) => match there.counts.get(kind) {
                Some(count) if is_open => number(*count),
                Some(_) => Quantity::ZERO,
                // A kind that is not served: nothing can be said.
                None => continue,
            },
        };
        used.insert(name.clone(), amount.to_string());
    }
    used
}

/// Whether a name is that of an amount which pods, services or claims use.
fn is_amount(name: &str) -> bool {
    let base = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    matches!(
        name,
        "pods"
            | "services"
            | "services.nodeports"
            | "services.loadbalancers"
            | "persistentvolumeclaims"
            | "requests.storage"
    ) || matches!(base, "cpu" | "memory" | "ephemeral-storage")
        || base.starts_with("hugepages-")
        || name.ends_with(".storageclass.storage.k8s.io/requests.storage")
        || name.ends_with(".storageclass.storage.k8s.io/persistentvolumeclaims")
        || (name.starts_with("requests.") && is_extended(base))
}

fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

fn of_pod(pod: &Pod) -> Amounts {
    let mut used = Amounts::from([("count/pods".to_owned(), number(1))]);
    if pod.is_terminal() {
        return used;
    }
    used.insert("pods".to_owned(), number(1));
    for (name, amount) in total(pod, |container| &container.resources.requests, true) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(format!("requests.{name}"), amount);
            used.insert(name, amount);
        } else if is_extended(&name) {
            used.insert(format!("requests.{name}"), amount);
        }
    }
    for (name, amount) in total(pod, |container| &container.resources.limits, false) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount);
        }
    }
    used
}

/// Containers and sidecars together, or the largest init container; what the pod says as a whole wins.
fn total(pod: &Pod, of: fn(&Container) -> &StringMap, are_requests: bool) -> Amounts {
    let mut sum = Amounts::new();
    for container in &pod.spec.containers {
        add(&mut sum, &parsed(of(container)));
    }
    let (mut sidecars, mut largest) = (Amounts::new(), Amounts::new());
    for container in &pod.spec.init_containers {
        let own = parsed(of(container));
        let mut moment = sidecars.clone();
        add(&mut moment, &own);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = moment.clone();
        }
        raise(&mut largest, &moment);
    }
    add(&mut sum, &sidecars);
    raise(&mut sum, &largest);
    if let Some(whole) = &pod.spec.resources {
        sum.extend(parsed(if are_requests { &whole.requests } else { &whole.limits }));
    }
    for (name, amount) in parsed(&pod.spec.overhead) {
        if are_requests || sum.contains_key(&name) {
            let slot = sum.entry(name).or_insert(Quantity::ZERO);
            *slot = slot.add(amount);
        }
    }
    sum
}

fn of_service(service: &Service) -> Amounts {
    let ports = service.spec.ports.len();
    let assigned = service.spec.ports.iter().filter(|port| port.node_port != 0).count();
    let (nodeports, balancers) = match service.spec.kind.as_str() {
        "NodePort" => (ports, 0),
        // Without node ports of its own only those count that were asked for by number.
        "LoadBalancer" => (assigned, 1),
        _ => (0, 0),
    };
    Amounts::from([
        ("count/services".to_owned(), number(1)),
        ("services".to_owned(), number(1)),
        ("services.nodeports".to_owned(), number(nodeports)),
        ("services.loadbalancers".to_owned(), number(balancers)),
    ])
}

fn of_claim(claim: &Claim) -> Amounts {
    let mut used = Amounts::from([
        ("count/persistentvolumeclaims".to_owned(), number(1)),
        ("persistentvolumeclaims".to_owned(), number(1)),
    ]);
    let class = claim.class();
    if !class.is_empty() {
        used.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), number(1));
    }
    if let Some(size) = parsed(&claim.spec.resources.requests).get("storage") {
        used.insert("requests.storage".to_owned(), *size);
        if !class.is_empty() {
            used.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), *size);
        }
    }
    used
}

struct Scope<'a> {
    name: &'a str,
    operator: &'a str,
    values: &'a [String],
}

fn scopes(quota: &Quota) -> impl Iterator<Item = Scope<'_>> {
    let plain = quota.spec.scopes.iter().map(|name| Scope { name, operator: "Exists", values: &[] });
    let selected = quota
        .spec
        .scope_selector
        .iter()
        .flat_map(|selector| &selector.match_expressions)
        .map(|term| Scope { name: &term.scope_name, operator: &term.operator, values: &term.values });
    plain.chain(selected)
}

fn pod_matches(scope: &Scope<'_>, pod: &Pod) -> bool {
    let is_terminating = pod.spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    let class = &pod.spec.priority_class_name;
    match scope.name {
        "Terminating" => is_terminating,
        "NotTerminating" => !is_terminating,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => match scope.operator {
            "In" => scope.values.contains(class),
            "NotIn" => !scope.values.contains(class),
            "DoesNotExist" => class.is_empty(),
            _ => !class.is_empty(),
        },
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

/// No container asks for cpu or memory, or limits them.
fn is_best_effort(pod: &Pod) -> bool {
    let says = |list: &StringMap| {
        ["cpu", "memory"].iter().any(|name| {
            list.get(*name).and_then(|text| Quantity::parse(text).ok()).is_some_and(|amount| !amount.is_zero())
        })
    };
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers).map(|container| &container.resources);
    let whole = pod.spec.resources.iter().map(|whole| &**whole);
    !containers.chain(whole).any(|resources| says(&resources.requests) || says(&resources.limits))
}

fn crosses_namespaces(pod: &Pod) -> bool {
    let Some(affinity) = &pod.spec.affinity else { return false };
    let sides = affinity.pod_affinity.iter().chain(&affinity.pod_anti_affinity);
    sides
        .flat_map(|side| {
            let wishes = side.preferred_during_scheduling_ignored_during_execution.iter();
            let required = side.required_during_scheduling_ignored_during_execution.iter();
            required.chain(wishes.map(|wish| &wish.pod_affinity_term))
        })
        .any(|term| !term.namespaces.is_empty() || term.namespace_selector.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holdings() -> Holdings {
        let pod = |value| -> Arc<Pod> { Arc::new(serde_json::from_value(value).unwrap()) };
        let busy = json!({"resources": {"requests": {"cpu": "100m", "memory": "64Mi", "example.com/gpu": "2"}, "limits": {"cpu": "1"}}});
        let init = json!({"resources": {"requests": {"cpu": "500m"}}});
        Holdings {
            pods: vec![
                pod(json!({"spec": {"containers": [busy], "initContainers": [init]}})),
                pod(json!({"spec": {"containers": [{}], "activeDeadlineSeconds": 5, "priorityClassName": "high"}})),
                pod(json!({"spec": {"containers": [busy]}, "status": {"phase": "Succeeded"}})),
            ],
            services: vec![
                Arc::new(
                    serde_json::from_value(json!({"spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}))
                        .unwrap(),
                ),
                Arc::new(
                    serde_json::from_value(json!({"spec": {"type": "ClusterIP", "ports": [{"port": 1}]}})).unwrap(),
                ),
            ],
            claims: vec![Arc::new(
                serde_json::from_value(
                    json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}}),
                )
                .unwrap(),
            )],
            counts: BTreeMap::from([("secrets".to_owned(), 3), ("deployments.apps".to_owned(), 0)]),
        }
    }

    #[track_caller]
    fn check(spec: serde_json::Value, expected: serde_json::Value) {
        let quota: Quota = serde_json::from_value(json!({"spec": spec})).unwrap();
        assert_eq!(json!(used(&quota, &holdings())), expected);
    }

    #[test]
    fn what_is_used_of_what_is_limited() {
        check(
            json!({"hard": {"pods": "9", "count/pods": "9", "cpu": "9", "requests.cpu": "9", "limits.cpu": "9",
                "requests.memory": "9", "requests.example.com/gpu": "9", "limits.memory": "9"}}),
            json!({"pods": "2", "count/pods": "3", "cpu": "500m", "requests.cpu": "500m", "limits.cpu": "1",
                "requests.memory": "64Mi", "requests.example.com/gpu": "2", "limits.memory": "0"}),
        );
        check(
            json!({"hard": {"services": "9", "services.nodeports": "9", "services.loadbalancers": "9", "secrets": "9",
                "count/deployments.apps": "9", "count/unknown.example.com": "9", "nonsense": "9"}}),
            json!({"services": "2", "services.nodeports": "2", "services.loadbalancers": "0", "secrets": "3",
                "count/deployments.apps": "0"}),
        );
        check(
            json!({"hard": {"persistentvolumeclaims": "9", "requests.storage": "9Gi",
                "fast.storageclass.storage.k8s.io/requests.storage": "9Gi",
                "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "1"}}),
            json!({"persistentvolumeclaims": "1", "requests.storage": "2Gi",
                "fast.storageclass.storage.k8s.io/requests.storage": "2Gi",
                "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}),
        );
    }

    #[test]
    fn scopes_pick_pods() {
        for (scope, pods) in
            [("Terminating", "1"), ("NotTerminating", "1"), ("BestEffort", "1"), ("NotBestEffort", "1")]
        {
            check(json!({"hard": {"pods": "9"}, "scopes": [scope]}), json!({"pods": pods}));
        }
        let by_class = |operator: &str, values: serde_json::Value| {
            json!({"hard": {"pods": "9"}, "scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
        };
        check(by_class("In", json!(["high"])), json!({"pods": "1"}));
        check(by_class("In", json!(["low"])), json!({"pods": "0"}));
        check(by_class("Exists", json!([])), json!({"pods": "1"}));
    }
}
