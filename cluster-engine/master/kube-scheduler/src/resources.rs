//! What pods ask for and what nodes have, as numbers.

use std::collections::BTreeMap;

use drydock_api::quantity::Quantity;
use drydock_client::types::{Container, Pod, StringMap};

/// What scoring counts for a container without a cpu request, in thousandths of a core.
const DEFAULT_MILLI_CPU: i64 = 100;
/// What scoring counts for a container without a memory request, in bytes.
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Pods; only nodes have this.
    pub pods: i64,
    /// Extended resources and huge pages by name.
    pub others: BTreeMap<String, i64>,
}

impl Amounts {
    /// Reads a resource list; quantities that do not parse count as nothing (the API server lets none in).
    pub fn from_map(list: &StringMap) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, text) in list {
            let Ok(quantity) = Quantity::parse(text) else { continue };
            match name.as_str() {
                "cpu" => amounts.milli_cpu = quantity.milli_value(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.ephemeral_storage = quantity.value(),
                "pods" => amounts.pods = quantity.value(),
                _ if is_scheduled(name) => {
                    amounts.others.insert(name.clone(), quantity.value());
                }
                _ => {}
            }
        }
        amounts
    }

    /// Adds each amount.
    pub fn add(&mut self, other: &Amounts) {
        self.merge(other, i64::saturating_add);
    }

    /// Takes each amount away.
    pub fn sub(&mut self, other: &Amounts) {
        self.merge(other, i64::saturating_sub);
    }

    /// The larger of each amount.
    pub fn max(&mut self, other: &Amounts) {
        self.merge(other, i64::max);
    }

    fn merge(&mut self, other: &Amounts, join: fn(i64, i64) -> i64) {
        self.milli_cpu = join(self.milli_cpu, other.milli_cpu);
        self.memory = join(self.memory, other.memory);
        self.ephemeral_storage = join(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.others {
            let slot = self.others.entry(name.clone()).or_default();
            *slot = join(*slot, *amount);
        }
    }
}

/// Extended resources (with a domain that is not kubernetes.io's) and huge pages.
fn is_scheduled(name: &str) -> bool {
    name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-")
        || (name.contains('/') && !name.starts_with("requests."))
}

/// What a pod asks for: the sum of its containers and sidecars, or what its largest init container
/// needs while it runs, plus the sandbox's overhead (upstream: `resourcehelper.PodRequests`).
pub fn pod_requests(pod: &Pod) -> Amounts {
    aggregate(pod, |container| Amounts::from_map(&container.resources.requests))
}

/// As [`pod_requests`], containers without requests counting as small ones; for scoring.
pub fn pod_requests_for_scoring(pod: &Pod) -> Amounts {
    aggregate(pod, |container| {
        let mut amounts = Amounts::from_map(&container.resources.requests);
        if !container.resources.requests.contains_key("cpu") {
            amounts.milli_cpu = DEFAULT_MILLI_CPU;
        }
        if !container.resources.requests.contains_key("memory") {
            amounts.memory = DEFAULT_MEMORY;
        }
        amounts
    })
}

fn aggregate(pod: &Pod, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut total = Amounts::default();
    for container in &pod.spec.containers {
        total.add(&of(container));
    }
    let mut sidecars = Amounts::default();
    let mut init = Amounts::default();
    for container in &pod.spec.init_containers {
        let mut needs = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&needs);
            sidecars.add(&needs);
            needs = sidecars.clone();
        } else {
            needs.add(&sidecars);
        }
        init.max(&needs);
    }
    total.max(&init);
    if let Some(whole) = &pod.spec.resources {
        // Requests of the pod as a whole replace the containers' sum.
        let stated = Amounts::from_map(&whole.requests);
        if whole.requests.contains_key("cpu") {
            total.milli_cpu = stated.milli_cpu;
        }
        if whole.requests.contains_key("memory") {
            total.memory = stated.memory;
        }
        for (name, amount) in stated.others.iter().filter(|(name, _)| name.starts_with("hugepages-")) {
            total.others.insert(name.clone(), *amount);
        }
    }
    total.add(&Amounts::from_map(&pod.spec.overhead));
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(cpu: &str, sidecar: bool) -> Container {
        let mut container = Container::default();
        if !cpu.is_empty() {
            container.resources.requests.insert("cpu".into(), cpu.into());
        }
        container.restart_policy = sidecar.then(|| "Always".to_owned());
        container
    }

    #[test]
    fn init_containers_count_by_their_largest_moment() {
        for (containers, inits, expected) in [
            (vec![container("100m", false), container("200m", false)], vec![], 300),
            (vec![container("100m", false)], vec![container("500m", false)], 500),
            // The sidecar runs beside everything after it.
            (vec![container("100m", false)], vec![container("50m", true), container("300m", false)], 350),
            (vec![container("100m", false)], vec![container("300m", false), container("50m", true)], 300),
        ] {
            let mut pod = Pod::default();
            pod.spec.containers = containers;
            pod.spec.init_containers = inits;
            assert_eq!(pod_requests(&pod).milli_cpu, expected);
        }
    }

    #[test]
    fn overhead_and_pod_level_requests_count() {
        let mut pod = Pod::default();
        pod.spec.containers = vec![container("", false)];
        pod.spec.overhead.insert("cpu".into(), "10m".into());
        assert_eq!(pod_requests(&pod).milli_cpu, 10);
        assert_eq!(pod_requests_for_scoring(&pod).milli_cpu, 110);
        let mut whole = drydock_client::types::Resources::default();
        whole.requests.insert("cpu".into(), "1".into());
        pod.spec.resources = Some(Box::new(whole));
        assert_eq!(pod_requests(&pod).milli_cpu, 1010);
    }

    #[test]
    fn only_scheduled_resources_count() {
        let list = [("example.com/gpu", "2"), ("hugepages-2Mi", "4Mi"), ("colour", "1")];
        let list = list.into_iter().map(|(name, amount)| (name.to_owned(), amount.to_owned())).collect();
        let names: Vec<_> = Amounts::from_map(&list).others.into_iter().collect();
        assert_eq!(names, [("example.com/gpu".to_owned(), 2), ("hugepages-2Mi".to_owned(), 4 << 20)]);
    }
}
