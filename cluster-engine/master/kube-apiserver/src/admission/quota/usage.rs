//! What an object uses of each countable resource (`pkg/quota/v1/evaluator`).

use std::collections::BTreeMap;

use drydock_api::meta;
use drydock_api::quantity::{Format, Quantity};
use serde_json::Value;

use super::Operation;
use crate::registry::Read as _;
use crate::row::Resource;

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// Amounts in a JSON map.
pub(super) fn amounts(map: Option<&Value>) -> Amounts {
    map.and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), Quantity::from_value(value).ok()?)))
        .collect()
}

pub(super) fn plus(a: &Amounts, b: &Amounts) -> Amounts {
    let mut sum = a.clone();
    for (key, amount) in b {
        let entry = sum.entry(key.clone()).or_insert(Quantity::ZERO);
        *entry = entry.add(*amount);
    }
    sum
}

pub(super) fn minus(a: &Amounts, b: &Amounts) -> Amounts {
    a.iter().map(|(key, amount)| (key.clone(), b.get(key).map_or(*amount, |less| amount.sub(*less)))).collect()
}

fn one() -> Quantity {
    Quantity::new(1, Format::DecimalSi)
}

fn count(number: usize) -> Quantity {
    Quantity::new(i64::try_from(number).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// How objects of one kind are counted.
pub(super) struct Evaluator {
    pub(super) kind: Kind,
    /// `count/pods`, `count/deployments.apps`.
    object: String,
    /// The older name of the count: `pods`, `secrets`.
    alias: Option<&'static str>,
}

/// Kinds that use more than their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pod,
    Service,
    Claim,
    Other,
}

impl Evaluator {
    pub(super) fn of(row: &'static Resource) -> Self {
        let kind = match (row.group, row.plural) {
            ("", "pods") => Kind::Pod,
            ("", "services") => Kind::Service,
            ("", "persistentvolumeclaims") => Kind::Claim,
            _ => Kind::Other,
        };
        let alias = (row.group.is_empty()
            && matches!(row.plural, "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets"))
        .then_some(row.plural);
        let object = if row.group.is_empty() {
            format!("count/{}", row.plural)
        } else {
            format!("count/{}.{}", row.plural, row.group)
        };
        Self { kind, object, alias }
    }

    /// Whether the operation can use more than before.
    pub(super) fn handles(&self, operation: Operation, subresource: &str) -> bool {
        match (operation, self.kind) {
            (Operation::Create, _) => subresource.is_empty(),
            (Operation::Update, Kind::Pod) => subresource == "resize",
            (Operation::Update, Kind::Service | Kind::Claim) => subresource.is_empty(),
            _ => false,
        }
    }

    /// Those of a quota's resources that this kind uses.
    pub(super) fn matching<'a>(&self, hard: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
        hard.map(String::as_str).filter(|name| self.tracks(name)).collect()
    }

    fn tracks(&self, name: &str) -> bool {
        if name == self.object || self.alias == Some(name) {
            return true;
        }
        match self.kind {
            Kind::Pod => {
                matches!(
                    name,
                    "cpu"
                        | "memory"
                        | "ephemeral-storage"
                        | "requests.cpu"
                        | "requests.memory"
                        | "requests.ephemeral-storage"
                        | "limits.cpu"
                        | "limits.memory"
                        | "limits.ephemeral-storage"
                        | "pods"
                ) || name.starts_with("hugepages-")
                    || name.starts_with("requests.hugepages-")
                    || name.strip_prefix("requests.").is_some_and(is_extended)
            }
            Kind::Service => matches!(name, "services" | "services.nodeports" | "services.loadbalancers"),
            Kind::Claim => {
                matches!(name, "persistentvolumeclaims" | "requests.storage")
                    || name.ends_with(".storageclass.storage.k8s.io/requests.storage")
                    || name.ends_with(".storageclass.storage.k8s.io/persistentvolumeclaims")
            }
            Kind::Other => false,
        }
    }

    /// What an object uses.
    pub(super) fn usage(&self, object: &Value) -> Amounts {
        let mut used = Amounts::from([(self.object.clone(), one())]);
        if let Some(alias) = self.alias {
            used.insert(alias.to_owned(), one());
        }
        match self.kind {
            Kind::Pod if is_running(object) => {
                used.extend(compute(&pod_amounts(object, "requests"), &pod_amounts(object, "limits")));
                used.insert("pods".to_owned(), one());
            }
            Kind::Service => used.extend(service(object)),
            Kind::Claim => used.extend(claim(object)),
            Kind::Pod | Kind::Other => {}
        }
        used
    }
}

/// An extended resource's name has a domain that is not Kubernetes' own.
fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

/// A finished pod uses no compute resources any more.
fn is_running(pod: &Value) -> bool {
    !matches!(pod.text("status.phase"), "Succeeded" | "Failed")
}

/// podComputeUsageHelper: the names under which quotas know requests and limits.
pub(super) fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::new();
    for (name, amount) in requests {
        match name.as_str() {
            "cpu" | "memory" | "ephemeral-storage" => {
                used.insert(name.clone(), *amount);
                used.insert(format!("requests.{name}"), *amount);
            }
            huge if huge.starts_with("hugepages-") => {
                used.insert(name.clone(), *amount);
                used.insert(format!("requests.{name}"), *amount);
            }
            extended if is_extended(extended) => {
                used.insert(format!("requests.{name}"), *amount);
            }
            _ => {}
        }
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(amount) = limits.get(name) {
            used.insert(format!("limits.{name}"), *amount);
        }
    }
    used
}

/// PodRequests and PodLimits: containers and sidecars together, or the largest init container; pod-level amounts win.
fn pod_amounts(pod: &Value, side: &str) -> Amounts {
    let spec = pod.at("spec");
    let of = |container: &Value| amounts(Some(container.at("resources").at(side)));
    let mut total = Amounts::new();
    for container in spec.items("containers") {
        total = plus(&total, &of(container));
    }
    let (mut sidecars, mut largest) = (Amounts::new(), Amounts::new());
    for container in spec.items("initContainers") {
        let own = if container.text("restartPolicy") == "Always" {
            sidecars = plus(&sidecars, &of(container));
            sidecars.clone()
        } else {
            plus(&sidecars, &of(container))
        };
        for (key, amount) in own {
            let entry = largest.entry(key).or_insert(amount);
            *entry = (*entry).max(amount);
        }
    }
    total = plus(&total, &sidecars);
    for (key, amount) in largest {
        let entry = total.entry(key).or_insert(amount);
        *entry = (*entry).max(amount);
    }
    total.extend(amounts(Some(spec.at("resources").at(side))));
    let overhead = amounts(Some(spec.at("overhead")));
    for (key, amount) in overhead {
        match total.get_mut(&key) {
            Some(entry) => *entry = entry.add(amount),
            None if side == "requests" => {
                total.insert(key, amount);
            }
            None => {}
        }
    }
    total
}

fn service(object: &Value) -> Amounts {
    let ports = object.items("spec.ports");
    let mut used = Amounts::from([("services".to_owned(), one())]);
    let (nodeports, balancers) = match object.text("spec.type") {
        "NodePort" => (ports.len(), 0),
        "LoadBalancer" if object.at("spec.allocateLoadBalancerNodePorts").as_bool() != Some(false) => (ports.len(), 1),
        "LoadBalancer" => (ports.iter().filter(|port| port.int("nodePort").unwrap_or(0) != 0).count(), 1),
        _ => (0, 0),
    };
    used.insert("services.nodeports".to_owned(), count(nodeports));
    used.insert("services.loadbalancers".to_owned(), count(balancers));
    used
}

fn claim(object: &Value) -> Amounts {
    let class = meta::annotation(object, "volume.beta.kubernetes.io/storage-class")
        .unwrap_or_else(|| object.text("spec.storageClassName"));
    let mut used = Amounts::from([("persistentvolumeclaims".to_owned(), one())]);
    if !class.is_empty() {
        used.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), one());
    }
    if let Some(size) = amounts(Some(object.at("spec.resources.requests"))).get("storage") {
        used.insert("requests.storage".to_owned(), *size);
        if !class.is_empty() {
            used.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), *size);
        }
    }
    used
}
