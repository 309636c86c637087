//! Jobs come to a verdict, every pod is counted once, and what is planned once is right afterwards.

use drydock_client::Object;
use proptest::prelude::*;

use super::super::count::{FINALIZER, INDEX, INDEX_FAILURES, index_of};
use super::*;

fn new_pod(serial: usize, wanted: &NewPod) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = format!("p{serial}");
    pod.metadata.uid = pod.metadata.name.clone();
    pod.metadata.finalizers.push(FINALIZER.into());
    pod.metadata.creation_timestamp = Some("1970-01-01T00:00:00Z".into());
    pod.status.phase = "Running".into();
    if let Some(index) = wanted.index {
        pod.metadata.annotations.insert(INDEX.into(), index.to_string());
    }
    if let Some((counted, _)) = wanted.failures {
        pod.metadata.annotations.insert(INDEX_FAILURES.into(), counted.to_string());
    }
    pod
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jobs_come_to_a_verdict(
        completions in prop::option::of(0_i32..6),
        parallelism in 1_i32..4,
        indexed in any::<bool>(),
        limit in 0_i32..4,
        per_index in prop::option::of(0_i32..2),
        ends in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.7)), 80),
    ) {
        let mut job = Job::default();
        let indexed = indexed && completions.is_some();
        job.spec.completions = completions;
        job.spec.parallelism = Some(parallelism);
        job.spec.completion_mode = indexed.then(|| "Indexed".into());
        job.spec.backoff_limit = Some(limit);
        if indexed && let Some(per_index) = per_index {
            job.spec.backoff_limit_per_index = Some(per_index);
            job.spec.backoff_limit = Some(i32::MAX);
        }
        let mut pods: Vec<Arc<Pod>> = Vec::new();
        let (mut serial, mut now, mut succeeded, mut failed) = (0, 0, 0, 0);
        for (which, good) in ends {
            // Pauses after failures are over.
            now += 1000;
            let mut rounds = 0;
            loop {
                rounds += 1;
                prop_assert!(rounds < 20, "no rest: {:?} {:?}", job.status, pods);
                let made = plan(&job, &pods, now, true);
                let quiet = made.status == job.status && made.create.is_empty() && made.delete.is_empty()
                    && made.drop.is_empty() && made.release.is_empty();
                job.status = made.status;
                for gone in &made.release {
                    for pod in pods.iter_mut().filter(|pod| pod.uid() == gone.uid()) {
                        Arc::make_mut(pod).metadata.finalizers.clear();
                    }
                }
                pods.retain(|pod| !made.delete.iter().chain(&made.drop).any(|gone| gone.uid() == pod.uid()));
                for wanted in &made.create {
                    serial += 1;
                    pods.push(Arc::new(new_pod(serial, wanted)));
                }
                let running: Vec<_> = pods.iter().filter(|pod| !pod.is_terminal()).collect();
                prop_assert!(running.len() as i32 <= parallelism, "{} run", running.len());
                if indexed {
                    let mut indexes: Vec<_> = running.iter().filter_map(|pod| index_of(pod)).collect();
                    indexes.dedup();
                    prop_assert_eq!(indexes.len(), running.len(), "an index runs twice");
                }
                if quiet {
                    break;
                }
            }
            if job.finished().is_some() {
                break;
            }
            let running: Vec<usize> =
                pods.iter().enumerate().filter(|(_, pod)| !pod.is_terminal()).map(|(at, _)| at).collect();
            prop_assert!(!running.is_empty(), "nothing runs, and the job has no verdict: {:?}", job.status);
            let at = running[which.index(running.len())];
            Arc::make_mut(&mut pods[at]).status.phase = if good { "Succeeded" } else { "Failed" }.into();
            if good { succeeded += 1 } else { failed += 1 }
        }
        let end = job.finished().map(|end| end.kind.clone());
        prop_assert!(end.is_some(), "{:?}", job.status);
        if end.as_deref() == Some("Complete") {
            prop_assert!(job.status.succeeded >= completions.unwrap_or(1).min(succeeded.max(0)));
        }
        prop_assert_eq!(job.status.succeeded, succeeded, "successes counted once each");
        prop_assert!(job.status.failed >= failed, "{} of {failed} failures", job.status.failed);
        prop_assert!(pods.iter().all(|pod| pod.metadata.finalizers.is_empty()), "a pod is held for ever");
    }
}
