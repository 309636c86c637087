//! A claim that only one pod may use is used by one pod.

use std::collections::BTreeSet;

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};
use crate::volumes::claims_of;

const NAME: &str = "VolumeRestrictions";

/// Upstream: `VolumeRestrictions`, as far as volumes have no vendor.
pub(crate) struct VolumeRestrictions {
    is_in_use: bool,
}

impl VolumeRestrictions {
    /// For this pod.
    ///
    /// # Errors
    /// When a claim of the pod does not exist.
    pub(crate) fn new(snapshot: &Snapshot, pod: &PodInfo) -> Result<VolumeRestrictions, Rejection> {
        let namespace = &pod.pod.metadata.namespace;
        let mut exclusive = BTreeSet::new();
        for (name, _) in claims_of(&pod.pod) {
            let Some(claim) = snapshot.volumes.claim(namespace, &name) else {
                let reason = format!("persistentvolumeclaim {name:?} not found");
                return Err(Rejection::final_(NAME, reason));
            };
            if claim.spec.access_modes.iter().any(|mode| mode == "ReadWriteOncePod") {
                exclusive.insert(name);
            }
        }
        let is_in_use = !exclusive.is_empty()
            && snapshot.nodes().flat_map(|node| &node.pods).any(|other| {
                other.pod.metadata.namespace == *namespace
                    && other.uid() != pod.uid()
                    && claims_of(&other.pod).any(|(name, _)| exclusive.contains(&name))
            });
        Ok(VolumeRestrictions { is_in_use })
    }
}

impl Plugin for VolumeRestrictions {
    fn filter(&self, _node: &NodeInfo) -> Result<(), Rejection> {
        if self.is_in_use {
            let reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
            return Err(Rejection::resolvable(NAME, reason));
        }
        Ok(())
    }
}
