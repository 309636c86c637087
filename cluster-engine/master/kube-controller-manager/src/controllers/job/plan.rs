//! What is to be done for a job: count pods that ended, make others, and say when it is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use drydock_api::time::{format_seconds, parse_seconds};
use drydock_client::types::{Condition, Pod};
use drydock_client::{EventType, Object};

use super::{indexes, verdict};
use crate::kinds::{Job, JobStatus, Uncounted};

/// Keeps a pod until its end is counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How long is waited after a failure; it doubles with each further one.
const FIRST_PAUSE: i64 = 10;
const LONGEST_PAUSE: i64 = 600;

/// What is to be done, in this order: write the status, release, delete, create.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) status: JobStatus,
    pub(super) events: Vec<(EventType, String, String)>,
    pub(super) release: Vec<Arc<Pod>>,
    pub(super) delete: Vec<Arc<Pod>>,
    /// One entry per pod, with its index if the job is indexed.
    pub(super) create: Vec<Option<i32>>,
    pub(super) look_again: Option<u64>,
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

fn index_of(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.get(INDEX)?.parse().ok()
}

fn has_failed(pod: &Pod) -> bool {
    // A pod that is deleted before its end counts as a failure: it may never get to say so.
    pod.status.phase == "Failed" || (pod.metadata.is_deleting() && pod.status.phase != "Succeeded")
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
    let mut done = indexes::parse(&plan.status.completed_indexes);
    count(&mut plan, owned, &mut done);
    let is_indexed = job.spec.completion_mode.as_deref() == Some("Indexed");
    if is_indexed {
        let wanted = job.spec.completions.unwrap_or_default();
        done.retain(|index| *index < wanted);
        plan.status.completed_indexes = indexes::format(&done);
    }

    let active: Vec<Arc<Pod>> =
        owned.iter().filter(|pod| !pod.is_terminal() && !pod.metadata.is_deleting()).cloned().collect();
    let terminating = owned.iter().filter(|pod| !pod.is_terminal() && pod.metadata.is_deleting()).count();
    let uncounted = plan.status.uncounted_terminated_pods.clone().unwrap_or_default();
    let succeeded =
        if is_indexed { done.len() as i32 } else { plan.status.succeeded + uncounted.succeeded.len() as i32 };
    let failed = plan.status.failed + uncounted.failed.len() as i32;
    plan.status.active = active.len() as i32;
    plan.status.ready = Some(active.iter().filter(|pod| pod.is_ready()).count() as i32);
    plan.status.terminating = Some(terminating as i32);

    decide(job, &mut plan.status, &active, succeeded, failed, now);
    suspend(job, &mut plan, is_suspended, now);

    let is_over = has(&plan.status, "FailureTarget") || has(&plan.status, "SuccessCriteriaMet");
    if is_over || is_suspended {
        plan.delete = active;
        plan.status.active = 0;
        plan.status.ready = Some(0);
        plan.status.terminating = Some((terminating + plan.delete.len()) as i32);
        if is_over && plan.delete.is_empty() && terminating == 0 && uncounted == Uncounted::default() {
            finish(&mut plan, now);
        }
        if !may_act {
            plan.delete.clear();
        }
        return plan;
    }
    if may_act {
        scale(job, &mut plan, &active, &done, succeeded, failed, terminating, owned, now);
    }
    if let Some(deadline) = deadline(job, &plan.status) {
        let left = u64::try_from(deadline - now).unwrap_or_default() + 1;
        plan.look_again = Some(plan.look_again.map_or(left, |before| before.min(left)));
    }
    plan
}

/// Moves pods from running to uncounted to counted.
fn count(plan: &mut Plan, owned: &[Arc<Pod>], done: &mut BTreeSet<i32>) {
    let status = &mut plan.status;
    let mut uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
    let held = |uid: &String| owned.iter().any(|pod| pod.uid() == uid && is_tracked(pod));
    let before = uncounted.succeeded.len();
    uncounted.succeeded.retain(held);
    status.succeeded += (before - uncounted.succeeded.len()) as i32;
    let before = uncounted.failed.len();
    uncounted.failed.retain(held);
    status.failed += (before - uncounted.failed.len()) as i32;
    for pod in owned.iter().filter(|pod| is_tracked(pod)) {
        let uid = pod.uid().to_owned();
        let is_known = uncounted.succeeded.contains(&uid) || uncounted.failed.contains(&uid);
        if pod.status.phase == "Succeeded" {
            if let Some(index) = index_of(pod) {
                // One index counts once, however many pods did it.
                if !is_known && !done.insert(index) {
                    plan.release.push(pod.clone());
                    continue;
                }
            }
            if !is_known {
                uncounted.succeeded.push(uid);
            }
            plan.release.push(pod.clone());
        } else if has_failed(pod) && (pod.is_terminal() || pod.metadata.is_deleting()) {
            if !is_known {
                uncounted.failed.push(uid);
            }
            plan.release.push(pod.clone());
        }
    }
    status.uncounted_terminated_pods = Some(uncounted);
}

fn deadline(job: &Job, status: &JobStatus) -> Option<i64> {
    let started = status.start_time.as_deref().and_then(parse_seconds)?;
    Some(started + job.spec.active_deadline_seconds?)
}

/// Whether the job has reached its end, good or bad.
fn decide(job: &Job, status: &mut JobStatus, active: &[Arc<Pod>], succeeded: i32, failed: i32, now: i64) {
    if has(status, "FailureTarget") || has(status, "SuccessCriteriaMet") {
        return;
    }
    let limit = job.spec.backoff_limit.unwrap_or(6);
    let restarts: i32 = active
        .iter()
        .filter(|pod| pod.spec.restart_policy == "OnFailure")
        .flat_map(|pod| pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses))
        .map(|container| container.restart_count)
        .sum();
    let restarts_out = restarts > 0 && restarts >= limit.max(1);
    if failed > limit || restarts_out {
        let message = "Job has reached the specified backoff limit";
        set(status, "FailureTarget", "True", "BackoffLimitExceeded", message, now);
    } else if job.spec.suspend != Some(true) && deadline(job, status).is_some_and(|at| at <= now) {
        let message = "Job was active longer than specified deadline";
        set(status, "FailureTarget", "True", "DeadlineExceeded", message, now);
    } else {
        let is_complete = match job.spec.completions {
            None => succeeded > 0 && active.is_empty(),
            Some(wanted) => succeeded >= wanted,
        };
        if is_complete {
            let message = "Reached expected number of succeeded pods";
            set(status, "SuccessCriteriaMet", "True", "CompletionsReached", message, now);
        }
    }
}

fn suspend(job: &Job, plan: &mut Plan, is_suspended: bool, now: i64) {
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
    debug_assert!(job.finished().is_none());
}

/// Everything is counted: the verdict.
fn finish(plan: &mut Plan, now: i64) {
    let failure = plan.status.conditions.iter().find(|condition| condition.kind == "FailureTarget").cloned();
    let (kind, reason, message) = match failure {
        Some(failure) => ("Failed", failure.reason, failure.message),
        None => ("Complete", "CompletionsReached".to_owned(), "Reached expected number of succeeded pods".to_owned()),
    };
    set(&mut plan.status, kind, "True", &reason, &message, now);
    if kind == "Complete" {
        plan.status.completion_time = Some(format_seconds(now));
        plan.events.push((verdict(kind), "Completed".to_owned(), "Job completed".to_owned()));
    } else {
        plan.events.push((verdict(kind), reason, message));
    }
}

/// Makes or deletes pods until as many run as should.
#[expect(clippy::too_many_arguments, reason = "all of them are read once, and together they are no thing of their own")]
fn scale(
    job: &Job,
    plan: &mut Plan,
    active: &[Arc<Pod>],
    done: &BTreeSet<i32>,
    succeeded: i32,
    failed: i32,
    terminating: usize,
    owned: &[Arc<Pod>],
    now: i64,
) {
    let parallelism = job.spec.parallelism.unwrap_or(1);
    let running = active.len() as i32;
    let wanted = match job.spec.completions {
        None if succeeded > 0 => running.min(parallelism),
        None => parallelism,
        Some(completions) => (completions - succeeded).clamp(0, parallelism),
    };
    if running > wanted {
        let mut surplus = active.to_vec();
        surplus.sort_by_key(|pod| (pod.is_ready(), std::cmp::Reverse(pod.metadata.creation_timestamp.clone())));
        surplus.truncate((running - wanted) as usize);
        plan.delete = surplus;
        return;
    }
    let occupied = if job.spec.pod_replacement_policy.as_deref() == Some("Failed") { terminating as i32 } else { 0 };
    let missing = wanted - running - occupied;
    if missing <= 0 {
        return;
    }
    if failed > 0
        && let Some(last) = last_failure(owned)
    {
        let pause = FIRST_PAUSE.saturating_mul(1 << (failed - 1).clamp(0, 10)).min(LONGEST_PAUSE);
        if let Ok(left @ 1..) = u64::try_from(last + pause - now) {
            plan.look_again = Some(left);
            return;
        }
    }
    if job.spec.completion_mode.as_deref() == Some("Indexed") {
        let taken: BTreeSet<i32> = active.iter().filter_map(|pod| index_of(pod)).collect();
        let free = (0..job.spec.completions.unwrap_or_default()).filter(|n| !done.contains(n) && !taken.contains(n));
        plan.create = free.take(missing as usize).map(Some).collect();
    } else {
        plan.create = vec![None; missing as usize];
    }
    plan.status.active += plan.create.len() as i32;
}

/// When a pod failed last.
fn last_failure(owned: &[Arc<Pod>]) -> Option<i64> {
    let ends = owned.iter().filter(|pod| pod.status.phase == "Failed").filter_map(|pod| {
        let finished = pod.status.container_statuses.iter().filter_map(|container| {
            container.state.terminated.as_ref()?.finished_at.as_deref().and_then(parse_seconds)
        });
        finished.max().or_else(|| pod.metadata.creation_timestamp.as_deref().and_then(parse_seconds))
    });
    ends.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(completions: Option<i32>, parallelism: i32) -> Job {
        let mut job = Job::default();
        job.spec.completions = completions;
        job.spec.parallelism = Some(parallelism);
        job
    }

    fn pod(name: &str, phase: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.metadata.uid = name.into();
        pod.metadata.finalizers.push(FINALIZER.into());
        pod.metadata.creation_timestamp = Some("1970-01-01T00:00:00Z".into());
        pod.status.phase = phase.into();
        Arc::new(pod)
    }

    fn released(pod: &Arc<Pod>) -> Arc<Pod> {
        let mut pod = (**pod).clone();
        pod.metadata.finalizers.clear();
        Arc::new(pod)
    }

    /// Plans again and again, as the server and the kubelet would answer, until nothing changes.
    fn run(job: &mut Job, pods: &mut Vec<Arc<Pod>>, now: i64) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..10 {
            let plan = plan(job, pods, now, true);
            let quiet = plan.status == job.status && plan.create.is_empty() && plan.delete.is_empty();
            told.extend(plan.events.iter().map(|(_, reason, _)| reason.clone()));
            job.status = plan.status;
            for gone in plan.release {
                for pod in pods.iter_mut().filter(|pod| pod.uid() == gone.uid()) {
                    *pod = released(pod);
                }
            }
            pods.retain(|pod| !plan.delete.iter().any(|gone| gone.uid() == pod.uid()));
            for index in plan.create {
                let mut new = (*pod(&format!("p{}", pods.len()), "Running")).clone();
                if let Some(index) = index {
                    new.metadata.annotations.insert(INDEX.into(), index.to_string());
                }
                pods.push(Arc::new(new));
            }
            if quiet {
                return told;
            }
        }
        panic!("the job does not come to rest");
    }

    fn end(pods: &mut [Arc<Pod>], at: usize, phase: &str) {
        let mut pod = (*pods[at]).clone();
        pod.status.phase = phase.into();
        pods[at] = Arc::new(pod);
    }

    #[test]
    fn completions_are_reached() {
        let (mut job, mut pods) = (job(Some(3), 2), Vec::new());
        run(&mut job, &mut pods, 0);
        assert_eq!(job.status.active, 2);
        end(&mut pods, 0, "Succeeded");
        end(&mut pods, 1, "Succeeded");
        run(&mut job, &mut pods, 1);
        assert_eq!((job.status.succeeded, job.status.active, pods.len()), (2, 1, 3));
        end(&mut pods, 2, "Succeeded");
        assert_eq!(run(&mut job, &mut pods, 2), ["Completed"]);
        assert!(job.is("Complete").is_some() && job.is("SuccessCriteriaMet").is_some());
        assert_eq!((job.status.succeeded, job.status.active), (3, 0));
        assert_eq!(job.status.completion_time.as_deref(), Some("1970-01-01T00:00:02Z"));
    }

    #[test]
    fn failures_pause_and_end() {
        let (mut job, mut pods) = (job(Some(1), 1), Vec::new());
        job.spec.backoff_limit = Some(1);
        run(&mut job, &mut pods, 0);
        end(&mut pods, 0, "Failed");
        run(&mut job, &mut pods, 1);
        assert_eq!((job.status.failed, pods.len()), (1, 1), "a pause");
        assert_eq!(plan(&job, &pods, 1, true).look_again, Some(9));
        run(&mut job, &mut pods, 11);
        assert_eq!(pods.len(), 2);
        end(&mut pods, 1, "Failed");
        assert_eq!(run(&mut job, &mut pods, 12), ["BackoffLimitExceeded"]);
        let verdict = job.is("Failed").unwrap();
        assert_eq!(verdict.message, "Job has reached the specified backoff limit");
    }

    #[test]
    fn deadlines_and_suspension() {
        let (mut job, mut pods) = (job(Some(1), 1), Vec::new());
        job.spec.suspend = Some(true);
        assert_eq!(run(&mut job, &mut pods, 0), ["Suspended"]);
        assert!(pods.is_empty());
        job.spec.suspend = Some(false);
        job.spec.active_deadline_seconds = Some(5);
        assert_eq!(run(&mut job, &mut pods, 1), ["Resumed"]);
        assert_eq!(run(&mut job, &mut pods, 6), ["DeadlineExceeded"]);
        assert!(pods.is_empty() && job.is("Failed").is_some());
    }

    #[test]
    fn each_index_once() {
        let (mut job, mut pods) = (job(Some(3), 3), Vec::new());
        job.spec.completion_mode = Some("Indexed".into());
        run(&mut job, &mut pods, 0);
        let taken: Vec<_> = pods.iter().filter_map(|pod| index_of(pod)).collect();
        assert_eq!(taken, [0, 1, 2]);
        end(&mut pods, 0, "Succeeded");
        end(&mut pods, 2, "Succeeded");
        run(&mut job, &mut pods, 1);
        assert_eq!(job.status.completed_indexes, "0,2");
        end(&mut pods, 1, "Succeeded");
        assert_eq!(run(&mut job, &mut pods, 2), ["Completed"]);
        assert_eq!(job.status.completed_indexes, "0-2");
    }

    #[test]
    fn a_work_queue_ends_when_all_its_pods_have() {
        let (mut job, mut pods) = (job(None, 2), Vec::new());
        run(&mut job, &mut pods, 0);
        end(&mut pods, 0, "Succeeded");
        run(&mut job, &mut pods, 1);
        assert!(job.finished().is_none() && pods.len() == 2);
        end(&mut pods, 1, "Succeeded");
        assert_eq!(run(&mut job, &mut pods, 2), ["Completed"]);
    }
}
