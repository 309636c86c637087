//! Stateful sets come to rest with all pods of the present template, whatever they began with.

use drydock_client::types::Condition;
use proptest::prelude::*;

use super::*;
use crate::kinds::{Ordinals, RollingUpdate};

fn pod(number: i32, revision: &str, phase: &str, ready: bool) -> Arc<Pod> {
    let mut pod = Pod::default();
    pod.metadata.name = format!("db-{number}");
    pod.metadata.uid = pod.metadata.name.clone();
    pod.metadata.labels.insert(REVISION_LABEL.into(), revision.into());
    pod.metadata.labels.insert("statefulset.kubernetes.io/pod-name".into(), pod.metadata.name.clone());
    pod.status.phase = phase.into();
    let status = if ready { "True" } else { "False" };
    pod.status.conditions.push(Condition { kind: "Ready".into(), status: status.into(), ..Condition::default() });
    Arc::new(pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sets_come_to_rest(
        replicas in 0_i32..6,
        start in 0_i32..3,
        partition in 0_i32..4,
        parallel in any::<bool>(),
        most in prop::option::of(1_i32..3),
        there in prop::collection::btree_map(0_i32..8, (any::<bool>(), 0_u8..4), 0..8),
    ) {
        let mut set = StatefulSet::default();
        set.metadata.name = "db".into();
        set.spec.replicas = Some(replicas);
        set.spec.ordinals = Some(Ordinals { start });
        set.spec.pod_management_policy = if parallel { "Parallel" } else { "OrderedReady" }.into();
        set.spec.update_strategy.rolling_update = Some(RollingUpdate {
            partition: Some(partition),
            max_unavailable: most.map(drydock_client::types::IntOrString::Int),
            max_surge: None,
        });
        let revisions = Revisions { current: "old".into(), update: "new".into() };
        let mut pods: Vec<Arc<Pod>> = there.into_iter().map(|(number, (new, state))| {
            let revision = if new { "new" } else { "old" };
            match state {
                0 => pod(number, revision, "Pending", false),
                // One that is too many and has failed holds up those before it, as upstream does.
                1 if (start..start + replicas).contains(&number) => pod(number, revision, "Failed", false),
                _ => pod(number, revision, "Running", true),
            }
        }).collect();
        let mut rounds = 0;
        loop {
            rounds += 1;
            prop_assert!(rounds < 80, "no rest: {pods:?}");
            let actions = plan(&set, &pods, &revisions, 0);
            let rests = actions.is_empty() && pods.iter().all(|pod| pod.status.phase == "Running");
            if !parallel {
                let moves = actions.iter().filter(|action| !matches!(action, Action::Label(_))).count();
                prop_assert!(moves <= most.unwrap_or(1) as usize, "{actions:?}");
            }
            for action in actions {
                match action {
                    Action::Create { ordinal, revision } => {
                        let is_there = pods.iter().any(|pod| super::ordinal(&set, pod) == Some(ordinal));
                        prop_assert!(!is_there, "a pod is made twice");
                        pods.push(pod(ordinal, &revision, "Pending", false));
                    }
                    Action::Delete(gone) | Action::Replace(gone) => pods.retain(|pod| *pod != gone),
                    Action::Label(_) => prop_assert!(false, "all have their label"),
                }
            }
            if rests {
                break;
            }
            if let Some(slot) = pods.iter_mut().find(|pod| pod.status.phase == "Pending") {
                let number = ordinal(&set, slot).unwrap();
                *slot = pod(number, revision_of(slot), "Running", true);
            }
        }
        let mut numbers: Vec<i32> = pods.iter().filter_map(|pod| ordinal(&set, pod)).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (start..start + replicas).collect::<Vec<_>>());
        for pod in &pods {
            let is_updated = ordinal(&set, pod).unwrap() >= start + partition;
            prop_assert!(!is_updated || revision_of(pod) == "new", "{pod:?}");
        }
        set.status = status(&set, &pods, &revisions, 0).0;
        let next = Revisions { current: set.status.current_revision.clone(), ..revisions };
        prop_assert!(plan(&set, &pods, &next, 0).is_empty());
    }
}
