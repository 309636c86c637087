//! A pod runs where its volumes can be reached, or made.

use std::sync::Arc;

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};
use crate::volumes::{Claim, SELECTED_NODE, Volume, claims_of};

const NAME: &str = "VolumeBinding";
const NODE_CONFLICT: &str = "node(s) didn't match PersistentVolume's node affinity";
const BIND_CONFLICT: &str = "node(s) didn't find available persistent volumes to bind";
const MISSING_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/// Upstream: `VolumeBinding`.
pub(crate) struct VolumeBinding<'a> {
    snapshot: &'a Snapshot,
    /// Volumes of bound claims; `None` for one that does not exist.
    bound: Vec<Option<Arc<Volume>>>,
    /// Claims that wait for the pod.
    waiting: Vec<Arc<Claim>>,
}

impl<'a> VolumeBinding<'a> {
    /// For this pod.
    ///
    /// # Errors
    /// When a claim cannot be used whatever the node.
    pub(crate) fn new(snapshot: &'a Snapshot, pod: &PodInfo) -> Result<VolumeBinding<'a>, Rejection> {
        let mut this = VolumeBinding { snapshot, bound: Vec::new(), waiting: Vec::new() };
        for (name, ephemeral) in claims_of(&pod.pod) {
            let Some(claim) = snapshot.volumes.claim(&pod.pod.metadata.namespace, &name) else {
                return Err(Rejection::final_(NAME, format!("persistentvolumeclaim {name:?} not found")));
            };
            if claim.metadata.is_deleting() {
                return Err(Rejection::final_(NAME, format!("persistentvolumeclaim {name:?} is being deleted")));
            }
            let owner = claim.metadata.controller().map(|owner| owner.uid.as_str());
            if ephemeral && owner != Some(pod.uid()) {
                let (namespace, pod_name) = (&pod.pod.metadata.namespace, &pod.pod.metadata.name);
                let reason =
                    format!("PVC {namespace}/{name} was not created for pod {namespace}/{pod_name} (pod is not owner)");
                return Err(Rejection::final_(NAME, reason));
            }
            if claim.status.phase == "Lost" {
                return Err(Rejection::final_(
                    NAME,
                    format!(
                        "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {:?}",
                        claim.spec.volume_name
                    ),
                ));
            }
            let is_bound = !claim.spec.volume_name.is_empty()
                && claim.metadata.annotations.contains_key("pv.kubernetes.io/bind-completed");
            if is_bound {
                this.bound.push(snapshot.volumes.volumes.get(&claim.spec.volume_name).cloned());
            } else if snapshot.volumes.waits_for_consumer(claim) && claim.spec.volume_name.is_empty() {
                this.waiting.push(claim.clone());
            } else {
                return Err(Rejection::final_(NAME, "pod has unbound immediate PersistentVolumeClaims"));
            }
        }
        Ok(this)
    }
}

/// Whether the volume can be reached from the node.
pub(crate) fn is_reachable(volume: &Volume, node: &NodeInfo) -> bool {
    let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|required| required.matches(&node.node))
}

impl Plugin for VolumeBinding<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        for volume in &self.bound {
            match volume {
                None => return Err(Rejection::final_(NAME, MISSING_VOLUME)),
                Some(volume) if !is_reachable(volume, node) => return Err(Rejection::final_(NAME, NODE_CONFLICT)),
                Some(_) => {}
            }
        }
        let mut taken: Vec<&str> = Vec::new();
        for claim in &self.waiting {
            if let Some(chosen) = claim.metadata.annotations.get(SELECTED_NODE)
                && chosen != node.name()
            {
                return Err(Rejection::final_(NAME, BIND_CONFLICT));
            }
            let volume = self
                .snapshot
                .volumes
                .candidates(claim)
                .into_iter()
                .find(|volume| is_reachable(volume, node) && !taken.contains(&volume.metadata.name.as_str()));
            match volume {
                Some(volume) => taken.push(&volume.metadata.name),
                None if self.snapshot.volumes.is_provisioned(claim) => {}
                None => return Err(Rejection::final_(NAME, BIND_CONFLICT)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, node, pod, snapshot, storage_class, volume};

    #[test]
    fn claims_decide_where() {
        let reach = |snapshot: &Snapshot| {
            let wanted = pod("p").claim("data").build();
            match VolumeBinding::new(snapshot, &wanted) {
                Err(rejection) => rejection.reasons.join(", "),
                Ok(plugin) => snapshot
                    .nodes()
                    .map(|node| match plugin.filter(node) {
                        Ok(()) => format!("{} fits", node.name()),
                        Err(rejection) => rejection.reasons.join(", "),
                    })
                    .collect::<Vec<_>>()
                    .join("; "),
            }
        };
        let mut cluster = snapshot(vec![node("a").label("zone", "a"), node("b").label("zone", "b")], vec![]);
        assert_eq!(reach(&cluster), "persistentvolumeclaim \"data\" not found");
        claim(&mut cluster, "data", "slow", None);
        storage_class(&mut cluster, "slow", "example.com/disk", "Immediate");
        assert_eq!(reach(&cluster), "pod has unbound immediate PersistentVolumeClaims");
        storage_class(&mut cluster, "slow", "example.com/disk", "WaitForFirstConsumer");
        assert_eq!(reach(&cluster), "a fits; b fits");
        storage_class(&mut cluster, "slow", "kubernetes.io/no-provisioner", "WaitForFirstConsumer");
        assert_eq!(reach(&cluster), format!("{BIND_CONFLICT}; {BIND_CONFLICT}"));
        volume(&mut cluster, "local", "slow", "2Gi", Some(("zone", "b")));
        assert_eq!(reach(&cluster), format!("{BIND_CONFLICT}; b fits"));
        claim(&mut cluster, "data", "slow", Some("local"));
        assert_eq!(reach(&cluster), format!("{NODE_CONFLICT}; b fits"));
        claim(&mut cluster, "data", "slow", Some("elsewhere"));
        assert_eq!(reach(&cluster), format!("{MISSING_VOLUME}; {MISSING_VOLUME}"));
    }
}
