//! Revisions: which template came when, and how many old ones are kept.

use std::sync::Arc;

use drydock_client::types::StringMap;

use super::scale::bounds;
use crate::kinds::{Deployment, ReplicaSet};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// What a replica set does not take over from its deployment.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// How long the list of earlier revisions may grow (upstream's number).
const HISTORY_LENGTH: usize = 2000;

fn revision_of(set: &ReplicaSet) -> i64 {
    set.metadata.annotations.get(REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The highest revision of some replica sets.
pub(super) fn max_revision(sets: &[Arc<ReplicaSet>]) -> i64 {
    sets.iter().map(|set| revision_of(set)).max().unwrap_or_default()
}

/// The annotations that the replica set of the present template should have
/// (upstream: `SetNewReplicaSetAnnotations`).
pub(super) fn annotations_for(deployment: &Deployment, old: &StringMap, revision: i64, is_new: bool) -> StringMap {
    let mut annotations = old.clone();
    for (key, value) in &deployment.metadata.annotations {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let before = old.get(REVISION);
    let before_number: i64 = before.and_then(|text| text.parse().ok()).unwrap_or_default();
    if before_number < revision {
        annotations.insert(REVISION.to_owned(), revision.to_string());
        if let Some(before) = before {
            // Rolled back to: what it was before is kept.
            let mut history: Vec<&str> = old
                .get(HISTORY)
                .map(|text| text.split(',').filter(|part| !part.is_empty()).collect())
                .unwrap_or_default();
            history.push(before);
            while history.join(",").len() > HISTORY_LENGTH {
                history.remove(0);
            }
            annotations.insert(HISTORY.to_owned(), history.join(","));
        }
    }
    if is_new {
        let (surge, _) = bounds(deployment);
        annotations.insert(DESIRED.to_owned(), deployment.replicas().to_string());
        annotations.insert(MAX.to_owned(), (deployment.replicas() + surge).to_string());
    }
    annotations
}

/// The old replica sets that go beyond the history's limit and are empty.
pub(super) fn beyond_history<'a>(deployment: &Deployment, old: &'a [Arc<ReplicaSet>]) -> Vec<&'a Arc<ReplicaSet>> {
    let Some(limit) = deployment.spec.revision_history_limit else { return Vec::new() };
    let mut kept: Vec<_> = old.iter().filter(|set| !set.metadata.is_deleting()).collect();
    let surplus = kept.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
    kept.sort_by_key(|set| (revision_of(set), set.metadata.creation_timestamp.clone()));
    kept.truncate(surplus);
    kept.retain(|set| {
        set.status.replicas == 0 && set.replicas() == 0 && set.metadata.generation <= set.status.observed_generation
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: i64, replicas: i32) -> Arc<ReplicaSet> {
        let mut set = ReplicaSet::default();
        set.metadata.name = format!("r{revision}");
        set.metadata.annotations.insert(REVISION.into(), revision.to_string());
        set.spec.replicas = Some(replicas);
        Arc::new(set)
    }

    #[test]
    fn rolling_back_keeps_the_history() {
        let mut deployment = Deployment::default();
        deployment.spec.replicas = Some(4);
        deployment.metadata.annotations.insert("note".into(), "x".into());
        deployment.metadata.annotations.insert(REVISION.into(), "3".into());
        let fresh = annotations_for(&deployment, &StringMap::new(), 1, true);
        assert_eq!(fresh[REVISION], "1");
        assert_eq!(fresh["note"], "x");
        assert_eq!(fresh[DESIRED], "4");
        let back = annotations_for(&deployment, &fresh, 4, false);
        assert_eq!((back[REVISION].as_str(), back[HISTORY].as_str()), ("4", "1"));
        let again = annotations_for(&deployment, &back, 6, false);
        assert_eq!((again[REVISION].as_str(), again[HISTORY].as_str()), ("6", "1,4"));
        assert_eq!(annotations_for(&deployment, &again, 6, false), again);
    }

    #[test]
    fn the_oldest_empty_ones_go() {
        let mut deployment = Deployment::default();
        let old = [set(3, 0), set(1, 0), set(2, 1)];
        let names = |deployment: &Deployment| -> Vec<String> {
            beyond_history(deployment, &old).iter().map(|set| set.metadata.name.clone()).collect()
        };
        assert!(names(&deployment).is_empty(), "no limit");
        deployment.spec.revision_history_limit = Some(2);
        assert_eq!(names(&deployment), ["r1"]);
        deployment.spec.revision_history_limit = Some(0);
        assert_eq!(names(&deployment), ["r1", "r3"]);
        assert_eq!(max_revision(&old), 3);
    }
}
