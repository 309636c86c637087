//! Builders of pods, nodes and snapshots for the tests of this crate.

use std::sync::Arc;

use drydock_api::meta::{LabelSelector, OwnerReference};
use drydock_client::types::*;

use crate::framework::{fits, schedule};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

pub(crate) struct PodBuilder(Pod);

/// A pod in namespace `default` with one container.
pub(crate) fn pod(name: &str) -> PodBuilder {
    let mut pod = Pod::default();
    pod.metadata.name = name.into();
    pod.metadata.namespace = "default".into();
    pod.metadata.uid = format!("uid-{name}");
    pod.spec.containers.push(Container { name: "main".into(), ..Container::default() });
    PodBuilder(pod)
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> NodeSelectorTerm {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let requirement = NodeSelectorRequirement { key: key.into(), operator: operator.into(), values };
    NodeSelectorTerm { match_expressions: vec![requirement], match_fields: Vec::new() }
}

fn labels(key: &str, value: &str) -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: [(key.into(), value.into())].into(), ..LabelSelector::default() })
}

fn term(topology: &str, key: &str, value: &str) -> PodAffinityTerm {
    PodAffinityTerm { topology_key: topology.into(), label_selector: labels(key, value), ..PodAffinityTerm::default() }
}

impl PodBuilder {
    fn with(mut self, change: impl FnOnce(&mut Pod)) -> Self {
        change(&mut self.0);
        self
    }

    fn affinity(self, change: impl FnOnce(&mut Affinity)) -> Self {
        self.with(|pod| change(pod.spec.affinity.get_or_insert_default()))
    }

    pub(crate) fn namespace(self, namespace: &str) -> Self {
        self.with(|pod| pod.metadata.namespace = namespace.into())
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.with(|pod| drop(pod.metadata.labels.insert(key.into(), value.into())))
    }

    pub(crate) fn on(self, node: &str) -> Self {
        self.with(|pod| pod.spec.node_name = node.into())
    }

    pub(crate) fn gate(self, name: &str) -> Self {
        self.with(|pod| pod.spec.scheduling_gates.push(SchedulingGate { name: name.into() }))
    }

    pub(crate) fn priority(self, priority: i32) -> Self {
        self.with(|pod| pod.spec.priority = Some(priority))
    }

    pub(crate) fn never_preempts(self) -> Self {
        self.with(|pod| pod.spec.preemption_policy = Some("Never".into()))
    }

    pub(crate) fn request(self, name: &str, amount: &str) -> Self {
        self.with(|pod| drop(pod.spec.containers[0].resources.requests.insert(name.into(), amount.into())))
    }

    pub(crate) fn image(self, image: &str) -> Self {
        self.with(|pod| pod.spec.containers[0].image = image.into())
    }

    pub(crate) fn host_port(self, ip: &str, port: i32, protocol: &str) -> Self {
        self.with(|pod| {
            pod.spec.containers[0].ports.push(ContainerPort {
                host_port: port,
                host_ip: ip.into(),
                protocol: protocol.into(),
                ..ContainerPort::default()
            });
        })
    }

    pub(crate) fn toleration(self, key: &str, operator: &str, value: &str, effect: &str) -> Self {
        self.with(|pod| {
            pod.spec.tolerations.push(Toleration {
                key: key.into(),
                operator: operator.into(),
                value: value.into(),
                effect: effect.into(),
                toleration_seconds: None,
            });
        })
    }

    pub(crate) fn node_selector(self, key: &str, value: &str) -> Self {
        self.with(|pod| drop(pod.spec.node_selector.insert(key.into(), value.into())))
    }

    pub(crate) fn node_affinity(self, key: &str, operator: &str, values: &[&str]) -> Self {
        self.affinity(|affinity| {
            let node = affinity.node_affinity.get_or_insert_default();
            let required = node.required_during_scheduling_ignored_during_execution.get_or_insert_default();
            required.node_selector_terms.push(requirement(key, operator, values));
        })
    }

    pub(crate) fn prefers_node(self, weight: i32, key: &str, operator: &str, values: &[&str]) -> Self {
        self.affinity(|affinity| {
            let node = affinity.node_affinity.get_or_insert_default();
            let preference = requirement(key, operator, values);
            node.preferred_during_scheduling_ignored_during_execution
                .push(PreferredSchedulingTerm { weight, preference });
        })
    }

    pub(crate) fn near(self, topology: &str, key: &str, value: &str) -> Self {
        self.affinity(|affinity| {
            let rules = affinity.pod_affinity.get_or_insert_default();
            rules.required_during_scheduling_ignored_during_execution.push(term(topology, key, value));
        })
    }

    pub(crate) fn away(self, topology: &str, key: &str, value: &str) -> Self {
        self.affinity(|affinity| {
            let rules = affinity.pod_anti_affinity.get_or_insert_default();
            rules.required_during_scheduling_ignored_during_execution.push(term(topology, key, value));
        })
    }

    pub(crate) fn prefers_near(self, weight: i32, topology: &str, key: &str, value: &str) -> Self {
        self.affinity(|affinity| {
            let rules = affinity.pod_affinity.get_or_insert_default();
            let pod_affinity_term = term(topology, key, value);
            rules
                .preferred_during_scheduling_ignored_during_execution
                .push(WeightedPodAffinityTerm { weight, pod_affinity_term });
        })
    }

    pub(crate) fn spread(self, topology: &str, max_skew: i32, otherwise: &str, key: &str, value: &str) -> Self {
        self.with(|pod| {
            pod.spec.topology_spread_constraints.push(TopologySpreadConstraint {
                max_skew,
                topology_key: topology.into(),
                when_unsatisfiable: otherwise.into(),
                label_selector: labels(key, value),
                ..TopologySpreadConstraint::default()
            });
        })
    }

    pub(crate) fn min_domains(self, count: i32) -> Self {
        self.with(|pod| {
            for constraint in &mut pod.spec.topology_spread_constraints {
                constraint.min_domains = Some(count);
            }
        })
    }

    pub(crate) fn claim(self, name: &str) -> Self {
        self.with(|pod| {
            pod.spec.volumes.push(Volume {
                name: name.into(),
                persistent_volume_claim: Some(ClaimVolume { claim_name: name.into() }),
                ..Volume::default()
            });
        })
    }

    pub(crate) fn owner(self, uid: &str) -> Self {
        self.with(|pod| {
            pod.metadata.owner_references.push(OwnerReference {
                uid: uid.into(),
                controller: Some(true),
                ..OwnerReference::default()
            });
        })
    }

    pub(crate) fn build(self) -> PodInfo {
        PodInfo::new(Arc::new(self.0))
    }
}

pub(crate) struct NodeBuilder(Node);

/// A node with 4 cores, 8 GiB and room for 110 pods.
pub(crate) fn node(name: &str) -> NodeBuilder {
    let mut node = Node::default();
    node.metadata.name = name.into();
    NodeBuilder(node).allocatable("cpu", "4").allocatable("memory", "8Gi").allocatable("pods", "110")
}

impl NodeBuilder {
    fn with(mut self, change: impl FnOnce(&mut Node)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn allocatable(self, name: &str, amount: &str) -> Self {
        self.with(|node| drop(node.status.allocatable.insert(name.into(), amount.into())))
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.with(|node| drop(node.metadata.labels.insert(key.into(), value.into())))
    }

    pub(crate) fn taint(self, key: &str, value: &str, effect: &str) -> Self {
        let taint = Taint { key: key.into(), value: value.into(), effect: effect.into(), time_added: None };
        self.with(|node| node.spec.taints.push(taint))
    }

    pub(crate) fn cordoned(self) -> Self {
        self.with(|node| node.spec.unschedulable = true)
    }

    pub(crate) fn image(self, name: &str, size_bytes: i64) -> Self {
        self.with(|node| node.status.images.push(NodeImage { names: vec![name.into()], size_bytes }))
    }
}

pub(crate) fn snapshot(nodes: Vec<NodeBuilder>, pods: Vec<(&str, PodBuilder)>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for node in nodes {
        snapshot.set_node(Arc::new(node.0));
    }
    for (node, pod) in pods {
        snapshot.place(Arc::new(pod.on(node).build()), node);
    }
    snapshot
}

pub(crate) fn info(node: NodeBuilder, pods: Vec<PodBuilder>) -> NodeInfo {
    let mut info = NodeInfo::new(Arc::new(node.0));
    for pod in pods {
        info.add_pod(Arc::new(pod.build()));
    }
    info
}

#[track_caller]
pub(crate) fn check_filter(node: NodeBuilder, pod: PodBuilder, expected: Result<(), &str>) {
    check_filter_with(node, Vec::new(), pod, expected);
}

/// Whether `pod` fits on `node` beside `there`; the expected error is the reasons joined.
#[track_caller]
pub(crate) fn check_filter_with(
    node: NodeBuilder,
    there: Vec<PodBuilder>,
    pod: PodBuilder,
    expected: Result<(), &str>,
) {
    let name = node.0.metadata.name.clone();
    let there = there.into_iter().map(|pod| (name.as_str(), pod)).collect();
    let snapshot = snapshot(vec![node], there);
    let found = fits(&snapshot, &pod.build(), &name).map_err(|rejection| rejection.reasons.join(", "));
    assert_eq!(found, expected.map_err(str::to_owned));
}

/// Which nodes refuse `pod`, and why; all others must fit.
#[track_caller]
pub(crate) fn check_cluster(
    nodes: Vec<NodeBuilder>,
    there: Vec<(&str, PodBuilder)>,
    pod: PodBuilder,
    refused: &[(&str, &str)],
) {
    let snapshot = snapshot(nodes, there);
    let pod = pod.build();
    let found: Vec<(String, String)> = snapshot
        .nodes()
        .filter_map(|node| {
            let rejection = fits(&snapshot, &pod, node.name()).err()?;
            Some((node.name().to_owned(), rejection.reasons.join(", ")))
        })
        .collect();
    let refused: Vec<_> = refused.iter().map(|(node, why)| ((*node).to_owned(), (*why).to_owned())).collect();
    assert_eq!(found, refused);
}

/// Which node wins, whatever the pod's uid.
#[track_caller]
pub(crate) fn check_order(nodes: Vec<NodeBuilder>, there: Vec<(&str, PodBuilder)>, pod: PodBuilder, best: &str) {
    let snapshot = snapshot(nodes, there);
    let mut pod = pod.0;
    for uid in ["1", "2", "3", "4"] {
        pod.metadata.uid = uid.into();
        assert_eq!(schedule(&snapshot, &PodInfo::new(Arc::new(pod.clone()))).as_deref(), Ok(best));
    }
}

pub(crate) fn claim(snapshot: &mut Snapshot, name: &str, class: &str, bound_to: Option<&str>) {
    let mut claim = crate::volumes::Claim::default();
    claim.metadata.namespace = "default".into();
    claim.metadata.name = name.into();
    claim.spec.storage_class_name = Some(class.into());
    claim.spec.resources.requests.insert("storage".into(), "1Gi".into());
    if let Some(volume) = bound_to {
        claim.spec.volume_name = volume.into();
        claim.metadata.annotations.insert("pv.kubernetes.io/bind-completed".into(), "yes".into());
    }
    snapshot.volumes.claims.insert(("default".into(), name.into()), Arc::new(claim));
}

pub(crate) fn storage_class(snapshot: &mut Snapshot, name: &str, provisioner: &str, mode: &str) {
    let mut class = crate::volumes::StorageClass::default();
    class.metadata.name = name.into();
    class.provisioner = provisioner.into();
    class.volume_binding_mode = Some(mode.into());
    snapshot.volumes.classes.insert(name.into(), Arc::new(class));
}

pub(crate) fn volume(snapshot: &mut Snapshot, name: &str, class: &str, size: &str, zone: Option<(&str, &str)>) {
    let mut volume = crate::volumes::Volume::default();
    volume.metadata.name = name.into();
    volume.spec.storage_class_name = class.into();
    volume.spec.capacity.insert("storage".into(), size.into());
    volume.spec.node_affinity = zone.map(|(key, value)| crate::volumes::VolumeNodeAffinity {
        required: Some(NodeSelector { node_selector_terms: vec![requirement(key, "In", &[value])] }),
    });
    snapshot.volumes.volumes.insert(name.into(), Arc::new(volume));
}
