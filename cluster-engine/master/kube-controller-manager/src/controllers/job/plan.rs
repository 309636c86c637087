//! What is to be done for a job: count pods that ended, make others, and say when it is over
//! (upstream: `syncJob`).

use std::sync::Arc;

use drydock_api::time::{format_seconds, parse_seconds};
use drydock_client::EventType;
use drydock_client::types::{Condition, Pod};

use super::count::{Tally, count, is_indexed, is_tracked};
use super::policy::is_enough;
use super::scale::{self, NewPod};
use super::verdict;
use crate::kinds::{Job, JobStatus};

/// What is to be done, in this order: write the status, release, drop, delete, create.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) status: JobStatus,
    pub(super) events: Vec<(EventType, String, String)>,
    /// Pods whose finalizer goes.
    pub(super) release: Vec<Arc<Pod>>,
    /// Pods that are deleted and do not count as failed.
    pub(super) drop: Vec<Arc<Pod>>,
    /// Pods that are deleted because the job is over.
    pub(super) delete: Vec<Arc<Pod>>,
    pub(super) create: Vec<NewPod>,
    pub(super) look_again: Option<u64>,
}

impl Plan {
    /// Looks again after `seconds` at the latest.
    pub(super) fn again(&mut self, seconds: u64) {
        self.look_again = Some(self.look_again.map_or(seconds, |before| before.min(seconds)));
    }
}

fn has(status: &JobStatus, kind: &str) -> bool {
    status.conditions.iter().any(|condition| condition.kind == kind && condition.status == "True")
}

fn set(status: &mut JobStatus, kind: &str, value: &str, reason: &str, message: &str, now: i64) {
    let at = Some(format_seconds(now));
    let old = status.conditions.iter_mut().find(|condition| condition.kind == kind);
    let new = Condition {
        kind: kind.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_probe_time: at.clone(),
        last_transition_time: at,
        ..Condition::default()
    };
    match old {
        Some(old) if old.status == value && old.reason == reason => {}
        Some(old) => *old = new,
        None => status.conditions.push(new),
    }
}

/// `may_act`: everything done before is visible, so that pods may be made and deleted.
pub(super) fn plan(job: &Job, owned: &[Arc<Pod>], now: i64, may_act: bool) -> Plan {
    let mut plan = Plan { status: job.status.clone(), ..Plan::default() };
    if job.finished().is_some() {
        // Whatever is left is of no interest any more.
        plan.release = owned.iter().filter(|pod| is_tracked(pod)).cloned().collect();
        return plan;
    }
    let is_suspended = job.spec.suspend == Some(true);
    if plan.status.start_time.is_none() && !is_suspended {
        plan.status.start_time = Some(format_seconds(now));
    }
    let mut tally = count(job, &mut plan.status, owned, has(&job.status, "FailureTarget"));
    decide(job, &mut plan.status, &tally, now);
    let is_over = has(&plan.status, "FailureTarget") || has(&plan.status, "SuccessCriteriaMet");
    if is_over && !tally.last_failed.is_empty() {
        // Nobody comes after them any more.
        plan.release.extend(std::mem::take(&mut tally.last_failed).into_values());
    }
    plan.release.append(&mut tally.release);
    if !is_over {
        suspend(&mut plan, is_suspended, now);
    }
    if is_over || is_suspended {
        let gone = if may_act { tally.active.clone() } else { Vec::new() };
        plan.status.terminating = Some((tally.terminating.len() + gone.len()) as i32);
        plan.status.active = (tally.active.len() - gone.len()) as i32;
        if may_act {
            plan.status.ready = Some(0);
        }
        if is_over && tally.active.is_empty() && tally.terminating.is_empty() && !tally.is_waiting {
            finish(&mut plan, now);
        }
        // A suspended job's pods did not fail.
        if is_over {
            plan.delete = gone;
        } else {
            plan.drop = gone;
        }
        return plan;
    }
    if may_act {
        scale::scale(job, &mut plan, &tally, owned, now);
    }
    if let Some(deadline) = deadline(job, &plan.status) {
        plan.again(u64::try_from(deadline - now).unwrap_or_default() + 1);
    }
    plan
}

fn deadline(job: &Job, status: &JobStatus) -> Option<i64> {
    let started = status.start_time.as_deref().and_then(parse_seconds)?;
    Some(started + job.spec.active_deadline_seconds?)
}

/// Whether the job has reached its end, good or bad.
fn decide(job: &Job, status: &mut JobStatus, tally: &Tally, now: i64) {
    if has(status, "FailureTarget") || has(status, "SuccessCriteriaMet") {
        return;
    }
    let mut fail = |reason: &str, message: &str| set(status, "FailureTarget", "True", reason, message, now);
    if let Some(message) = &tally.fail_job {
        return fail("PodFailurePolicy", message);
    }
    let limit = job.spec.backoff_limit.unwrap_or(6);
    let restarts: i32 = tally
        .active
        .iter()
        .filter(|pod| pod.spec.restart_policy == "OnFailure")
        .flat_map(|pod| pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses))
        .map(|container| container.restart_count)
        .sum();
    if tally.failed > limit || (restarts > 0 && restarts >= limit.max(1)) {
        return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    let is_late = job.spec.suspend != Some(true)
        && job.spec.active_deadline_seconds.is_some_and(|seconds| {
            let started = status.start_time.as_deref().and_then(parse_seconds);
            started.is_some_and(|started| started + seconds <= now)
        });
    let mut fail = |reason: &str, message: &str| set(status, "FailureTarget", "True", reason, message, now);
    if is_late {
        return fail("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let completions = job.spec.completions.unwrap_or_default();
    let given_up = tally.given_up.len() as i32;
    if job.spec.max_failed_indexes.is_some_and(|most| given_up > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return fail("MaxFailedIndexesExceeded", message);
    }
    if given_up > 0 && given_up + tally.done.len() as i32 >= completions {
        return fail("FailedIndexes", "Job has failed indexes");
    }
    if is_indexed(job)
        && let Some(message) = is_enough(job.spec.success_policy.as_ref(), completions, &tally.done)
    {
        return set(status, "SuccessCriteriaMet", "True", "SuccessPolicy", &message, now);
    }
    let is_complete = match job.spec.completions {
        None => tally.succeeded > 0 && tally.active.is_empty(),
        Some(wanted) => tally.succeeded >= wanted,
    };
    if is_complete {
        let message = "Reached expected number of succeeded pods";
        set(status, "SuccessCriteriaMet", "True", "CompletionsReached", message, now);
    }
}

fn suspend(plan: &mut Plan, is_suspended: bool, now: i64) {
    let was = has(&plan.status, "Suspended");
    let mut tell = |reason: &str, message: &str| {
        plan.events.push((EventType::Normal, reason.to_owned(), message.to_owned()));
    };
    if is_suspended && !was {
        tell("Suspended", "Job suspended");
        set(&mut plan.status, "Suspended", "True", "JobSuspended", "Job suspended", now);
        plan.status.start_time = None;
    } else if !is_suspended && was {
        tell("Resumed", "Job resumed");
        set(&mut plan.status, "Suspended", "False", "JobResumed", "Job resumed", now);
        plan.status.start_time = Some(format_seconds(now));
    }
}

/// Everything is counted: the verdict.
fn finish(plan: &mut Plan, now: i64) {
    let find = |kind: &str| plan.status.conditions.iter().find(|condition| condition.kind == kind).cloned();
    let (kind, why) = match find("FailureTarget") {
        Some(why) => ("Failed", why),
        None => ("Complete", find("SuccessCriteriaMet").unwrap_or_default()),
    };
    set(&mut plan.status, kind, "True", &why.reason, &why.message, now);
    if kind == "Complete" {
        plan.status.completion_time = Some(format_seconds(now));
        plan.events.push((verdict(kind), "Completed".to_owned(), "Job completed".to_owned()));
    } else {
        plan.events.push((verdict(kind), why.reason, why.message));
    }
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
