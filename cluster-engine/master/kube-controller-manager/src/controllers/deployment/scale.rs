//! How large each replica set is to be.

use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::IntOrString;

use super::Sets;
use super::revision::{DESIRED, MAX};
use crate::kinds::{Deployment, ReplicaSet};

type Sizes = Vec<(Arc<ReplicaSet>, i32)>;

fn is_rolling(deployment: &Deployment) -> bool {
    deployment.spec.strategy.kind != "Recreate"
}

/// How many pods there may be too many, and how many may be missing (upstream: `ResolveFenceposts`).
pub(super) fn bounds(deployment: &Deployment) -> (i32, i32) {
    let wanted = deployment.replicas();
    if !is_rolling(deployment) || wanted == 0 {
        return (0, 0);
    }
    let rules = deployment.spec.strategy.rolling_update.clone().unwrap_or_default();
    let value = |stated: &Option<IntOrString>, round_up| {
        stated.as_ref().and_then(|stated| stated.scaled(wanted, round_up)).unwrap_or_default().max(0)
    };
    let (surge, missing) = (value(&rules.max_surge, true), value(&rules.max_unavailable, false));
    // Both zero would mean standstill.
    let missing = if surge == 0 && missing == 0 { 1 } else { missing };
    (surge, missing.min(wanted))
}

/// The size of the replica set of the present template (upstream: `NewRSNewReplicas`).
pub(super) fn new_size(deployment: &Deployment, sets: &Sets, new: &ReplicaSet) -> i32 {
    let wanted = deployment.replicas();
    if !is_rolling(deployment) {
        return wanted;
    }
    let has = new.replicas();
    if has >= wanted {
        // Growing is limited, shrinking to what is wanted is not.
        return wanted;
    }
    let most = wanted + bounds(deployment).0;
    let there: i32 = sets.all().map(|set| set.replicas()).sum();
    if there >= most {
        return has;
    }
    has + (most - there).min(wanted - has)
}

/// How far the old replica sets may shrink now: first by pods that do not run anyway, then by as
/// many as are available beyond the minimum (upstream: `reconcileOldReplicaSets`).
pub(super) fn scale_down_old(deployment: &Deployment, sets: &Sets) -> Sizes {
    let Some(new) = &sets.new else { return Vec::new() };
    let old_total: i32 = sets.old.iter().map(|set| set.replicas()).sum();
    if old_total == 0 {
        return Vec::new();
    }
    let total = old_total + new.replicas();
    let least = deployment.replicas() - bounds(deployment).1;
    let new_missing = new.replicas() - new.status.available_replicas;
    let mut may_go = total - least - new_missing;
    if may_go <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<i32> = sets.old.iter().map(|set| set.replicas()).collect();
    for (set, size) in sets.old.iter().zip(&mut sizes) {
        let broken = (*size - set.status.available_replicas).max(0).min(may_go);
        *size -= broken;
        may_go -= broken;
    }
    let available: i32 = sets.all().map(|set| set.status.available_replicas).sum();
    let mut may_go = (available - least).max(0);
    for size in &mut sizes {
        let gone = (*size).min(may_go);
        *size -= gone;
        may_go -= gone;
    }
    sets.old.iter().cloned().zip(sizes).filter(|(set, size)| set.replicas() != *size).collect()
}

/// Sizes after the wanted number changed, in the middle of a rollout in proportion
/// (upstream: `scale`).
pub(super) fn proportional(deployment: &Deployment, sets: &Sets) -> Sizes {
    let wanted = deployment.replicas();
    let mut active: Vec<Arc<ReplicaSet>> = sets.all().filter(|set| set.replicas() > 0).cloned().collect();
    // One active replica set, or none: that one, or the newest, takes it all.
    let only = match active.as_slice() {
        [] => sets.new.clone().or_else(|| sets.old.last().cloned()),
        [one] => Some(one.clone()),
        _ => None,
    };
    if let Some(only) = only {
        return if only.replicas() == wanted { Vec::new() } else { vec![(only, wanted)] };
    }
    if sets.new.as_ref().is_some_and(|new| is_saturated(deployment, new)) {
        return sets.old.iter().filter(|set| set.replicas() > 0).map(|set| (set.clone(), 0)).collect();
    }
    if !is_rolling(deployment) {
        return Vec::new();
    }
    let there: i32 = active.iter().map(|set| set.replicas()).sum();
    let allowed = if wanted > 0 { wanted + bounds(deployment).0 } else { 0 };
    let change = allowed - there;
    // Larger ones first; of equal ones the newer when growing, the older when shrinking.
    active.sort_by(|a, b| {
        let by_age =
            a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp).then_with(|| a.name().cmp(b.name()));
        b.replicas().cmp(&a.replicas()).then(if change > 0 { by_age.reverse() } else { by_age })
    });
    let mut done = 0;
    let mut sizes: Sizes = active
        .into_iter()
        .map(|set| {
            let part = proportion(deployment, &set, change, done);
            done += part;
            let size = set.replicas() + part;
            (set, size)
        })
        .collect();
    if let Some((_, largest)) = sizes.first_mut() {
        *largest = (*largest + change - done).max(0);
    }
    sizes
}

fn is_saturated(deployment: &Deployment, new: &ReplicaSet) -> bool {
    let wanted = deployment.replicas();
    let desired = new.metadata.annotations.get(DESIRED).and_then(|text| text.parse().ok());
    new.replicas() == wanted && desired == Some(wanted) && new.status.available_replicas == wanted
}

/// A replica set's part of a change (upstream: `GetReplicaSetProportion`).
fn proportion(deployment: &Deployment, set: &ReplicaSet, change: i32, done: i32) -> i32 {
    if change == 0 || change == done {
        return 0;
    }
    let size = set.replicas();
    let share = if deployment.replicas() == 0 {
        -size
    } else {
        let most = f64::from(deployment.replicas() + bounds(deployment).0);
        let most_before = set.metadata.annotations.get(MAX).and_then(|text| text.parse::<i32>().ok());
        let most_before = f64::from(most_before.unwrap_or(deployment.status.replicas).max(1));
        (f64::from(size) * most / most_before).round() as i32 - size
    };
    if change > 0 { share.min(change - done) } else { share.max(change - done) }
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{DeploymentStrategy, RollingUpdate};

    fn deployment(replicas: i32, surge: &str, missing: &str) -> Deployment {
        let text = |text: &str| Some(text.parse().map_or(IntOrString::String(text.into()), IntOrString::Int));
        let mut deployment = Deployment::default();
        deployment.spec.replicas = Some(replicas);
        deployment.spec.strategy = DeploymentStrategy {
            kind: "RollingUpdate".into(),
            rolling_update: Some(RollingUpdate {
                max_surge: text(surge),
                max_unavailable: text(missing),
                partition: None,
            }),
        };
        deployment
    }

    fn set(name: &str, replicas: i32, available: i32) -> Arc<ReplicaSet> {
        let mut set = ReplicaSet::default();
        set.metadata.name = name.into();
        set.metadata.uid = name.into();
        set.metadata.creation_timestamp = Some(name.into());
        set.spec.replicas = Some(replicas);
        set.status.available_replicas = available;
        Arc::new(set)
    }

    fn sets(old: Vec<Arc<ReplicaSet>>, new: Arc<ReplicaSet>) -> Sets {
        Sets { new: Some(new), old }
    }

    fn named(sizes: Sizes) -> Vec<(String, i32)> {
        sizes.into_iter().map(|(set, size)| (set.metadata.name.clone(), size)).collect()
    }

    #[test]
    fn bounds_round_as_upstream() {
        for (replicas, surge, missing, expected) in [
            (10, "25%", "25%", (3, 2)),
            (1, "25%", "25%", (1, 0)),
            (3, "0", "0", (0, 1)),
            (2, "0", "5", (0, 2)),
            (0, "1", "1", (0, 0)),
        ] {
            assert_eq!(bounds(&deployment(replicas, surge, missing)), expected);
        }
    }

    #[test]
    fn growing_stays_below_the_surge() {
        let d = deployment(10, "2", "0");
        for (old, new, expected) in [(10, 0, 2), (10, 2, 2), (8, 2, 4), (0, 4, 10), (0, 12, 10)] {
            let sets = sets(vec![set("o", old, old)], set("n", new, new));
            let new = sets.new.clone().unwrap();
            assert_eq!(new_size(&d, &sets, &new), expected, "{old} old, {new:?}");
        }
    }

    #[test]
    fn old_ones_shrink_as_new_ones_become_available() {
        let d = deployment(10, "2", "2");
        let down = |old: Vec<Arc<ReplicaSet>>, new| named(scale_down_old(&d, &sets(old, new)));
        assert_eq!(down(vec![set("o", 10, 10)], set("n", 2, 0)), [("o".into(), 8)]);
        assert!(down(vec![set("o", 8, 8)], set("n", 4, 0)).is_empty());
        assert_eq!(down(vec![set("o", 8, 8)], set("n", 4, 3)), [("o".into(), 5)]);
        // Broken pods go first, whatever is available.
        assert_eq!(down(vec![set("o", 10, 3)], set("n", 2, 2)), [("o".into(), 6)]);
        assert_eq!(down(vec![set("o1", 4, 0), set("o2", 8, 8)], set("n", 0, 0)), [("o1".into(), 0)]);
    }

    #[test]
    fn scaling_in_a_rollout_is_proportional() {
        let mut d = deployment(20, "5", "0");
        let sized = |name: &str, replicas: i32, most: i32| {
            let mut set = (*set(name, replicas, replicas)).clone();
            set.metadata.annotations.insert(MAX.into(), most.to_string());
            Arc::new(set)
        };
        let grown = proportional(&d, &sets(vec![sized("o", 10, 15)], sized("n", 5, 15)));
        assert_eq!(named(grown), [("o".into(), 17), ("n".into(), 8)]);
        d.spec.replicas = Some(0);
        let gone = proportional(&d, &sets(vec![sized("o", 10, 15)], sized("n", 5, 15)));
        assert_eq!(named(gone), [("o".into(), 0), ("n".into(), 0)]);
        d.spec.replicas = Some(7);
        assert_eq!(named(proportional(&d, &sets(vec![sized("o", 0, 5)], sized("n", 5, 5)))), [("n".into(), 7)]);
    }

    /// However pods come up, a rollout ends, and there are never too few or too many.
    #[test]
    fn a_rollout_keeps_its_bounds_and_ends() {
        for (replicas, surge, missing) in [(10, "25%", "25%"), (3, "1", "0"), (5, "0", "1"), (1, "25%", "25%")] {
            let d = deployment(replicas, surge, missing);
            let (surge, missing) = bounds(&d);
            let mut now = sets(vec![set("o", replicas, replicas)], set("n", 0, 0));
            for step in 0.. {
                assert!(step < 100, "the rollout stands still");
                let new = now.new.clone().unwrap();
                if new.replicas() == replicas && now.old[0].replicas() == 0 && new.status.available_replicas == replicas
                {
                    break;
                }
                let mut changed = vec![(new.clone(), new_size(&d, &now, &new))];
                changed.extend(scale_down_old(&d, &now));
                for (set, size) in changed {
                    let mut set = (*set).clone();
                    set.spec.replicas = Some(size);
                    set.status.available_replicas = set.status.available_replicas.min(size);
                    now.replace(set);
                }
                let total: i32 = now.all().map(|set| set.replicas()).sum();
                let available: i32 = now.all().map(|set| set.status.available_replicas).sum();
                assert!(total <= replicas + surge, "{total} pods of {replicas}");
                assert!(available >= replicas - missing, "{available} available of {replicas}");
                // One pod comes up.
                let mut new = (**now.new.as_ref().unwrap()).clone();
                new.status.available_replicas = (new.status.available_replicas + 1).min(new.replicas());
                now.replace(new);
            }
        }
    }
}
