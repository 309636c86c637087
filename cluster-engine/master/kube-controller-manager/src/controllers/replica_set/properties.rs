//! What is planned once is right afterwards.

use proptest::prelude::*;

use super::*;
use crate::kinds::ReplicaSet;

fn pods() -> impl Strategy<Value = Vec<Arc<Pod>>> {
    let phase = prop_oneof![Just("Pending"), Just("Running"), Just("Failed"), Just("Succeeded")];
    let pod = (phase, any::<bool>(), any::<bool>(), 0_u8..3, -5_i32..5);
    prop::collection::vec(pod, 0..12).prop_map(|all| {
        let build = |(at, (phase, deleting, ready, node, cost)): (usize, (&str, bool, bool, u8, i32))| {
            let mut pod = Pod::default();
            pod.metadata.name = format!("p{at}");
            pod.metadata.uid = pod.metadata.name.clone();
            pod.metadata.deletion_timestamp = deleting.then(|| "T".into());
            pod.metadata.annotations.insert(DELETION_COST.into(), cost.to_string());
            pod.spec.node_name = if node == 0 { String::new() } else { format!("n{node}") };
            pod.status.phase = phase.into();
            let status = if ready { "True" } else { "False" };
            pod.status.conditions.push(Condition {
                kind: "Ready".into(),
                status: status.into(),
                ..Condition::default()
            });
            Arc::new(pod)
        };
        all.into_iter().enumerate().map(build).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(mut pods in pods(), replicas in 0_i32..12) {
        let mut set = ReplicaSet::default();
        set.spec.replicas = Some(replicas);
        let active = |pods: &[Arc<Pod>]| pods.iter().filter(|pod| pod.is_active()).count();
        match scale(&set, &pods, &pods) {
            Scale::Right => {}
            Scale::Create(count) => {
                let mut new = Pod::default();
                new.status.phase = "Pending".into();
                pods.extend(std::iter::repeat_n(Arc::new(new), count));
            }
            Scale::Delete(gone) => {
                // Nobody who works goes while somebody without a node stays.
                let waits = |pod: &Pod| pod.spec.node_name.is_empty();
                let stays = |pod: &Arc<Pod>| pod.is_active() && !gone.iter().any(|gone| gone.metadata.uid == pod.metadata.uid);
                prop_assert!(!(gone.iter().any(|pod| !waits(pod)) && pods.iter().any(|pod| stays(pod) && waits(pod))));
                let before = active(&pods);
                pods.retain(|pod| !gone.contains(pod));
                prop_assert_eq!(before - active(&pods), gone.len());
            }
        }
        prop_assert_eq!(scale(&set, &pods, &pods), Scale::Right);
        prop_assert_eq!(active(&pods) as i32, replicas);
        set.status = status(&set, &pods, None, 100, "T").0;
        prop_assert_eq!(&status(&set, &pods, None, 200, "U").0, &set.status);
    }
}
