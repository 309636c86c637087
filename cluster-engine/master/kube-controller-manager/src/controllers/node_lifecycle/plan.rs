//! What is to be written on a node.

use std::sync::Arc;

use drydock_client::types::{Condition, Node, Taint};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taints that follow from conditions: condition, its status, key.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Above this share of lost nodes (and more than two) the network is suspected rather than the nodes.
const UNHEALTHY_SHARE: f64 = 0.55;

/// How the nodes are as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Few are lost: pods leave those.
    Normal,
    /// Many are lost: no further pods are driven away.
    PartialDisruption,
    /// All are lost: nothing is driven away, for there is nowhere to go.
    FullDisruption,
}

/// Upstream: `ComputeZoneState`.
pub(super) fn zone(nodes: impl Iterator<Item = Arc<Node>>) -> Zone {
    let (mut ready, mut lost) = (0_u32, 0_u32);
    for node in nodes {
        match node.condition("Ready") {
            Some(condition) if condition.status == "True" => ready += 1,
            _ => lost += 1,
        }
    }
    let share = f64::from(lost) / f64::from((ready + lost).max(1));
    match (ready, lost) {
        (0, 1..) => Zone::FullDisruption,
        (_, 3..) if share >= UNHEALTHY_SHARE => Zone::PartialDisruption,
        _ => Zone::Normal,
    }
}

/// The conditions of a node that is not heard of, as far as they do not say so yet.
pub(super) fn silent_conditions(node: &Node, now: &str) -> Vec<Condition> {
    ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
        .into_iter()
        .filter_map(|kind| {
            let unknown = |reason: &str, message: &str, heartbeat: Option<String>| Condition {
                kind: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: reason.to_owned(),
                message: message.to_owned(),
                last_heartbeat_time: heartbeat,
                last_transition_time: Some(now.to_owned()),
                ..Condition::default()
            };
            match node.condition(kind) {
                None => Some(unknown(
                    "NodeStatusNeverUpdated",
                    "Kubelet never posted node status.",
                    node.metadata.creation_timestamp.clone(),
                )),
                Some(old) if old.status != "Unknown" => Some(unknown(
                    "NodeStatusUnknown",
                    "Kubelet stopped posting node status.",
                    old.last_heartbeat_time.clone(),
                )),
                Some(_) => None,
            }
        })
        .collect()
}

/// All taints that the node should have, if it has others.
pub(super) fn wanted_taints(node: &Node, zone: Zone, now: &str) -> Option<Vec<Taint>> {
    let is_ours = |taint: &Taint| match taint.effect.as_str() {
        "NoSchedule" => taint.key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, key)| taint.key == *key),
        "NoExecute" => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    };
    let mut wanted: Vec<Taint> = node.spec.taints.iter().filter(|taint| !is_ours(taint)).cloned().collect();
    let had = |key: &str, effect: &str| {
        node.spec.taints.iter().find(|taint| taint.key == key && taint.effect == effect).cloned()
    };
    let mut want = |key: &str, effect: &str| {
        let time_added = (effect == "NoExecute").then(|| now.to_owned());
        let new = Taint { key: key.to_owned(), effect: effect.to_owned(), time_added, ..Taint::default() };
        wanted.push(had(key, effect).unwrap_or(new));
    };
    for (kind, status, key) in BY_CONDITION {
        if node.condition(kind).is_some_and(|condition| condition.status == status) {
            want(key, "NoSchedule");
        }
    }
    if node.spec.unschedulable {
        want(UNSCHEDULABLE, "NoSchedule");
    }
    if let Some(ready) = node.condition("Ready").filter(|ready| ready.status != "True") {
        let key = if ready.status == "False" { NOT_READY } else { UNREACHABLE };
        let may_drive_away = match zone {
            Zone::Normal => true,
            // What was driven away stays so, nothing is added.
            Zone::PartialDisruption => had(NOT_READY, "NoExecute").or(had(UNREACHABLE, "NoExecute")).is_some(),
            Zone::FullDisruption => false,
        };
        if may_drive_away {
            want(key, "NoExecute");
        }
    }
    let same = wanted.len() == node.spec.taints.len() && wanted.iter().all(|taint| node.spec.taints.contains(taint));
    (!same).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: &str) -> Node {
        let mut node = Node::default();
        if !ready.is_empty() {
            node.status.conditions.push(Condition {
                kind: "Ready".into(),
                status: ready.into(),
                ..Condition::default()
            });
        }
        node
    }

    fn text(taints: Option<Vec<Taint>>) -> Option<String> {
        let part = |taint: Taint| format!("{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect);
        taints.map(|taints| taints.into_iter().map(part).collect::<Vec<_>>().join(" "))
    }

    #[track_caller]
    fn check(node: &Node, zone: Zone, expected: Option<&str>) {
        assert_eq!(text(wanted_taints(node, zone, "T")).as_deref(), expected);
    }

    #[test]
    fn taints_follow_conditions() {
        check(&node("True"), Zone::Normal, None);
        check(&node("False"), Zone::Normal, Some("not-ready:NoSchedule not-ready:NoExecute"));
        check(&node("Unknown"), Zone::Normal, Some("unreachable:NoSchedule unreachable:NoExecute"));
        check(&node("Unknown"), Zone::FullDisruption, Some("unreachable:NoSchedule"));
        let mut cordoned = node("True");
        cordoned.spec.unschedulable = true;
        check(&cordoned, Zone::Normal, Some("unschedulable:NoSchedule"));
        let mut full = node("True");
        full.status.conditions.push(Condition {
            kind: "DiskPressure".into(),
            status: "True".into(),
            ..Condition::default()
        });
        check(&full, Zone::Normal, Some("disk-pressure:NoSchedule"));
    }

    #[test]
    fn others_taints_stay_and_old_ones_go() {
        let mut back = node("True");
        let taint = |key: &str, effect: &str| Taint { key: key.into(), effect: effect.into(), ..Taint::default() };
        back.spec.taints =
            vec![taint("mine", "NoExecute"), taint(NOT_READY, "NoSchedule"), taint(UNREACHABLE, "NoExecute")];
        check(&back, Zone::Normal, Some("mine:NoExecute"));
        let mut lost = node("Unknown");
        lost.spec.taints = wanted_taints(&lost, Zone::Normal, "T1").unwrap();
        assert_eq!(wanted_taints(&lost, Zone::Normal, "T2"), None, "the time of a taint stays");
    }

    #[test]
    fn silence_is_said_once() {
        let said = silent_conditions(&node("True"), "T");
        assert_eq!(said.len(), 4);
        assert_eq!(said[0].message, "Kubelet stopped posting node status.");
        assert_eq!(said[1].message, "Kubelet never posted node status.");
        let mut silent = node("");
        silent.status.conditions = said;
        assert!(silent_conditions(&silent, "T").is_empty());
    }

    #[test]
    fn zones() {
        let state = |ready: usize, lost: usize| {
            let nodes = std::iter::repeat_n("True", ready).chain(std::iter::repeat_n("Unknown", lost));
            zone(nodes.map(|status| Arc::new(node(status))))
        };
        assert_eq!(state(1, 2), Zone::Normal);
        assert_eq!(state(2, 3), Zone::PartialDisruption);
        assert_eq!(state(0, 1), Zone::FullDisruption);
        assert_eq!(state(0, 0), Zone::Normal);
    }
}
