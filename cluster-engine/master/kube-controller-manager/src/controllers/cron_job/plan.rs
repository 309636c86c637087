//! Whether it is time, and which finished jobs are kept.

use std::sync::Arc;

use drydock_api::time::format_seconds;
use drydock_client::types::ObjectRef;
use drydock_client::{EventType, Object};
use serde_json::{Value, json};

use super::schedule::{Schedule, seconds, zone};
use crate::controllers::owned::controller_reference;
use crate::kinds::{CronJob, CronJobStatus, Job};

/// More missed times than this and only the last counts, with a warning.
const TOO_MANY: usize = 100;
const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) status: CronJobStatus,
    pub(super) events: Vec<(EventType, &'static str, String)>,
    pub(super) delete: Vec<Arc<Job>>,
    /// The time for which a job is to be started now.
    pub(super) start: Option<i64>,
    pub(super) look_again: Option<u64>,
}

fn reference(job: &Job) -> ObjectRef {
    ObjectRef {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: job.namespace().to_owned(),
        name: job.name().to_owned(),
        uid: job.uid().to_owned(),
    }
}

pub(super) fn plan(cron_job: &CronJob, owned: &[Arc<Job>], now: i64) -> Plan {
    let mut plan = Plan { status: cron_job.status.clone(), ..Plan::default() };
    follow(&mut plan, owned);
    trim_history(cron_job, &mut plan, owned);
    if cron_job.metadata.is_deleting() || cron_job.spec.suspend == Some(true) {
        return plan;
    }
    let name = cron_job.spec.time_zone.as_deref();
    let zone = match zone(name) {
        Ok(zone) => zone,
        Err(error) => {
            let message = format!("invalid timeZone: {:?}: {error}", name.unwrap_or_default());
            plan.events.push((EventType::Warning, "UnknownTimeZone", message));
            return plan;
        }
    };
    let schedule = match Schedule::parse(&cron_job.spec.schedule) {
        Ok(schedule) => schedule,
        Err(error) => {
            let message = format!("unparseable schedule: {} : {error}", cron_job.spec.schedule);
            plan.events.push((EventType::Warning, "UnparseableSchedule", message));
            return plan;
        }
    };
    decide(cron_job, &mut plan, owned, &|from| schedule.next(from, zone), now);
    plan.look_again = schedule.next(now, zone).and_then(|at| u64::try_from(at - now).ok());
    plan
}

/// Takes in which jobs run and which have ended.
fn follow(plan: &mut Plan, owned: &[Arc<Job>]) {
    for job in owned {
        let is_listed = plan.status.active.iter().any(|active| active.uid == job.uid());
        match job.finished() {
            Some(end) => {
                if is_listed {
                    plan.status.active.retain(|active| active.uid != job.uid());
                    let message = format!("Saw completed job: {}, condition: {}", job.name(), end.kind);
                    plan.events.push((EventType::Normal, "SawCompletedJob", message));
                }
                let ended = &job.status.completion_time;
                if end.kind == "Complete" && seconds(ended) > seconds(&plan.status.last_successful_time) {
                    plan.status.last_successful_time.clone_from(ended);
                }
            }
            None if !is_listed && !job.metadata.is_deleting() => plan.status.active.push(reference(job)),
            None => {}
        }
    }
    let gone: Vec<ObjectRef> =
        plan.status.active.iter().filter(|active| !owned.iter().any(|job| job.uid() == active.uid)).cloned().collect();
    for job in gone {
        let message = format!("Active job went missing: {}", job.name);
        plan.events.push((EventType::Normal, "MissingJob", message));
        plan.status.active.retain(|active| active.uid != job.uid);
    }
}

fn trim_history(cron_job: &CronJob, plan: &mut Plan, owned: &[Arc<Job>]) {
    let limits = [
        ("Complete", cron_job.spec.successful_jobs_history_limit.unwrap_or(3)),
        ("Failed", cron_job.spec.failed_jobs_history_limit.unwrap_or(1)),
    ];
    for (kind, limit) in limits {
        let mut ended: Vec<_> =
            owned.iter().filter(|job| job.finished().is_some_and(|end| end.kind == kind)).cloned().collect();
        ended.sort_by_key(|job| (seconds(&job.status.start_time), job.name().to_owned()));
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        plan.delete.extend(ended.into_iter().take(surplus).filter(|job| !job.metadata.is_deleting()));
    }
}

/// `next`: the first time of the schedule after another.
fn decide(cron_job: &CronJob, plan: &mut Plan, owned: &[Arc<Job>], next: &dyn Fn(i64) -> Option<i64>, now: i64) {
    let created = seconds(&cron_job.metadata.creation_timestamp).unwrap_or(now);
    let mut from = seconds(&plan.status.last_schedule_time).unwrap_or(created);
    if let Some(deadline) = cron_job.spec.starting_deadline_seconds {
        from = from.max(now - deadline);
    }
    let mut missed = None;
    let mut count = 0;
    while let Some(at) = next(from).filter(|at| *at <= now) {
        missed = Some(at);
        count += 1;
        // After a long sleep the times in between do not matter, only the last one.
        from = if count > TOO_MANY { (now - 86_400).max(at) } else { at };
        if count > TOO_MANY + 2000 {
            break;
        }
    }
    if count > TOO_MANY {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.events.push((EventType::Warning, "TooManyMissedTimes", message.to_owned()));
    }
    let Some(at) = missed else { return };
    let name = job_name(cron_job, at);
    if owned.iter().any(|job| job.name() == name) {
        // Its job is there already; only the note of it has not come back yet.
        plan.status.last_schedule_time = Some(format_seconds(at));
        return;
    }
    let is_running = |plan: &Plan| !plan.status.active.is_empty();
    match cron_job.spec.concurrency_policy.as_str() {
        "Forbid" if is_running(plan) => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            plan.events.push((EventType::Normal, "JobAlreadyActive", message.to_owned()));
            return;
        }
        "Replace" => {
            let running = owned.iter().filter(|job| plan.status.active.iter().any(|active| active.uid == job.uid()));
            let running: Vec<_> = running.cloned().collect();
            plan.delete.extend(running);
        }
        _ => {}
    }
    plan.start = Some(at);
    plan.status.last_schedule_time = Some(format_seconds(at));
}

fn job_name(cron_job: &CronJob, at: i64) -> String {
    format!("{}-{}", cron_job.name(), at / 60)
}

/// The job for a time; its name says for which, so that it is made once.
pub(super) fn new_job(cron_job: &CronJob, at: i64) -> Value {
    let template = cron_job.spec.job_template.value();
    let mut metadata = json!({
        "name": job_name(cron_job, at),
        "namespace": cron_job.namespace(),
        "ownerReferences": [controller_reference::<CronJob>(&cron_job.metadata)],
        "annotations": {},
    });
    for field in ["labels", "annotations"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| value.is_object()) {
            metadata[field] = value.clone();
        }
    }
    metadata["annotations"][SCHEDULED_AT] = format_seconds(at).into();
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use drydock_api::time::parse_seconds;
    use drydock_client::types::Condition;

    fn cron_job(policy: &str) -> CronJob {
        let mut cron_job = CronJob::default();
        cron_job.metadata.name = "tick".into();
        cron_job.metadata.creation_timestamp = Some("2026-01-01T10:00:30Z".into());
        cron_job.spec.schedule = "* * * * *".into();
        cron_job.spec.concurrency_policy = policy.into();
        cron_job
    }

    fn at(time: &str) -> i64 {
        parse_seconds(&format!("2026-01-01T{time}Z")).unwrap()
    }

    fn job(name: &str, end: Option<&str>) -> Arc<Job> {
        let mut job = Job::default();
        job.metadata.name = name.into();
        job.metadata.uid = name.into();
        job.status.start_time = Some(format!("2026-01-01T10:0{}:00Z", &name[1..]));
        if let Some(end) = end {
            job.status.completion_time = job.status.start_time.clone();
            job.status.conditions.push(Condition { kind: end.into(), status: "True".into(), ..Condition::default() });
        }
        Arc::new(job)
    }

    #[test]
    fn a_job_at_its_time_and_once() {
        let mut tick = cron_job("Allow");
        let early = plan(&tick, &[], at("10:00:45"));
        assert_eq!((early.start, early.look_again), (None, Some(15)));
        let due = plan(&tick, &[], at("10:01:01"));
        assert_eq!(due.start, Some(at("10:01:00")));
        tick.status = due.status;
        assert_eq!(plan(&tick, &[], at("10:01:02")).start, None);
        assert_eq!(plan(&tick, &[], at("10:05:02")).start, Some(at("10:05:00")), "only the last missed time");
        assert_eq!(new_job(&tick, at("10:01:00"))["metadata"]["name"], format!("tick-{}", at("10:01:00") / 60));
    }

    #[test]
    fn concurrency() {
        let running = [job("j1", None)];
        let forbidden = plan(&cron_job("Forbid"), &running, at("10:02:00"));
        assert_eq!((forbidden.start, forbidden.events[0].1), (None, "JobAlreadyActive"));
        let replaced = plan(&cron_job("Replace"), &running, at("10:02:00"));
        assert_eq!((replaced.start.is_some(), replaced.delete.len()), (true, 1));
        assert!(plan(&cron_job("Allow"), &running, at("10:02:00")).start.is_some());
        let made = [job(&job_name(&cron_job("Replace"), at("10:02:00")), None)];
        let again = plan(&cron_job("Replace"), &made, at("10:02:00"));
        assert_eq!(
            (again.start, again.delete.len()),
            (None, 0),
            "a job does not replace itself when its status is late"
        );
        assert_eq!(again.status.active.len(), 1);
        assert_eq!(again.status.last_schedule_time.as_deref(), Some("2026-01-01T10:02:00Z"));
    }

    #[test]
    fn ended_jobs_are_noted_and_few_are_kept() {
        let mut tick = cron_job("Allow");
        tick.status.active.push(reference(&job("j5", None)));
        let jobs: Vec<_> = (1..=5).map(|n| job(&format!("j{n}"), Some("Complete"))).collect();
        let plan = plan(&tick, &jobs, at("10:00:40"));
        assert_eq!(plan.delete.iter().map(|job| job.name()).collect::<Vec<_>>(), ["j1", "j2"]);
        assert_eq!(plan.events[0].2, "Saw completed job: j5, condition: Complete");
        assert!(plan.status.active.is_empty());
        assert_eq!(plan.status.last_successful_time.as_deref(), Some("2026-01-01T10:05:00Z"));
    }
}
