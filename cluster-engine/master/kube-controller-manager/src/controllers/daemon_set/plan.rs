//! On which nodes a daemon's pods are to be, and which are to be replaced now.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::meta::OwnerReference;
use drydock_client::Object;
use drydock_client::types::{IntOrString, Node, Pod, PodSpec, Toleration};
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

/// How many nodes may have a pod too many, and how many may lack one, while a new template is rolled out.
#[derive(Clone, Copy, Debug)]
struct Room {
    surge: i32,
    missing: i32,
}

fn room(set: &DaemonSet, wanted_nodes: i32) -> Room {
    let rules = set.spec.update_strategy.rolling_update.clone().unwrap_or_default();
    if set.spec.update_strategy.kind == "OnDelete" {
        return Room { surge: 0, missing: 0 };
    }
    let scaled = |stated: Option<IntOrString>| stated.and_then(|stated| stated.scaled(wanted_nodes, true));
    let surge = scaled(rules.max_surge).unwrap_or_default().max(0);
    let missing = scaled(rules.max_unavailable).unwrap_or(1).max(0);
    // Both zero would mean standstill.
    Room { surge, missing: if surge == 0 { missing.max(1) } else { missing } }
}

/// The pods of one node that neither leave nor have ended, oldest first.
fn running<'a>(there: &[&'a Arc<Pod>]) -> Vec<&'a Arc<Pod>> {
    let mut running: Vec<_> =
        there.iter().copied().filter(|pod| !pod.metadata.is_deleting() && !pod.is_terminal()).collect();
    running.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
    running
}

/// Upstream: `podsShouldBeOnNode` and `rollingUpdate`.
pub(super) fn what_to_do(set: &DaemonSet, nodes: &[Arc<Node>], owned: &[Arc<Pod>], hash: &str, now: i64) -> ToDo {
    let mut todo = ToDo::default();
    let map = by_node(owned);
    let standing: Vec<(&Arc<Node>, bool, bool)> = nodes
        .iter()
        .map(|node| {
            let (should_run, may_stay) = should_run(set, node);
            (node, should_run, may_stay)
        })
        .collect();
    let wanted_nodes = standing.iter().filter(|(_, should_run, _)| *should_run).count() as i32;
    let room = room(set, wanted_nodes);
    let mut update = Update { set, hash, now, room, taken: 0, free: Vec::new(), costly: Vec::new() };
    for (node, should_run, may_stay) in standing {
        let there = map.get(node.name()).map(Vec::as_slice).unwrap_or_default();
        if !may_stay {
            todo.delete.extend(there.iter().filter(|pod| !pod.metadata.is_deleting()).map(|pod| (*pod).clone()));
            continue;
        }
        let mut is_replaced = false;
        for pod in there {
            if pod.metadata.is_deleting() {
                // One that is leaving is replaced when it is gone; with a surge, at once.
                is_replaced |= room.surge == 0;
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
            }
        }
        let running = running(there);
        if running.is_empty() {
            if should_run && !is_replaced {
                todo.create.push(node.name().to_owned());
            }
            update.taken += i32::from(should_run && room.surge == 0);
            continue;
        }
        if room.surge > 0 {
            update.surging(node.name(), &running, should_run, &mut todo);
        } else {
            // The oldest stays.
            todo.delete.extend(running.iter().skip(1).map(|pod| (*pod).clone()));
            update.in_place(running[0], should_run);
        }
    }
    // Pods for nodes that are gone.
    for (name, pods) in &map {
        if !nodes.iter().any(|node| node.name() == *name) {
            let unbound = pods.iter().filter(|pod| pod.spec.node_name.is_empty() && !pod.metadata.is_deleting());
            todo.delete.extend(unbound.map(|pod| (*pod).clone()));
        }
    }
    update.finish(&mut todo);
    todo
}

/// The nodes whose pod is of another template.
struct Update<'a> {
    set: &'a DaemonSet,
    hash: &'a str,
    now: i64,
    room: Room,
    /// How much of the room is taken.
    taken: i32,
    /// Pods that do not work (and their nodes): replacing them costs nothing.
    free: Vec<(Arc<Pod>, String)>,
    /// Pods that work.
    costly: Vec<(Arc<Pod>, String)>,
}

impl Update<'_> {
    fn outdated(&mut self, pod: &Arc<Pod>, node: &str, available: bool) {
        let side = if available { &mut self.costly } else { &mut self.free };
        side.push((pod.clone(), node.to_owned()));
    }

    /// The one pod of a node goes before its successor comes.
    fn in_place(&mut self, pod: &Arc<Pod>, should_run: bool) {
        let available = is_available(pod, self.set.spec.min_ready_seconds, self.now);
        self.taken += i32::from(should_run && !available);
        if !is_current(pod, self.hash) {
            self.outdated(pod, "", available);
        }
    }

    /// The successor comes first: one old pod and one new may be on a node until the new one is available.
    fn surging(&mut self, node: &str, running: &[&Arc<Pod>], should_run: bool, todo: &mut ToDo) {
        let (mut new, mut old): (Vec<_>, Vec<_>) = running.iter().partition(|pod| is_current(pod, self.hash));
        let surplus = new.drain(new.len().min(1)..).chain(old.drain(old.len().min(1)..));
        todo.delete.extend(surplus.cloned());
        match (new.first(), old.first()) {
            (Some(new), Some(old)) => {
                let available = is_available(new, self.set.spec.min_ready_seconds, self.now);
                if available || !old.is_ready() {
                    todo.delete.push((*old).clone());
                }
                self.taken += i32::from(!available);
            }
            (None, Some(old)) if should_run => {
                let available = is_available(old, self.set.spec.min_ready_seconds, self.now);
                self.outdated(old, node, available);
            }
            _ => {}
        }
    }

    fn finish(self, todo: &mut ToDo) {
        if self.set.spec.update_strategy.kind == "OnDelete" {
            return;
        }
        let is_surge = self.room.surge > 0;
        let left = (if is_surge { self.room.surge } else { self.room.missing }) - self.taken;
        let costly = self.costly.into_iter().take(usize::try_from(left).unwrap_or_default());
        for (pod, node) in self.free.into_iter().chain(costly) {
            if is_surge {
                todo.create.push(node);
            } else {
                todo.delete.push(pod);
            }
        }
    }
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
        there.sort_by_key(|pod| {
            (pod.spec.node_name.is_empty(), pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone())
        });
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
#[path = "properties.rs"]
mod properties;
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
    fn with_a_surge_the_successor_comes_first() {
        let nodes = [node("a", "ssd", None), node("b", "ssd", None), node("c", "ssd", None)];
        let mut set = set();
        let rules = set.spec.update_strategy.rolling_update.get_or_insert_default();
        rules.max_surge = Some(IntOrString::Int(1));
        rules.max_unavailable = Some(IntOrString::Int(0));
        let check = |owned: &[Arc<Pod>], create: &[&str], delete: &[&str]| {
            let todo = what_to_do(&set, &nodes, owned, "new", 0);
            assert_eq!(
                (todo.create.as_slice(), names(&todo.delete).as_slice()),
                (create.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().as_slice(), delete)
            );
        };
        let old =
            |ready: bool| vec![pod("a", "a", "old", ready), pod("b", "b", "old", true), pod("c", "c", "old", true)];
        let and = |mut pods: Vec<Arc<Pod>>, more: Arc<Pod>| {
            pods.push(more);
            pods
        };
        check(&old(true), &["a"], &[]);
        check(&and(old(true), pod("a2", "a", "new", false)), &[], &[]);
        check(&and(old(true), pod("a2", "a", "new", true)), &["b"], &["a"]);
        // One that does not work is replaced whatever the room, and one beside it goes at once.
        check(&old(false), &["a", "b"], &[]);
        check(&and(old(false), pod("a2", "a", "new", false)), &[], &["a"]);
        let mut leaving = (*pod("a", "a", "old", true)).clone();
        leaving.metadata.deletion_timestamp = Some("T".into());
        let leaving = vec![Arc::new(leaving), pod("b", "b", "new", true), pod("c", "c", "new", true)];
        check(&leaving, &["a"], &[]);
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
