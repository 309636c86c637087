//! Jobs from their first pod to their verdict.

use drydock_client::Object;

use super::super::count::{FINALIZER, INDEX, INDEX_FAILURES, index_of};
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
        let quiet =
            plan.status == job.status && plan.create.is_empty() && plan.delete.is_empty() && plan.drop.is_empty();
        told.extend(plan.events.iter().map(|(_, reason, _)| reason.clone()));
        job.status = plan.status;
        for gone in plan.release {
            for pod in pods.iter_mut().filter(|pod| pod.uid() == gone.uid()) {
                *pod = released(pod);
            }
        }
        pods.retain(|pod| !plan.delete.iter().chain(&plan.drop).any(|gone| gone.uid() == pod.uid()));
        for wanted in plan.create {
            let mut new = (*pod(&format!("p{}", pods.len()), "Running")).clone();
            if let Some(index) = wanted.index {
                new.metadata.annotations.insert(INDEX.into(), index.to_string());
            }
            if let Some((counted, _)) = wanted.failures {
                new.metadata.annotations.insert(INDEX_FAILURES.into(), counted.to_string());
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

#[test]
fn a_rule_ends_the_job() {
    let (mut job, mut pods) = (job(Some(2), 2), Vec::new());
    job.spec.pod_failure_policy = serde_json::from_value(serde_json::json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onPodConditions": [{"type": "Broken"}]},
    ]}))
    .unwrap();
    run(&mut job, &mut pods, 0);
    let condition = |kind: &str| Condition { kind: kind.into(), status: "True".into(), ..Condition::default() };
    let mut evicted = (*pods[0]).clone();
    evicted.status.conditions.push(condition("DisruptionTarget"));
    pods[0] = Arc::new(evicted);
    end(&mut pods, 0, "Failed");
    run(&mut job, &mut pods, 20);
    assert_eq!((job.status.failed, pods.len()), (0, 3), "an eviction does not count");
    let mut broken = (*pods[1]).clone();
    broken.status.conditions.push(condition("Broken"));
    pods[1] = Arc::new(broken);
    end(&mut pods, 1, "Failed");
    assert_eq!(run(&mut job, &mut pods, 40), ["PodFailurePolicy"]);
    assert_eq!(job.is("Failed").unwrap().message, "Pod /p1 has condition Broken matching FailJob rule at index 1");
}

#[test]
fn each_index_has_its_own_limit() {
    let (mut job, mut pods) = (job(Some(2), 2), Vec::new());
    job.spec.completion_mode = Some("Indexed".into());
    job.spec.backoff_limit = Some(i32::MAX);
    job.spec.backoff_limit_per_index = Some(1);
    run(&mut job, &mut pods, 0);
    end(&mut pods, 0, "Failed");
    run(&mut job, &mut pods, 1);
    assert_eq!(pods.len(), 2, "the index pauses, and its failed pod stays");
    assert!(pods[0].metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER));
    run(&mut job, &mut pods, 11);
    assert_eq!((pods.len(), index_of(&pods[2])), (3, Some(0)));
    assert_eq!(pods[2].metadata.annotations[INDEX_FAILURES], "1");
    assert!(pods[0].metadata.finalizers.is_empty());
    end(&mut pods, 1, "Succeeded");
    end(&mut pods, 2, "Failed");
    assert_eq!(run(&mut job, &mut pods, 50), ["FailedIndexes"]);
    assert_eq!((job.status.failed_indexes.as_deref(), job.status.completed_indexes.as_str()), (Some("0"), "1"));
    assert_eq!((job.status.failed, job.status.succeeded), (2, 1));
}

#[test]
fn a_success_policy_ends_early() {
    let (mut job, mut pods) = (job(Some(3), 3), Vec::new());
    job.spec.completion_mode = Some("Indexed".into());
    job.spec.success_policy =
        serde_json::from_value(serde_json::json!({"rules": [{"succeededIndexes": "1"}]})).unwrap();
    run(&mut job, &mut pods, 0);
    end(&mut pods, 1, "Succeeded");
    assert_eq!(run(&mut job, &mut pods, 1), ["Completed"]);
    let verdict = job.is("Complete").unwrap();
    assert_eq!((verdict.reason.as_str(), verdict.message.as_str()), ("SuccessPolicy", "Matched rules at index 0"));
    assert_eq!(pods.len(), 1, "the others were stopped");
}

#[test]
fn suspended_pods_did_not_fail() {
    let (mut job, mut pods) = (job(Some(1), 1), Vec::new());
    job.spec.backoff_limit = Some(0);
    run(&mut job, &mut pods, 0);
    job.spec.suspend = Some(true);
    let plan = plan(&job, &pods, 1, true);
    assert_eq!((plan.drop.len(), plan.delete.len()), (1, 0));
    run(&mut job, &mut pods, 1);
    job.spec.suspend = Some(false);
    run(&mut job, &mut pods, 2);
    assert_eq!((job.status.failed, pods.len(), job.finished().is_none()), (0, 1, true));
}

#[test]
fn of_two_pods_with_one_index_one_goes() {
    let (mut job, mut pods) = (job(Some(2), 2), Vec::new());
    job.spec.completion_mode = Some("Indexed".into());
    run(&mut job, &mut pods, 0);
    let mut double = (*pods[0]).clone();
    double.metadata.uid = "double".into();
    pods.push(Arc::new(double));
    assert_eq!(plan(&job, &pods, 1, true).drop.len(), 1);
}
