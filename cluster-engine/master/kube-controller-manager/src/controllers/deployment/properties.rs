//! Rollouts stay within their bounds at every step, whatever pods do, and come to rest.

use proptest::prelude::*;

use super::*;
use crate::kinds::{DeploymentStrategy, RollingUpdate};

fn set(name: &str, replicas: i32, available: i32) -> Arc<ReplicaSet> {
    let mut set = ReplicaSet::default();
    set.metadata.name = name.into();
    set.metadata.uid = name.into();
    set.metadata.creation_timestamp = Some(name.into());
    set.spec.replicas = Some(replicas);
    set.status.available_replicas = available.min(replicas);
    Arc::new(set)
}

fn apply(sets: &mut Sets, sizes: Sizes) {
    for (changed, size) in sizes {
        // What goes are first the pods that do not work.
        let changed = set(changed.name(), size, changed.status.available_replicas);
        sets.replace((*changed).clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rollouts_stay_within_bounds(
        replicas in 1_i32..10,
        surge in 0_i32..4,
        missing in 0_i32..4,
        old in prop::collection::vec((0_i32..6, 0_i32..6), 1..4),
        luck in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut deployment = Deployment::default();
        deployment.spec.replicas = Some(replicas);
        let rules = RollingUpdate {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(missing)),
            partition: None,
        };
        deployment.spec.strategy = DeploymentStrategy { kind: "RollingUpdate".into(), rolling_update: Some(rules) };
        let old = old.into_iter().enumerate().map(|(at, (size, works))| set(&format!("old{at}"), size, works)).collect();
        let mut sets = Sets { new: Some(set("zz-new", 0, 0)), old };
        let (surge, missing) = bounds(&deployment);
        let total = |sets: &Sets| sets.all().map(|set| set.replicas()).sum::<i32>();
        let working = |sets: &Sets| sets.all().map(|set| set.status.available_replicas).sum::<i32>();
        for (round, luck) in luck.iter().enumerate() {
            let (before, worked) = (total(&sets), working(&sets));
            let new = sets.new.clone().unwrap();
            let size = new_size(&deployment, &sets, &new);
            if size != new.replicas() {
                apply(&mut sets, vec![(new, size)]);
            } else {
                let sizes = scale_down_old(&deployment, &sets);
                apply(&mut sets, sizes);
            }
            prop_assert!(total(&sets) <= before.max(replicas + surge), "too many");
            prop_assert!(working(&sets) >= worked.min(replicas - missing), "too few work: {} of {}", working(&sets), worked);
            // Some pod begins to work; in the end all do.
            let lacking: Vec<_> = sets.all().filter(|set| set.status.available_replicas < set.replicas()).cloned().collect();
            if !lacking.is_empty() {
                let chosen = &lacking[luck.index(lacking.len())];
                let works = if round > 30 { chosen.replicas() } else { chosen.status.available_replicas + 1 };
                let changed = set(chosen.name(), chosen.replicas(), works);
                sets.replace((*changed).clone());
            }
        }
        let new = sets.new.clone().unwrap();
        prop_assert_eq!((new.replicas(), total(&sets)), (replicas, replicas), "at rest");
        prop_assert_eq!(new_size(&deployment, &sets, &new), replicas);
        prop_assert!(scale_down_old(&deployment, &sets).is_empty());
    }

    #[test]
    fn scaling_in_proportion_is_done_at_once(
        replicas in 0_i32..20,
        more in 0_i32..5,
        surge in 0_i32..5,
        sizes in prop::collection::vec(1_i32..10, 2..5),
    ) {
        let mut deployment = Deployment::default();
        deployment.spec.replicas = Some(replicas);
        let rules = RollingUpdate {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(1)),
            partition: None,
        };
        deployment.spec.strategy = DeploymentStrategy { kind: "RollingUpdate".into(), rolling_update: Some(rules) };
        let most_before = sizes.iter().sum::<i32>() + more;
        let mut all: Vec<_> = sizes.iter().enumerate().map(|(at, size)| {
            let mut annotated = (*set(&format!("s{at}"), *size, 0)).clone();
            annotated.metadata.annotations.insert(MAX.into(), most_before.to_string());
            Arc::new(annotated)
        }).collect();
        let new = all.pop();
        let mut sets = Sets { new, old: all };
        let sizes = proportional(&deployment, &sets);
        let there: i32 = sets.all().map(|set| set.replicas()).sum();
        for (set, size) in &sizes {
            prop_assert!(*size >= 0, "{} to {size}", set.name());
        }
        for (set, size) in sizes {
            let mut changed = (*set).clone();
            changed.spec.replicas = Some(size);
            changed.metadata.annotations.insert(MAX.into(), (replicas + surge).to_string());
            sets.replace(changed);
        }
        let allowed = if replicas > 0 { replicas + bounds(&deployment).0 } else { 0 };
        let now: i32 = sets.all().map(|set| set.replicas()).sum();
        prop_assert_eq!(now, allowed, "from {}", there);
    }
}
