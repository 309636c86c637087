//! Counting a job's pods: which have ended and how, which run, which indexes are done or given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drydock_api::time::parse_seconds;
use drydock_client::Object;
use drydock_client::types::Pod;

use super::indexes;
use super::policy::{Verdict, verdict};
use crate::kinds::{Job, JobStatus};

/// Keeps a pod until its end is counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often pods of the index failed before this one.
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often they failed in ways that do not count.
pub(super) const INDEX_IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

pub(super) fn is_indexed(job: &Job) -> bool {
    job.spec.completion_mode.as_deref() == Some("Indexed")
}

/// Whether pods are replaced only once they have ended.
pub(super) fn waits_for_end(job: &Job) -> bool {
    job.spec.pod_replacement_policy.as_deref() == Some("Failed") || job.spec.pod_failure_policy.is_some()
}

pub(super) fn index_of(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.get(INDEX)?.parse().ok()
}

fn number(pod: &Pod, annotation: &str) -> i32 {
    pod.metadata.annotations.get(annotation).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How often pods of its index failed before it: in ways that count, and in others.
pub(super) fn failures_before(pod: &Pod) -> (i32, i32) {
    (number(pod, INDEX_FAILURES), number(pod, INDEX_IGNORED))
}

/// Whether the pod counts as failed.
pub(super) fn has_failed(job: &Job, pod: &Pod) -> bool {
    // A pod that is deleted before its end counts as a failure too: it may never get to say so.
    pod.status.phase == "Failed"
        || (!waits_for_end(job) && pod.metadata.is_deleting() && pod.status.phase != "Succeeded")
}

/// When the pod ended, as far as it says so.
pub(super) fn ended_at(pod: &Pod) -> Option<i64> {
    let finished =
        pod.status.container_statuses.iter().filter_map(|container| {
            container.state.terminated.as_ref()?.finished_at.as_deref().and_then(parse_seconds)
        });
    finished.max().or_else(|| pod.metadata.creation_timestamp.as_deref().and_then(parse_seconds))
}

/// What there is of a job.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// Indexes that have succeeded.
    pub(super) done: BTreeSet<i32>,
    /// Indexes that were given up.
    pub(super) given_up: BTreeSet<i32>,
    /// The last failed pod of each index that is tried again; it stays until its successor is there.
    pub(super) last_failed: BTreeMap<i32, Arc<Pod>>,
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) terminating: Vec<Arc<Pod>>,
    /// Pods whose end the status now holds.
    pub(super) release: Vec<Arc<Pod>>,
    /// The message of the rule by which a pod ended the whole job.
    pub(super) fail_job: Option<String>,
    /// Something is in the status that waits for its pod to be released.
    pub(super) is_waiting: bool,
}

/// Counts, and moves pods from running to uncounted to counted in `status`.
/// `is_failing`: the job was given up, so whatever still runs counts as failed.
pub(super) fn count(job: &Job, status: &mut JobStatus, owned: &[Arc<Pod>], is_failing: bool) -> Tally {
    let mut tally = Tally::default();
    let indexed = is_indexed(job);
    let completions = job.spec.completions.unwrap_or_default();
    let in_range = |index: i32| (0..completions).contains(&index);
    for pod in owned.iter().filter(|pod| !pod.is_terminal()) {
        let side = if pod.metadata.is_deleting() { &mut tally.terminating } else { &mut tally.active };
        side.push(pod.clone());
    }
    tally.done = indexes::parse(&status.completed_indexes);
    for pod in owned.iter().filter(|pod| is_tracked(pod) && pod.status.phase == "Succeeded") {
        tally.done.extend(index_of(pod).filter(|_| indexed));
    }
    tally.done.retain(|index| in_range(*index));
    if job.spec.backoff_limit_per_index.is_some() && indexed {
        give_up(job, status, owned, &mut tally);
        tally.given_up.retain(|index| in_range(*index) && !tally.done.contains(index));
        status.failed_indexes = Some(indexes::format(&tally.given_up));
        keep_last(job, owned, is_failing, &mut tally);
    }

    let mut uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
    let held = |uid: &String| owned.iter().any(|pod| pod.uid() == uid && is_tracked(pod));
    let before = (uncounted.succeeded.len(), uncounted.failed.len());
    uncounted.succeeded.retain(held);
    uncounted.failed.retain(held);
    status.succeeded += (before.0 - uncounted.succeeded.len()) as i32;
    status.failed += (before.1 - uncounted.failed.len()) as i32;
    for pod in owned {
        let failed = has_failed(job, pod);
        let verdict = if failed { verdict(job, pod) } else { Verdict::Count };
        if let Verdict::FailJob(message) = &verdict {
            tally.fail_job.get_or_insert_with(|| message.clone());
        }
        if !is_tracked(pod) {
            continue;
        }
        let uid = pod.uid().to_owned();
        let is_valid = !indexed || index_of(pod).is_some_and(in_range);
        if pod.status.phase == "Succeeded" {
            // Of an index it is enough to know that it succeeded.
            if !indexed && !uncounted.succeeded.contains(&uid) && !uncounted.failed.contains(&uid) {
                uncounted.succeeded.push(uid);
            }
            tally.release.push(pod.clone());
        } else if failed || (is_failing && pod.metadata.is_deleting()) {
            if is_valid && verdict != Verdict::Ignore && !uncounted.failed.contains(&uid) {
                uncounted.failed.push(uid);
            }
            let is_kept = tally.last_failed.values().any(|kept| kept.uid() == pod.uid());
            if !is_kept {
                tally.release.push(pod.clone());
            }
        }
    }
    if indexed {
        status.completed_indexes = indexes::format(&tally.done);
        status.succeeded = tally.done.len() as i32;
    }
    tally.is_waiting = !uncounted.succeeded.is_empty() || !uncounted.failed.is_empty();
    tally.succeeded = status.succeeded + uncounted.succeeded.len() as i32;
    tally.failed = status.failed + uncounted.failed.len() as i32;
    status.uncounted_terminated_pods = Some(uncounted);
    status.active = tally.active.len() as i32;
    status.ready = Some(tally.active.iter().filter(|pod| pod.is_ready()).count() as i32);
    status.terminating = Some(tally.terminating.len() as i32);
    tally
}

/// Indexes whose pods failed as often as they may.
fn give_up(job: &Job, status: &JobStatus, owned: &[Arc<Pod>], tally: &mut Tally) {
    let limit = job.spec.backoff_limit_per_index.unwrap_or_default();
    tally.given_up = indexes::parse(status.failed_indexes.as_deref().unwrap_or_default());
    for pod in owned.iter().filter(|pod| is_tracked(pod) && has_failed(job, pod)) {
        let is_last = match verdict(job, pod) {
            Verdict::FailIndex => true,
            Verdict::Ignore => false,
            _ => failures_before(pod).0 >= limit,
        };
        tally.given_up.extend(index_of(pod).filter(|_| is_last));
    }
}

/// The failed pods that say how often their index failed, until a successor says it.
fn keep_last(job: &Job, owned: &[Arc<Pod>], is_failing: bool, tally: &mut Tally) {
    if is_failing {
        return;
    }
    for pod in owned.iter().filter(|pod| is_tracked(pod) && has_failed(job, pod)) {
        let Some(index) = index_of(pod) else { continue };
        let is_settled = tally.done.contains(&index) || tally.given_up.contains(&index);
        let has_successor = tally
            .active
            .iter()
            .any(|active| index_of(active) == Some(index) && failures_before(active) > failures_before(pod));
        if is_settled || has_successor {
            continue;
        }
        let is_later = tally.last_failed.get(&index).is_none_or(|kept| failures_before(kept) < failures_before(pod));
        if is_later {
            tally.last_failed.insert(index, pod.clone());
        }
    }
}
