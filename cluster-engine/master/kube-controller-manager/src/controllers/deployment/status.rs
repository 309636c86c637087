//! What a deployment's status says, and when it counts as stuck.

use drydock_api::time::parse_seconds;
use drydock_client::Object;
use drydock_client::types::Condition;

use super::Sets;
use super::scale::bounds;
use crate::kinds::{Deployment, DeploymentStatus};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// Whether progress is watched at all; the largest number means that it is not.
pub(super) fn has_deadline(deployment: &Deployment) -> bool {
    deployment.spec.progress_deadline_seconds.is_some_and(|seconds| seconds != i32::MAX)
}

fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Sets a condition unless status and reason are what they were; it moves to the end
/// (upstream: `SetDeploymentCondition`).
pub(super) fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let old = find(conditions, kind);
    if old.is_some_and(|old| old.status == value && old.reason == reason) {
        return;
    }
    let since = old.filter(|old| old.status == value).and_then(|old| old.last_transition_time.clone());
    conditions.retain(|condition| condition.kind != kind);
    conditions.push(Condition {
        kind: kind.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_update_time: Some(now.to_owned()),
        last_transition_time: Some(since.unwrap_or_else(|| now.to_owned())),
        ..Condition::default()
    });
}

/// The numbers, and whether enough is available.
pub(super) fn calculate(deployment: &Deployment, sets: &Sets, now: &str) -> DeploymentStatus {
    let sum = |of: fn(&crate::kinds::ReplicaSet) -> i32| -> i32 { sets.all().map(|set| of(set)).sum() };
    let available = sum(|set| set.status.available_replicas);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: sum(|set| set.status.replicas),
        updated_replicas: sets.new.as_ref().map_or(0, |set| set.status.replicas),
        ready_replicas: sum(|set| set.status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (sum(|set| set.replicas()) - available).max(0),
        terminating_replicas: Some(sum(|set| set.status.terminating_replicas.unwrap_or_default())),
        conditions: deployment.status.conditions.clone(),
        collision_count: deployment.status.collision_count,
    };
    let enough = available >= deployment.replicas() - bounds(deployment).1;
    let (value, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_condition(&mut status.conditions, AVAILABLE, value, reason, message, now);
    status
}

/// Whether all pods are new and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.replicas();
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn has_progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    new.updated_replicas > old.updated_replicas
        || new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: i64) -> bool {
    let Some(condition) = find(&status.conditions, PROGRESSING) else { return false };
    match condition.reason.as_str() {
        NEW_AVAILABLE => false,
        TIMED_OUT => true,
        _ => {
            let since = condition.last_update_time.as_deref().and_then(parse_seconds).unwrap_or(now);
            since + i64::from(deployment.spec.progress_deadline_seconds.unwrap_or(i32::MAX)) < now
        }
    }
}

/// Adds what is to be said about progress (upstream: `syncRolloutStatus`).
pub(super) fn with_progress(
    deployment: &Deployment,
    sets: &Sets,
    mut status: DeploymentStatus,
    now: i64,
    timestamp: &str,
) -> DeploymentStatus {
    let current = find(&deployment.status.conditions, PROGRESSING).cloned();
    if !has_deadline(deployment) {
        status.conditions.retain(|condition| condition.kind != PROGRESSING);
    }
    let was_complete = status.replicas == status.updated_replicas
        && current.as_ref().is_some_and(|current| current.reason == NEW_AVAILABLE);
    let subject = match &sets.new {
        Some(new) => format!("ReplicaSet {:?}", new.name()),
        None => format!("Deployment {:?}", deployment.name()),
    };
    if has_deadline(deployment) && !was_complete {
        if is_complete(deployment, &status) {
            let message = format!("{subject} has successfully progressed.");
            set_condition(&mut status.conditions, PROGRESSING, "True", NEW_AVAILABLE, &message, timestamp);
        } else if has_progressed(&deployment.status, &status) {
            // Each step counts as an update, though status and reason stay the same.
            let since =
                current.filter(|current| current.status == "True").and_then(|current| current.last_transition_time);
            status.conditions.retain(|condition| condition.kind != PROGRESSING);
            let message = format!("{subject} is progressing.");
            set_condition(&mut status.conditions, PROGRESSING, "True", "ReplicaSetUpdated", &message, timestamp);
            if let (Some(since), Some(condition)) = (since, status.conditions.last_mut()) {
                condition.last_transition_time = Some(since);
            }
        } else if has_timed_out(deployment, &status, now) {
            let message = format!("{subject} has timed out progressing.");
            set_condition(&mut status.conditions, PROGRESSING, "False", TIMED_OUT, &message, timestamp);
        }
    }
    // What keeps a replica set from making pods shows here too; the newest says it best.
    let failures = sets.new.iter().chain(&sets.old).filter_map(|set| find(&set.status.conditions, FAILURE));
    match failures.clone().next() {
        None => status.conditions.retain(|condition| condition.kind != FAILURE),
        Some(failure) => {
            set_condition(
                &mut status.conditions,
                FAILURE,
                &failure.status,
                &failure.reason,
                &failure.message,
                timestamp,
            );
        }
    }
    status
}

/// Notes on the deployment that it was paused or resumed, so that the time does not count.
pub(super) fn paused(deployment: &Deployment, now: &str) -> Option<DeploymentStatus> {
    if !has_deadline(deployment) {
        return None;
    }
    let current = find(&deployment.status.conditions, PROGRESSING);
    if current.is_some_and(|current| current.reason == TIMED_OUT) {
        return None;
    }
    let is_noted = current.is_some_and(|current| current.reason == "DeploymentPaused");
    let (reason, message) = match (deployment.spec.paused, is_noted) {
        (true, false) => ("DeploymentPaused", "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return None,
    };
    let mut status = deployment.status.clone();
    set_condition(&mut status.conditions, PROGRESSING, "Unknown", reason, message, now);
    Some(status)
}

/// In how many seconds the deployment will count as stuck if nothing happens.
pub(super) fn seconds_until_stuck(deployment: &Deployment, status: &DeploymentStatus, now: i64) -> Option<u64> {
    let condition = find(&status.conditions, PROGRESSING)?;
    if !has_deadline(deployment) || is_complete(deployment, status) || condition.reason == TIMED_OUT {
        return None;
    }
    let since = condition.last_update_time.as_deref().and_then(parse_seconds)?;
    let at = since + i64::from(deployment.spec.progress_deadline_seconds?);
    Some(u64::try_from(at - now).unwrap_or_default() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ReplicaSet;
    use std::sync::Arc;

    fn deployment(replicas: i32) -> Deployment {
        let mut deployment = Deployment::default();
        deployment.metadata.name = "web".into();
        deployment.metadata.generation = 2;
        deployment.spec.replicas = Some(replicas);
        deployment.spec.progress_deadline_seconds = Some(600);
        deployment
    }

    fn sets(replicas: i32, available: i32) -> Sets {
        let mut set = ReplicaSet::default();
        set.metadata.name = "web-1".into();
        set.spec.replicas = Some(replicas);
        set.status.replicas = replicas;
        set.status.ready_replicas = available;
        set.status.available_replicas = available;
        Sets { new: Some(Arc::new(set)), old: Vec::new() }
    }

    fn said(status: &DeploymentStatus) -> Vec<(&str, &str, &str, &str)> {
        status
            .conditions
            .iter()
            .map(|c| (c.kind.as_str(), c.status.as_str(), c.reason.as_str(), c.message.as_str()))
            .collect()
    }

    fn round(deployment: &mut Deployment, sets: &Sets, timestamp: &str) {
        let now = parse_seconds(timestamp).unwrap();
        deployment.status = with_progress(deployment, sets, calculate(deployment, sets, timestamp), now, timestamp);
    }

    const UNAVAILABLE: (&str, &str, &str, &str) =
        ("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");

    #[test]
    fn a_rollout_is_told_step_by_step() {
        let mut d = deployment(2);
        round(&mut d, &sets(2, 0), "2026-01-01T00:00:00Z");
        assert_eq!(
            said(&d.status),
            [UNAVAILABLE, ("Progressing", "True", "ReplicaSetUpdated", "ReplicaSet \"web-1\" is progressing.")]
        );
        let before = d.status.clone();
        round(&mut d, &sets(2, 0), "2026-01-01T00:00:05Z");
        assert_eq!(d.status, before, "nothing new");
        assert_eq!(seconds_until_stuck(&d, &d.status, parse_seconds("2026-01-01T00:00:05Z").unwrap()), Some(596));
        round(&mut d, &sets(2, 2), "2026-01-01T00:00:09Z");
        assert_eq!(
            said(&d.status),
            [
                ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
                ("Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet \"web-1\" has successfully progressed."),
            ]
        );
        let progressing = find(&d.status.conditions, PROGRESSING).unwrap();
        assert_eq!(progressing.last_transition_time.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert!(is_complete(&d, &d.status));
        assert_eq!(seconds_until_stuck(&d, &d.status, 0), None);
    }

    #[test]
    fn a_stuck_rollout_times_out() {
        let mut d = deployment(2);
        round(&mut d, &sets(2, 0), "2026-01-01T00:00:00Z");
        round(&mut d, &sets(2, 0), "2026-01-01T00:10:01Z");
        assert_eq!(
            said(&d.status)[1],
            ("Progressing", "False", TIMED_OUT, "ReplicaSet \"web-1\" has timed out progressing.")
        );
        assert!(paused(&d, "T").is_none());
    }

    #[test]
    fn pausing_is_noted_once() {
        let mut d = deployment(1);
        d.spec.paused = true;
        d.status = paused(&d, "T1").unwrap();
        assert_eq!(said(&d.status), [("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")]);
        assert!(paused(&d, "T2").is_none());
        d.spec.paused = false;
        assert_eq!(said(&paused(&d, "T3").unwrap())[0].2, "DeploymentResumed");
    }

    #[test]
    fn failures_of_replica_sets_show() {
        let d = deployment(1);
        let mut sets = sets(1, 0);
        let mut set = (**sets.new.as_ref().unwrap()).clone();
        set.status.conditions.push(Condition {
            kind: FAILURE.into(),
            status: "True".into(),
            reason: "FailedCreate".into(),
            message: "quota".into(),
            ..Condition::default()
        });
        sets.new = Some(Arc::new(set));
        let status = with_progress(&d, &sets, calculate(&d, &sets, "T"), 0, "T");
        assert!(said(&status).contains(&(FAILURE, "True", "FailedCreate", "quota")));
    }
}
