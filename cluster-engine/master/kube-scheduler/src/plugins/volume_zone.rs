//! A volume that is labelled with a zone is used by nodes of that zone.

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};
use crate::volumes::claims_of;

const KEYS: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// Upstream: `VolumeZone`.
pub(crate) struct VolumeZone {
    /// Labels of the pod's volumes: key and the values of which a node must have one.
    wanted: Vec<(&'static str, Vec<String>)>,
}

impl VolumeZone {
    /// For this pod.
    pub(crate) fn new(snapshot: &Snapshot, pod: &PodInfo) -> VolumeZone {
        let mut wanted = Vec::new();
        for (name, _) in claims_of(&pod.pod) {
            let claim = snapshot.volumes.claim(&pod.pod.metadata.namespace, &name);
            let Some(volume) = claim.and_then(|claim| snapshot.volumes.volumes.get(&claim.spec.volume_name)) else {
                continue;
            };
            for key in KEYS {
                if let Some(value) = volume.metadata.labels.get(key) {
                    // Several zones are joined by two underscores.
                    wanted.push((key, value.split("__").map(str::to_owned).collect()));
                }
            }
        }
        VolumeZone { wanted }
    }
}

impl Plugin for VolumeZone {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if !KEYS.iter().any(|key| node.label(key).is_some()) {
            // A cluster without zones.
            return Ok(());
        }
        let has = |key: &str, values: &[String]| {
            let beta = key.replace("topology.kubernetes.io", "failure-domain.beta.kubernetes.io");
            let value = node.label(key).or_else(|| node.label(&beta));
            value.is_some_and(|value| values.iter().any(|wanted| wanted == value))
        };
        if self.wanted.iter().all(|(key, values)| has(key, values)) {
            return Ok(());
        }
        Err(Rejection::final_("VolumeZone", "node(s) had no available volume zone"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::testing::{claim, node, pod, snapshot, volume};

    #[test]
    fn zones_of_volumes_count() {
        const ZONE: &str = "topology.kubernetes.io/zone";
        let nodes = vec![node("a").label(ZONE, "a"), node("b").label(ZONE, "b"), node("c").label(ZONE, "c"), node("d")];
        let mut cluster = snapshot(nodes, vec![]);
        claim(&mut cluster, "data", "", Some("data"));
        volume(&mut cluster, "data", "", "1Gi", None);
        let known = cluster.volumes.volumes.get_mut("data").unwrap();
        Arc::make_mut(known).metadata.labels.insert(ZONE.into(), "a__b".into());
        let wanted = pod("p").claim("data").build();
        let fitting: Vec<&str> = cluster
            .nodes()
            .map(|node| node.name())
            .filter(|node| crate::framework::fits(&cluster, &wanted, node).is_ok())
            .collect();
        assert_eq!(fitting, ["a", "b", "d"]);
    }
}
