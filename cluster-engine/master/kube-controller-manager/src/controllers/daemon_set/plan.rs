//! On which nodes a daemon's pods are to be, and which are to be replaced now.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::meta::OwnerReference;
use drydock_client::Object;
use drydock_client::types::{Node, Pod, PodSpec, Toleration};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::controllers::owned::from_template;
use crate::controllers::replica_set::{available_in, is_available};
use crate::controllers::revisions::REVISION_LABEL;
use crate::kinds::{DaemonSet, DaemonSetStatus};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

/// What a daemon bears besides what its template says: a node that is not well still has its daemons
/// (key, effect).
const BORNE: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

fn tolerations(host_network: bool) -> Vec<Toleration> {
    let extra = host_network.then_some(NETWORK);
    let toleration = |(key, effect): (&str, &str)| Toleration {
        key: key.to_owned(),
        operator: "Exists".to_owned(),
        effect: effect.to_owned(),
        ..Toleration::default()
    };
    BORNE.into_iter().chain(extra).map(toleration).collect()
}

/// Whether a new pod should run on the node, and whether one that is there may stay.
pub(super) fn should_run(set: &DaemonSet, node: &Node) -> (bool, bool) {
    let template: Template = set.spec.template.read();
    let mut pod = Pod { spec: template.spec, ..Pod::default() };
    if !pod.spec.node_name.is_empty() && pod.spec.node_name != node.name() {
        return (false, false);
    }
    let borne = tolerations(pod.spec.host_network);
    pod.spec.tolerations.extend(borne);
    if !pod.asks_for(node) {
        return (false, false);
    }
    let bears = |effects: &[&str]| {
        let mut taints = node.spec.taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
        taints.all(|taint| taint.is_tolerated(&pod.spec.tolerations))
    };
    (bears(&["NoSchedule", "NoExecute"]), bears(&["NoExecute"]))
}

/// The node that a daemon pod is for: bound already, or by its affinity.
fn node_of(pod: &Pod) -> Option<&str> {
    if !pod.spec.node_name.is_empty() {
        return Some(&pod.spec.node_name);
    }
    let affinity = pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let field = required.node_selector_terms.first()?.match_fields.first()?;
    (field.key == "metadata.name").then(|| field.values.first().map(String::as_str)).flatten()
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct ToDo {
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    /// Pods that ended and what is said of them.
    pub(super) failed: Vec<(Arc<Pod>, String)>,
}

fn by_node(owned: &[Arc<Pod>]) -> BTreeMap<&str, Vec<&Arc<Pod>>> {
    let mut map: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in owned {
        if let Some(node) = node_of(pod) {
            map.entry(node).or_default().push(pod);
        }
    }
    map
}

fn is_current(pod: &Pod, hash: &str) -> bool {
    pod.metadata.labels.get(REVISION_LABEL).is_some_and(|label| label == hash)
}

/// Upstream: `podsShouldBeOnNode` and `rollingUpdate` with `maxUnavailable`.
pub(super) fn what_to_do(set: &DaemonSet, nodes: &[Arc<Node>], owned: &[Arc<Pod>], hash: &str, now: i64) -> ToDo {
    let mut todo = ToDo::default();
    let map = by_node(owned);
    let mut wanted_nodes = 0;
    let mut unavailable = 0;
    let mut outdated: Vec<(bool, &Arc<Pod>)> = Vec::new();
    for node in nodes {
        let (should_run, may_stay) = should_run(set, node);
        let there = map.get(node.name()).map(Vec::as_slice).unwrap_or_default();
        wanted_nodes += i32::from(should_run);
        if !may_stay {
            todo.delete.extend(there.iter().filter(|pod| !pod.metadata.is_deleting()).map(|pod| (*pod).clone()));
            continue;
        }
        let mut running: Vec<&Arc<Pod>> = Vec::new();
        let mut is_replaced = false;
        for pod in there {
            if pod.metadata.is_deleting() {
                is_replaced = true;
            } else if pod.is_terminal() {
                let how = if pod.status.phase == "Failed" { "failed" } else { "succeeded" };
                let message = format!(
                    "Found {how} daemon pod {}/{} on node {}, will try to kill it",
                    pod.namespace(),
                    pod.name(),
                    node.name()
                );
                todo.failed.push(((*pod).clone(), message));
                todo.delete.push((*pod).clone());
                is_replaced = true;
            } else {
                running.push(pod);
            }
        }
        if running.is_empty() {
            // One that is leaving is replaced when it is gone.
            if should_run && !is_replaced {
                todo.create.push(node.name().to_owned());
            }
            unavailable += i32::from(should_run);
            continue;
        }
        // The oldest stays.
        running.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
        todo.delete.extend(running.iter().skip(1).map(|pod| (*pod).clone()));
        let pod = running[0];
        let available = is_available(pod, set.spec.min_ready_seconds, now);
        unavailable += i32::from(should_run && !available);
        if !is_current(pod, hash) {
            outdated.push((available, pod));
        }
    }
    // Pods for nodes that are gone.
    for (name, pods) in &map {
        if !nodes.iter().any(|node| node.name() == *name) {
            let unbound = pods.iter().filter(|pod| pod.spec.node_name.is_empty() && !pod.metadata.is_deleting());
            todo.delete.extend(unbound.map(|pod| (*pod).clone()));
        }
    }
    if set.spec.update_strategy.kind != "OnDelete" {
        let rules = set.spec.update_strategy.rolling_update.clone().unwrap_or_default();
        let most = rules.max_unavailable.and_then(|most| most.scaled(wanted_nodes, true)).unwrap_or(1).max(1);
        let mut room = (most - unavailable).max(0);
        for (available, pod) in outdated {
            if todo.delete.iter().any(|gone| gone.uid() == pod.uid()) {
                continue;
            }
            // One that does not work costs nothing to replace.
            if !available {
                todo.delete.push(pod.clone());
            } else if room > 0 {
                room -= 1;
                todo.delete.push(pod.clone());
            }
        }
    }
    todo
}

/// A daemon pod for one node; the scheduler binds it there.
pub(super) fn pod_for(set: &DaemonSet, template: &Value, owner: &OwnerReference, node: &str, hash: &str) -> Value {
    let mut body = from_template(template, owner, set.namespace());
    body["metadata"]["generateName"] = format!("{}-", set.name()).into();
    body["metadata"]["labels"][REVISION_LABEL] = hash.into();
    let host_network = body.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or_default();
    let spec = &mut body["spec"];
    let mut borne = spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    for toleration in tolerations(host_network) {
        let toleration = json!(toleration);
        if !borne.contains(&toleration) {
            borne.push(toleration);
        }
    }
    spec["tolerations"] = borne.into();
    // The name replaces whatever fields were asked for; labels are asked for already by should_run.
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let node_affinity = &mut spec["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"];
    let mut terms = node_affinity.as_array().cloned().unwrap_or_default();
    if terms.is_empty() {
        terms.push(term);
    } else {
        for existing in &mut terms {
            existing["matchFields"] = term["matchFields"].clone();
        }
    }
    *node_affinity = terms.into();
    body
}

/// What the status should say, and after how many seconds it may change by itself.
pub(super) fn status(
    set: &DaemonSet,
    nodes: &[Arc<Node>],
    owned: &[Arc<Pod>],
    hash: &str,
    now: i64,
) -> (DaemonSetStatus, Option<u64>) {
    let mut status = DaemonSetStatus {
        observed_generation: set.metadata.generation,
        collision_count: set.status.collision_count,
        conditions: set.status.conditions.clone(),
        ..DaemonSetStatus::default()
    };
    let map = by_node(owned);
    let mut soonest: Option<u64> = None;
    for node in nodes {
        let (should_run, _) = should_run(set, node);
        let mut there = map.get(node.name()).cloned().unwrap_or_default();
        there.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
        let pod = there.first();
        if !should_run {
            status.number_misscheduled += i32::from(pod.is_some());
            continue;
        }
        status.desired_number_scheduled += 1;
        let Some(pod) = pod else { continue };
        status.current_number_scheduled += 1;
        status.updated_number_scheduled += i32::from(is_current(pod, hash));
        if pod.is_ready() {
            status.number_ready += 1;
            match available_in(pod, set.spec.min_ready_seconds, now) {
                Some(0) => status.number_available += 1,
                Some(seconds) => soonest = Some(soonest.map_or(seconds, |before| before.min(seconds))),
                None => {}
            }
        }
    }
    status.number_unavailable = status.desired_number_scheduled - status.number_available;
    (status, soonest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::{Condition, Taint};

    fn set() -> DaemonSet {
        let mut set = DaemonSet::default();
        set.metadata.name = "agent".into();
        set.spec.template =
            (&json!({"metadata": {"labels": {"app": "agent"}}, "spec": {"nodeSelector": {"disk": "ssd"}}})).into();
        set
    }

    fn node(name: &str, disk: &str, taint: Option<(&str, &str)>) -> Arc<Node> {
        let mut node = Node::default();
        node.metadata.name = name.into();
        node.metadata.labels.insert("disk".into(), disk.into());
        node.spec.taints.extend(taint.map(|(key, effect)| Taint {
            key: key.into(),
            effect: effect.into(),
            ..Taint::default()
        }));
        Arc::new(node)
    }

    fn pod(name: &str, on: &str, hash: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.metadata.uid = name.into();
        pod.metadata.labels.insert(REVISION_LABEL.into(), hash.into());
        pod.spec.node_name = on.into();
        if ready {
            pod.status.conditions.push(Condition {
                kind: "Ready".into(),
                status: "True".into(),
                ..Condition::default()
            });
        }
        Arc::new(pod)
    }

    fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
        pods.iter().map(|pod| pod.metadata.name.as_str()).collect()
    }

    #[test]
    fn nodes_that_fit_get_a_pod() {
        let nodes = [
            node("a", "ssd", None),
            node("b", "hdd", None),
            node("c", "ssd", Some(("dedicated", "NoSchedule"))),
            node("d", "ssd", Some(("node.kubernetes.io/unreachable", "NoExecute"))),
            node("e", "ssd", Some(("node.kubernetes.io/unschedulable", "NoSchedule"))),
        ];
        let todo = what_to_do(&set(), &nodes, &[], "1", 0);
        assert_eq!(todo.create, ["a", "d", "e"]);
        let owned = [pod("on-b", "b", "1", true), pod("on-c", "c", "1", true), pod("on-gone", "", "1", true)];
        let todo = what_to_do(&set(), &nodes, &owned, "1", 0);
        assert_eq!(names(&todo.delete), ["on-b"], "a taint without NoExecute drives nobody away");
        let (status, _) = status(&set(), &nodes, &owned, "1", 0);
        assert_eq!((status.desired_number_scheduled, status.number_misscheduled, status.number_unavailable), (3, 2, 3));
    }

    #[test]
    fn updates_go_one_by_one() {
        let nodes = [node("a", "ssd", None), node("b", "ssd", None), node("c", "ssd", None)];
        let all =
            |broken: bool| [pod("a", "a", "old", true), pod("b", "b", "old", true), pod("c", "c", "old", !broken)];
        assert_eq!(names(&what_to_do(&set(), &nodes, &all(false), "new", 0).delete), ["a"]);
        assert_eq!(
            names(&what_to_do(&set(), &nodes, &all(true), "new", 0).delete),
            ["c"],
            "the broken one costs nothing"
        );
        let mut manual = set();
        manual.spec.update_strategy.kind = "OnDelete".into();
        assert!(what_to_do(&manual, &nodes, &all(false), "new", 0).delete.is_empty());
    }

    #[test]
    fn ended_and_doubled_pods_go() {
        let nodes = [node("a", "ssd", None)];
        let mut ended = (*pod("ended", "a", "1", false)).clone();
        ended.status.phase = "Failed".into();
        let todo = what_to_do(&set(), &nodes, &[Arc::new(ended)], "1", 0);
        assert_eq!((names(&todo.delete), todo.create.len(), todo.failed.len()), (vec!["ended"], 0, 1));
        let todo = what_to_do(&set(), &nodes, &[pod("x", "a", "1", true), pod("y", "a", "1", true)], "1", 0);
        assert_eq!(names(&todo.delete), ["y"]);
    }

    #[test]
    fn a_pod_names_its_node() {
        let set = set();
        let body = pod_for(&set, &set.spec.template.value(), &OwnerReference::default(), "a", "1");
        let pod: Pod = serde_json::from_value(body).unwrap();
        assert_eq!(node_of(&pod), Some("a"));
        assert_eq!(pod.spec.tolerations.len(), 6);
        assert_eq!(pod.metadata.labels[REVISION_LABEL], "1");
    }
}
