//! Which pod comes or goes next, and what the status says.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::Pod;

use super::pod::ordinal;
use crate::controllers::replica_set::available_in;
use crate::controllers::revisions::{History, REVISION_LABEL};
use crate::kinds::{StatefulSet, StatefulSetStatus};

/// The names of the revisions between which the set moves.
#[derive(Clone, Debug)]
pub(super) struct Revisions {
    pub(super) current: String,
    pub(super) update: String,
}

impl Revisions {
    pub(super) fn new(set: &StatefulSet, history: &History) -> Revisions {
        let update = history.update.name().to_owned();
        let known = history.all.iter().any(|revision| revision.name() == set.status.current_revision);
        let current = if known { set.status.current_revision.clone() } else { update.clone() };
        Revisions { current, update }
    }
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Create {
        ordinal: i32,
        revision: String,
    },
    Delete(Arc<Pod>),
    /// Delete one that has ended, so that it is made anew.
    Replace(Arc<Pod>),
    /// Put the pod's own name on it as a label.
    Label(Arc<Pod>),
}

fn revision_of(pod: &Pod) -> &str {
    pod.metadata.labels.get(REVISION_LABEL).map_or("", String::as_str)
}

fn partition(set: &StatefulSet) -> i32 {
    set.spec.update_strategy.rolling_update.as_ref().and_then(|rules| rules.partition).unwrap_or_default()
}

fn is_available(set: &StatefulSet, pod: &Pod, now: i64) -> bool {
    pod.status.phase == "Running"
        && !pod.metadata.is_deleting()
        && available_in(pod, set.spec.min_ready_seconds, now) == Some(0)
}

/// Members by their number; others of the set's pods have higher numbers than it wants.
fn sort(set: &StatefulSet, owned: &[Arc<Pod>]) -> (BTreeMap<i32, Arc<Pod>>, BTreeMap<i32, Arc<Pod>>) {
    let start = set.spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
    let wanted = start..start.saturating_add(set.replicas());
    let (mut members, mut surplus) = (BTreeMap::new(), BTreeMap::new());
    for pod in owned {
        if let Some(number) = ordinal(set, pod) {
            let side = if wanted.contains(&number) { &mut members } else { &mut surplus };
            side.insert(number, pod.clone());
        }
    }
    (members, surplus)
}

/// How many pods may be unavailable during an update; `None` if the set does not say.
fn max_unavailable(set: &StatefulSet) -> Option<i32> {
    let rules = set.spec.update_strategy.rolling_update.as_ref()?;
    let most = rules.max_unavailable.as_ref()?.scaled(set.replicas(), true)?;
    Some(most.max(1))
}

/// Upstream: `updateStatefulSet`. In order unless the set says Parallel: one pod at a time, and only
/// while all before it are there.
pub(super) fn plan(set: &StatefulSet, owned: &[Arc<Pod>], revisions: &Revisions, now: i64) -> Vec<Action> {
    let is_ordered = set.spec.pod_management_policy != "Parallel";
    let start = set.spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
    let (members, surplus) = sort(set, owned);
    let mut actions = Vec::new();
    let mut must_wait = false;
    for number in start..start.saturating_add(set.replicas()) {
        let Some(pod) = members.get(&number) else {
            let is_new = number - start >= partition(set) || set.spec.update_strategy.kind == "OnDelete";
            // Until the update is through, pods before the partition come back as they were.
            let revision = if is_new { revisions.update.clone() } else { revisions.current.clone() };
            actions.push(Action::Create { ordinal: number, revision });
            if is_ordered {
                return actions;
            }
            continue;
        };
        if pod.is_terminal() {
            // A new one comes when it is gone.
            must_wait = true;
            if !pod.metadata.is_deleting() {
                actions.push(Action::Replace(pod.clone()));
            }
            if is_ordered {
                return actions;
            }
            continue;
        }
        if !pod.metadata.labels.contains_key("statefulset.kubernetes.io/pod-name") {
            actions.push(Action::Label(pod.clone()));
        }
        if is_ordered && !is_available(set, pod, now) {
            return actions;
        }
    }
    if must_wait {
        return actions;
    }
    // All that are wanted are there: the others go, the last first. A broken one blocks those before it, unless
    // nothing before it is broken too.
    let is_broken = |pod: &&Arc<Pod>| pod.metadata.is_deleting() || !is_available(set, pod, now);
    let first_broken = members.values().chain(surplus.values()).find(is_broken).map(|pod| pod.uid().to_owned());
    for pod in surplus.values().rev() {
        if pod.metadata.is_deleting() {
            if is_ordered {
                return actions;
            }
            continue;
        }
        if is_ordered && is_broken(&pod) && first_broken.as_deref() != Some(pod.uid()) {
            return actions;
        }
        actions.push(Action::Delete(pod.clone()));
        if is_ordered {
            return actions;
        }
    }
    if actions.is_empty() && set.spec.update_strategy.kind != "OnDelete" {
        update(set, &members, revisions, start + partition(set), now, &mut actions);
    }
    actions
}

/// Pods of another revision go, from the last to the partition, each waiting for the one before; or as many at once
/// as may be unavailable.
fn update(
    set: &StatefulSet,
    members: &BTreeMap<i32, Arc<Pod>>,
    revisions: &Revisions,
    first: i32,
    now: i64,
    actions: &mut Vec<Action>,
) {
    let is_old = |pod: &Pod| revision_of(pod) != revisions.update && !pod.metadata.is_deleting();
    let targets = || members.iter().rev().take_while(|(number, _)| **number >= first).map(|(_, pod)| pod);
    if let Some(most) = max_unavailable(set) {
        let unavailable = members.values().filter(|pod| !is_available(set, pod, now)).count();
        let room = usize::try_from(most).unwrap_or_default().saturating_sub(unavailable);
        actions.extend(targets().filter(|pod| is_old(pod)).take(room).cloned().map(Action::Delete));
        return;
    }
    for pod in targets() {
        if is_old(pod) {
            actions.push(Action::Delete(pod.clone()));
            return;
        }
        if !is_available(set, pod, now) {
            return;
        }
    }
}

/// Whose the claims of a pod should be: the set's, the pod's (upstream: `updateClaimOwnerRefForSetAndPod`).
pub(super) fn claim_owners(set: &StatefulSet, pod: &Pod) -> (bool, bool) {
    let policy = set.spec.persistent_volume_claim_retention_policy.clone().unwrap_or_default();
    let start = set.spec.ordinals.as_ref().map_or(0, |ordinals| ordinals.start);
    let wanted = start..start.saturating_add(set.replicas());
    let is_scaled_down = ordinal(set, pod).is_some_and(|number| !wanted.contains(&number));
    let (with_set, with_scale) = (policy.when_deleted == "Delete", policy.when_scaled == "Delete");
    (with_set && !(with_scale && is_scaled_down), with_scale && is_scaled_down)
}

/// What the status should say, and after how many seconds it may change by itself.
pub(super) fn status(
    set: &StatefulSet,
    owned: &[Arc<Pod>],
    revisions: &Revisions,
    now: i64,
) -> (StatefulSetStatus, Option<u64>) {
    let mut status = StatefulSetStatus {
        observed_generation: set.metadata.generation,
        current_revision: revisions.current.clone(),
        update_revision: revisions.update.clone(),
        collision_count: Some(set.status.collision_count.unwrap_or_default()),
        conditions: set.status.conditions.clone(),
        ..StatefulSetStatus::default()
    };
    let mut soonest: Option<u64> = None;
    for pod in owned.iter().filter(|pod| ordinal(set, pod).is_some()) {
        status.replicas += 1;
        if pod.status.phase == "Running" && pod.is_ready() {
            status.ready_replicas += 1;
            match available_in(pod, set.spec.min_ready_seconds, now) {
                Some(0) => status.available_replicas += 1,
                Some(seconds) => soonest = Some(soonest.map_or(seconds, |before| before.min(seconds))),
                None => {}
            }
        }
        if !pod.metadata.is_deleting() {
            status.current_replicas += i32::from(revision_of(pod) == revisions.current);
            status.updated_replicas += i32::from(revision_of(pod) == revisions.update);
        }
    }
    let is_through = set.spec.update_strategy.kind != "OnDelete"
        && status.updated_replicas == status.replicas
        && status.ready_replicas == status.replicas
        && status.replicas == set.replicas();
    if is_through {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&revisions.update);
    }
    (status, soonest)
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::RollingUpdate;
    use drydock_client::types::Condition;

    fn set(replicas: i32) -> StatefulSet {
        let mut set = StatefulSet::default();
        set.metadata.name = "db".into();
        set.spec.replicas = Some(replicas);
        set
    }

    fn pod(number: i32, revision: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = format!("db-{number}");
        pod.metadata.uid = pod.metadata.name.clone();
        pod.metadata.labels.insert(REVISION_LABEL.into(), revision.into());
        pod.metadata.labels.insert("statefulset.kubernetes.io/pod-name".into(), pod.metadata.name.clone());
        pod.status.phase = if ready { "Running" } else { "Pending" }.into();
        if ready {
            pod.status.conditions.push(Condition {
                kind: "Ready".into(),
                status: "True".into(),
                ..Condition::default()
            });
        }
        Arc::new(pod)
    }

    #[track_caller]
    fn check(set: &StatefulSet, owned: &[Arc<Pod>], expected: &[&str]) {
        let revisions = Revisions { current: "old".into(), update: "new".into() };
        let told: Vec<String> = plan(set, owned, &revisions, 0)
            .into_iter()
            .map(|action| match action {
                Action::Create { ordinal, revision } => format!("+{ordinal} {revision}"),
                Action::Delete(pod) => format!("-{}", pod.name()),
                Action::Replace(pod) => format!("!{}", pod.name()),
                Action::Label(pod) => format!("label {}", pod.name()),
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn in_order_up_and_down() {
        check(&set(3), &[], &["+0 new"]);
        check(&set(3), &[pod(0, "new", false)], &[]);
        check(&set(3), &[pod(0, "new", true)], &["+1 new"]);
        check(&set(1), &[pod(0, "new", true), pod(1, "new", true), pod(2, "new", true)], &["-db-2"]);
        check(&set(1), &[pod(0, "new", false), pod(1, "new", true)], &[]);
    }

    #[test]
    fn parallel_at_once() {
        let mut set = set(3);
        set.spec.pod_management_policy = "Parallel".into();
        check(&set, &[pod(1, "new", false)], &["+0 new", "+2 new"]);
        set.spec.replicas = Some(0);
        check(&set, &[pod(0, "new", true), pod(1, "new", true)], &["-db-1", "-db-0"]);
    }

    #[test]
    fn updates_from_the_end_to_the_partition() {
        let mut set = set(3);
        let all = |a, b, c| [pod(0, a, true), pod(1, b, true), pod(2, c, true)];
        check(&set, &all("old", "old", "old"), &["-db-2"]);
        check(&set, &all("old", "old", "new"), &["-db-1"]);
        check(&set, &[pod(0, "old", true), pod(1, "old", true), pod(2, "new", false)], &[]);
        set.spec.update_strategy.rolling_update =
            Some(RollingUpdate { partition: Some(2), ..RollingUpdate::default() });
        check(&set, &all("old", "old", "new"), &[]);
        check(&set, &[pod(0, "old", true), pod(2, "new", true)], &["+1 old"]);
        set.spec.update_strategy.kind = "OnDelete".into();
        check(&set, &all("old", "old", "old"), &[]);
    }

    #[test]
    fn shrinking_stops_at_a_broken_pod() {
        let some = |a, b, c| [pod(0, "new", a), pod(1, "new", b), pod(2, "new", c)];
        check(&set(0), &some(true, true, false), &["-db-2"]);
        check(&set(0), &some(false, true, false), &[]);
        check(&set(0), &some(false, false, false), &[]);
        check(&set(0), &some(true, false, true), &["-db-2"]);
        check(&set(0), &some(true, true, true)[..2], &["-db-1"]);
    }

    #[test]
    fn several_may_be_unavailable() {
        let mut set = set(4);
        set.spec.update_strategy.rolling_update = Some(RollingUpdate {
            max_unavailable: Some(drydock_client::types::IntOrString::String("50%".into())),
            partition: Some(1),
            ..RollingUpdate::default()
        });
        set.spec.pod_management_policy = "Parallel".into();
        let all = |c| [pod(0, "old", true), pod(1, "old", true), pod(2, "old", c), pod(3, "old", true)];
        check(&set, &all(true), &["-db-3", "-db-2"]);
        check(&set, &all(false), &["-db-3"]);
        check(&set, &[pod(0, "old", true), pod(1, "old", true), pod(2, "new", false), pod(3, "new", false)], &[]);
        check(&set, &[pod(0, "old", true), pod(1, "old", true), pod(2, "new", true), pod(3, "new", true)], &["-db-1"]);
    }

    #[test]
    fn claims_follow_the_policy() {
        let mut set = set(1);
        for (deleted, scaled, kept, gone) in [
            ("Retain", "Retain", (false, false), (false, false)),
            ("Delete", "Retain", (true, false), (true, false)),
            ("Retain", "Delete", (false, false), (false, true)),
            ("Delete", "Delete", (true, false), (false, true)),
        ] {
            set.spec.persistent_volume_claim_retention_policy =
                Some(crate::kinds::ClaimRetention { when_deleted: deleted.into(), when_scaled: scaled.into() });
            assert_eq!(claim_owners(&set, &pod(0, "new", true)), kept, "{deleted} {scaled}");
            assert_eq!(claim_owners(&set, &pod(1, "new", true)), gone, "{deleted} {scaled}");
        }
    }

    #[test]
    fn ended_pods_are_replaced() {
        let mut ended = (*pod(0, "new", true)).clone();
        ended.status.phase = "Failed".into();
        let ended = Arc::new(ended);
        check(&set(1), std::slice::from_ref(&ended), &["!db-0"]);
        let mut parallel = set(1);
        parallel.spec.pod_management_policy = "Parallel".into();
        check(&parallel, &[ended, pod(1, "new", true)], &["!db-0"]);
    }

    #[test]
    fn an_update_that_is_through_becomes_current() {
        let revisions = Revisions { current: "old".into(), update: "new".into() };
        let (half, _) = status(&set(2), &[pod(0, "old", true), pod(1, "new", true)], &revisions, 0);
        assert_eq!((half.current_replicas, half.updated_replicas, half.current_revision.as_str()), (1, 1, "old"));
        let (whole, _) = status(&set(2), &[pod(0, "new", true), pod(1, "new", true)], &revisions, 0);
        assert_eq!((whole.current_replicas, whole.updated_replicas, whole.current_revision.as_str()), (2, 2, "new"));
    }
}
