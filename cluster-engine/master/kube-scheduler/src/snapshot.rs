//! What the scheduler knows of the cluster: nodes with the pods on them, and what else decides.
//!
//! It is kept up to date by events and is plain data, so that scheduling is a function of it and
//! preemption can try things out on a copy.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use drydock_api::meta::LabelSelector;
use drydock_api::selector::{Operator, Requirement, Selector};
use drydock_client::types::{Node, Pod, PodAffinityTerm, StringMap};

use crate::resources::{Amounts, pod_requests, pod_requests_for_scoring};
use crate::volumes::Volumes;

/// A pod with everything that is read of it again and again worked out.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it asks for.
    pub requests: Amounts,
    /// The same for scoring, with defaults.
    pub scoring_requests: Amounts,
    /// Pods it must be near.
    pub affinity: Vec<Term>,
    /// Pods it must be away from.
    pub anti_affinity: Vec<Term>,
    /// Pods it should be near, with weights.
    pub preferred_affinity: Vec<(i64, Term)>,
    /// Pods it should be away from, with weights.
    pub preferred_anti_affinity: Vec<(i64, Term)>,
}

/// A compiled pod affinity term.
#[derive(Clone, Debug)]
pub struct Term {
    /// Namespaces by name.
    pub namespaces: Vec<String>,
    /// Namespaces by label.
    pub namespace_selector: Selector,
    /// Which pods.
    pub selector: Selector,
    /// The node label that says what near is.
    pub topology_key: String,
}

impl Term {
    fn new(owner: &Pod, term: &PodAffinityTerm) -> Term {
        let mut namespaces = term.namespaces.clone();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(owner.metadata.namespace.clone());
        }
        let mut selector = Selector::from_typed(term.label_selector.as_ref()).unwrap_or_else(|_| Selector::nothing());
        selector = with_label_keys(selector, &term.match_label_keys, &owner.metadata.labels, Operator::In);
        selector = with_label_keys(selector, &term.mismatch_label_keys, &owner.metadata.labels, Operator::NotIn);
        Term {
            namespaces,
            namespace_selector: Selector::from_typed(term.namespace_selector.as_ref())
                .unwrap_or_else(|_| Selector::nothing()),
            selector,
            topology_key: term.topology_key.clone(),
        }
    }

    /// Whether `pod` is one of the pods that the term is about.
    pub fn matches(&self, pod: &Pod, snapshot: &Snapshot) -> bool {
        let namespace = &pod.metadata.namespace;
        let in_namespace = self.namespaces.contains(namespace)
            || (!self.namespace_selector.is_nothing()
                && snapshot
                    .namespaces
                    .get(namespace)
                    .is_some_and(|labels| self.namespace_selector.matches_map(labels)));
        in_namespace && self.selector.matches_map(&pod.metadata.labels)
    }
}

/// `selector` and, for each key that `labels` has, equality (or inequality) with its value there.
pub(crate) fn with_label_keys(selector: Selector, keys: &[String], labels: &StringMap, operator: Operator) -> Selector {
    if keys.is_empty() || selector.is_nothing() {
        return selector;
    }
    let mut requirements = selector.requirements().to_vec();
    for key in keys {
        if let Some(value) = labels.get(key)
            && let Ok(requirement) = Requirement::new(key, operator, vec![value.clone()])
        {
            requirements.push(requirement);
        }
    }
    Selector::from_requirements(requirements)
}

impl PodInfo {
    /// Works everything out.
    pub fn new(pod: Arc<Pod>) -> PodInfo {
        let affinity = pod.spec.affinity.as_deref();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let away = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let required = |rules: Option<&drydock_client::types::PodAffinity>| -> Vec<Term> {
            rules.map_or_else(Vec::new, |rules| {
                rules
                    .required_during_scheduling_ignored_during_execution
                    .iter()
                    .map(|term| Term::new(&pod, term))
                    .collect()
            })
        };
        let preferred = |rules: Option<&drydock_client::types::PodAffinity>| -> Vec<(i64, Term)> {
            rules.map_or_else(Vec::new, |rules| {
                rules
                    .preferred_during_scheduling_ignored_during_execution
                    .iter()
                    .map(|wish| (i64::from(wish.weight), Term::new(&pod, &wish.pod_affinity_term)))
                    .collect()
            })
        };
        PodInfo {
            requests: pod_requests(&pod),
            scoring_requests: pod_requests_for_scoring(&pod),
            affinity: required(near),
            anti_affinity: required(away),
            preferred_affinity: preferred(near),
            preferred_anti_affinity: preferred(away),
            pod,
        }
    }

    /// The pod's uid.
    pub fn uid(&self) -> &str {
        &self.pod.metadata.uid
    }

    /// The pod's priority; 0 if it has none.
    pub fn priority(&self) -> i32 {
        self.pod.spec.priority.unwrap_or_default()
    }
}

/// A node with the pods that are bound to it or about to be.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The node; its name is empty while only pods of it are known.
    pub node: Arc<Node>,
    /// Its pods.
    pub pods: Vec<Arc<PodInfo>>,
    /// What they ask for together.
    pub requested: Amounts,
    /// The same for scoring.
    pub scoring_requested: Amounts,
    /// What pods may have.
    pub allocatable: Amounts,
}

impl NodeInfo {
    /// A node without pods.
    pub fn new(node: Arc<Node>) -> NodeInfo {
        NodeInfo { allocatable: Amounts::from_map(&node.status.allocatable), node, ..NodeInfo::default() }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.node.metadata.name
    }

    /// The value of the node's label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.node.metadata.labels.get(key).map(String::as_str)
    }

    /// Counts a pod in.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.requested.add(&pod.requests);
        self.scoring_requested.add(&pod.scoring_requests);
        self.pods.push(pod);
    }

    /// Counts a pod out.
    pub fn remove_pod(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let at = self.pods.iter().position(|pod| pod.uid() == uid)?;
        let pod = self.pods.remove(at);
        self.requested.sub(&pod.requests);
        self.scoring_requested.sub(&pod.scoring_requests);
        Some(pod)
    }
}

/// What the scheduler knows of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    nodes: BTreeMap<String, NodeInfo>,
    /// On which node each counted pod is, by uid.
    placed: HashMap<String, String>,
    /// Pods that wait for room to be made on a node, by uid.
    nominated: HashMap<String, (String, Arc<PodInfo>)>,
    /// Labels of the namespaces.
    pub namespaces: BTreeMap<String, StringMap>,
    /// Claims, volumes and classes.
    pub volumes: Volumes,
    /// Disruption budgets by namespace and name.
    pub budgets: BTreeMap<(String, String), Budget>,
    /// Selectors of services and workloads, by namespace: what counts as "the same" for default spreading.
    pub selectors: BTreeMap<String, BTreeMap<String, Selected>>,
}

/// How many of some pods may be missing.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Which pods.
    pub selector: Selector,
    /// How many more may leave now.
    pub allowed: i32,
}

/// Pods that a service or workload stands for.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Services select by any pod; workloads only the pods they control.
    pub controller_uid: Option<String>,
    /// The selector.
    pub selector: Selector,
}

impl Selected {
    /// A workload's pods.
    pub fn workload(uid: &str, selector: Option<&LabelSelector>) -> Selected {
        Selected {
            controller_uid: Some(uid.to_owned()),
            selector: Selector::from_typed(selector).unwrap_or_else(|_| Selector::nothing()),
        }
    }
}

impl Snapshot {
    /// The nodes, in order of their names.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> + Clone {
        self.nodes.values().filter(|info| !info.name().is_empty())
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes().count()
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.get(name).filter(|info| !info.name().is_empty())
    }

    /// Adds or changes a node.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let info = self.nodes.entry(node.metadata.name.clone()).or_default();
        info.allocatable = Amounts::from_map(&node.status.allocatable);
        info.node = node;
    }

    /// Forgets a node; its pods stay counted until they are gone too.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(info) = self.nodes.get_mut(name) {
            if info.pods.is_empty() {
                self.nodes.remove(name);
            } else {
                info.node = Arc::default();
                info.allocatable = Amounts::default();
            }
        }
    }

    /// Counts a pod on the node it is bound to (or `node` while the binding is under way), in place of
    /// what was counted for it before.
    pub fn place(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.remove_pod(pod.uid());
        self.placed.insert(pod.uid().to_owned(), node.to_owned());
        self.nodes.entry(node.to_owned()).or_default().add_pod(pod);
    }

    /// Forgets a pod.
    pub fn remove_pod(&mut self, uid: &str) {
        self.nominated.remove(uid);
        let Some(name) = self.placed.remove(uid) else { return };
        if let Some(info) = self.nodes.get_mut(&name) {
            info.remove_pod(uid);
            if info.pods.is_empty() && info.name().is_empty() {
                self.nodes.remove(&name);
            }
        }
    }

    /// Where a pod is counted.
    pub fn placed_on(&self, uid: &str) -> Option<&str> {
        self.placed.get(uid).map(String::as_str)
    }

    /// Notes that room is being made for a pod; an empty node takes the note back.
    pub fn nominate(&mut self, pod: Arc<PodInfo>, node: &str) {
        if node.is_empty() {
            self.nominated.remove(pod.uid());
        } else {
            self.nominated.insert(pod.uid().to_owned(), (node.to_owned(), pod));
        }
    }

    /// The snapshot as it will be once the nominated pods that go before `pod` have their room; `None`
    /// if there are none.
    pub fn with_nominated(&self, pod: &PodInfo) -> Option<Snapshot> {
        let ahead: Vec<_> = self
            .nominated
            .values()
            .filter(|(node, other)| {
                other.uid() != pod.uid() && other.priority() >= pod.priority() && self.nodes.contains_key(node)
            })
            .cloned()
            .collect();
        if ahead.is_empty() {
            return None;
        }
        let mut copy = self.clone();
        for (node, other) in ahead {
            copy.place(other, &node);
        }
        Some(copy)
    }

    /// Pods nominated to `node`.
    pub fn nominated_to(&self, node: &str) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.nominated.values().filter(move |(name, _)| name == node).map(|(_, pod)| pod)
    }
}
