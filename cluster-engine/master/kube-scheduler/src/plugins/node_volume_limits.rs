//! A node takes no more volumes of a CSI driver than the driver says.

use std::collections::BTreeSet;

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};
use crate::volumes::claims_of;

/// Upstream: `NodeVolumeLimits`.
pub(crate) struct NodeVolumeLimits<'a> {
    snapshot: &'a Snapshot,
    /// The pod's volumes as (driver, handle).
    wanted: BTreeSet<(String, String)>,
}

impl<'a> NodeVolumeLimits<'a> {
    /// For this pod.
    pub(crate) fn new(snapshot: &'a Snapshot, pod: &PodInfo) -> NodeVolumeLimits<'a> {
        NodeVolumeLimits { snapshot, wanted: volumes(snapshot, pod) }
    }
}

fn volumes(snapshot: &Snapshot, pod: &PodInfo) -> BTreeSet<(String, String)> {
    let namespace = &pod.pod.metadata.namespace;
    let claims = claims_of(&pod.pod).filter_map(|(name, _)| snapshot.volumes.claim(namespace, &name).cloned());
    claims.filter_map(|claim| snapshot.volumes.csi_of(&claim)).collect()
}

impl Plugin for NodeVolumeLimits<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let Some(known) = self.snapshot.volumes.csi_nodes.get(node.name()) else { return Ok(()) };
        for driver in &known.spec.drivers {
            let Some(most) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) else { continue };
            let mine: BTreeSet<_> = self.wanted.iter().filter(|(of, _)| *of == driver.name).cloned().collect();
            if mine.is_empty() {
                continue;
            }
            let there: BTreeSet<_> = node
                .pods
                .iter()
                .flat_map(|pod| volumes(self.snapshot, pod))
                .filter(|(of, _)| *of == driver.name)
                .collect();
            // A volume that is there already is not attached again.
            let new = mine.difference(&there).count();
            if new > 0 && (there.len() + new) as i64 > most {
                return Err(Rejection::resolvable("NodeVolumeLimits", "node(s) exceed max volume count"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::framework::fits;
    use crate::testing::{claim, node, pod, snapshot, storage_class, volume};
    use crate::volumes::{CsiAllocatable, CsiDriverOfNode, CsiNode, CsiVolume};

    #[test]
    fn volumes_are_counted_once_each() {
        let mut cluster = snapshot(vec![node("a")], vec![("a", pod("there").claim("one"))]);
        storage_class(&mut cluster, "disk", "csi.example.com", "Immediate");
        for name in ["one", "two"] {
            claim(&mut cluster, name, "disk", Some(name));
            volume(&mut cluster, name, "disk", "1Gi", None);
            let known = cluster.volumes.volumes.get_mut(name).unwrap();
            let csi = CsiVolume { driver: "csi.example.com".into(), volume_handle: name.into() };
            Arc::make_mut(known).spec.csi = Some(csi);
        }
        let mut limit = |count| {
            let allocatable = Some(CsiAllocatable { count: Some(count) });
            let mut csi_node = CsiNode::default();
            csi_node.spec.drivers.push(CsiDriverOfNode { name: "csi.example.com".into(), allocatable });
            cluster.volumes.csi_nodes.insert("a".into(), Arc::new(csi_node));
            let reason = |claim: &str| {
                let wanted = pod("new").claim(claim).build();
                fits(&cluster, &wanted, "a").err().map(|rejection| rejection.reasons.join(", "))
            };
            (reason("one"), reason("two"))
        };
        assert_eq!(limit(2), (None, None));
        assert_eq!(limit(1), (None, Some("node(s) exceed max volume count".to_owned())));
    }
}
