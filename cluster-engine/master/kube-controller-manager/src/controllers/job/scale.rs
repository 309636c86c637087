//! Makes or deletes pods until as many run as should (upstream: `manageJob`).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use drydock_client::types::Pod;

use super::count::{Tally, ended_at, failures_before, has_failed, index_of, is_indexed, waits_for_end};
use super::plan::Plan;
use super::policy::{Verdict, verdict};
use crate::kinds::Job;

/// How long is waited after a failure; it doubles with each further one.
const FIRST_PAUSE: i64 = 10;
const LONGEST_PAUSE: i64 = 600;
/// At most this many pods are made or deleted at once (upstream: MaxPodCreateDeletePerSync).
const BURST: usize = 500;

/// A pod to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NewPod {
    /// Its index, if the job is indexed.
    pub(super) index: Option<i32>,
    /// How often pods of its index failed before, in ways that count and in others; if that matters.
    pub(super) failures: Option<(i32, i32)>,
}

pub(super) fn scale(job: &Job, plan: &mut Plan, tally: &Tally, owned: &[Arc<Pod>], now: i64) {
    let parallelism = job.spec.parallelism.unwrap_or(1);
    let running = tally.active.len() as i32;
    let wanted = match job.spec.completions {
        None if tally.succeeded > 0 => running.min(parallelism),
        None => parallelism,
        Some(completions) => (completions - tally.succeeded).clamp(0, parallelism),
    };
    let gone = surplus(job, tally, usize::try_from(running - wanted).unwrap_or_default());
    if !gone.is_empty() {
        plan.status.active -= gone.len() as i32;
        plan.status.terminating = Some(plan.status.terminating.unwrap_or_default() + gone.len() as i32);
        plan.drop = gone;
        return;
    }
    let occupied = if waits_for_end(job) { tally.terminating.len() as i32 } else { 0 };
    let missing = usize::try_from(wanted - running - occupied).unwrap_or_default().min(BURST);
    if missing == 0 {
        return;
    }
    if is_indexed(job) {
        create_indexed(job, plan, tally, owned, missing, now);
    } else if let Some(left) = pause(owned, |pod| has_failed(job, pod), now) {
        plan.again(left);
    } else {
        plan.create = vec![NewPod::default(); missing];
    }
    plan.status.active += plan.create.len() as i32;
}

/// Pods that are too many: of an index that has one already or is none of the job's, then the most dispensable.
fn surplus(job: &Job, tally: &Tally, at_least: usize) -> Vec<Arc<Pod>> {
    let mut left = tally.active.clone();
    left.sort_by_key(|pod| {
        (pod.is_ready(), pod.status.phase == "Running", Reverse(pod.metadata.creation_timestamp.clone()))
    });
    let mut gone = Vec::new();
    if is_indexed(job) {
        let completions = job.spec.completions.unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut single = Vec::new();
        // The least dispensable of an index stays.
        for pod in left.into_iter().rev() {
            match index_of(&pod) {
                Some(index) if (0..completions).contains(&index) && seen.insert(index) => single.push(pod),
                _ => gone.push(pod),
            }
        }
        single.reverse();
        left = single;
    }
    let more = at_least.saturating_sub(gone.len());
    gone.extend(left.into_iter().take(more));
    gone.truncate(BURST);
    gone
}

fn create_indexed(job: &Job, plan: &mut Plan, tally: &Tally, owned: &[Arc<Pod>], missing: usize, now: i64) {
    let per_index = job.spec.backoff_limit_per_index.is_some();
    if !per_index && let Some(left) = pause(owned, |pod| has_failed(job, pod), now) {
        plan.again(left);
        return;
    }
    let mut taken: BTreeSet<i32> = tally.active.iter().filter_map(|pod| index_of(pod)).collect();
    if waits_for_end(job) {
        taken.extend(tally.terminating.iter().filter_map(|pod| index_of(pod)));
    }
    let is_free =
        |index: &i32| !tally.done.contains(index) && !tally.given_up.contains(index) && !taken.contains(index);
    for index in (0..job.spec.completions.unwrap_or_default()).filter(is_free).take(missing) {
        let mut new = NewPod { index: Some(index), failures: per_index.then_some((0, 0)) };
        if let Some(last) = tally.last_failed.get(&index) {
            let (counted, ignored) = failures_before(last);
            let after =
                if verdict(job, last) == Verdict::Ignore { (counted, ignored + 1) } else { (counted + 1, ignored) };
            if let Some(left) = left_of_pause(after.0 + after.1, ended_at(last), now) {
                plan.again(left);
                continue;
            }
            new.failures = Some(after);
        }
        plan.create.push(new);
    }
}

/// The pause after the failures since the last success.
fn pause(owned: &[Arc<Pod>], failed: impl Fn(&Pod) -> bool, now: i64) -> Option<u64> {
    let last_success = owned.iter().filter(|pod| pod.status.phase == "Succeeded").filter_map(|pod| ended_at(pod)).max();
    let since = owned.iter().filter(|pod| failed(pod)).filter_map(|pod| ended_at(pod));
    let failures: Vec<i64> = since.filter(|at| last_success.is_none_or(|success| *at >= success)).collect();
    left_of_pause(i32::try_from(failures.len()).unwrap_or(i32::MAX), failures.iter().max().copied(), now)
}

fn left_of_pause(failures: i32, last: Option<i64>, now: i64) -> Option<u64> {
    if failures <= 0 {
        return None;
    }
    let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).clamp(0, 10)).min(LONGEST_PAUSE);
    u64::try_from(last? + pause - now).ok().filter(|left| *left > 0)
}
