//! The plugins of the default profile, one file each, in the order in which they filter.

mod balanced_allocation;
mod image_locality;
mod inter_pod_affinity;
pub(crate) mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod node_volume_limits;
mod pod_topology_spread;
mod taint_toleration;
mod volume_binding;
mod volume_restrictions;
mod volume_zone;

pub(crate) use self::volume_binding::is_reachable;

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{PodInfo, Snapshot};

/// All plugins, made for one pod and one snapshot.
///
/// # Errors
/// When a plugin refuses the pod whatever the node (upstream: PreFilter).
pub fn all<'a>(snapshot: &'a Snapshot, pod: &'a PodInfo) -> Result<Vec<Box<dyn Plugin + 'a>>, Rejection> {
    Ok(vec![
        Box::new(node_unschedulable::NodeUnschedulable::new(pod)),
        Box::new(node_name::NodeName::new(pod)),
        Box::new(taint_toleration::TaintToleration::new(pod)),
        Box::new(node_affinity::NodeAffinity::new(pod)?),
        Box::new(node_ports::NodePorts::new(pod)),
        Box::new(node_resources_fit::NodeResourcesFit::new(pod)),
        Box::new(volume_restrictions::VolumeRestrictions::new(snapshot, pod)?),
        Box::new(node_volume_limits::NodeVolumeLimits::new(snapshot, pod)),
        Box::new(volume_binding::VolumeBinding::new(snapshot, pod)?),
        Box::new(volume_zone::VolumeZone::new(snapshot, pod)),
        Box::new(pod_topology_spread::PodTopologySpread::new(snapshot, pod)),
        Box::new(inter_pod_affinity::InterPodAffinity::new(snapshot, pod)),
        Box::new(balanced_allocation::BalancedAllocation::new(pod)),
        Box::new(image_locality::ImageLocality::new(snapshot, pod)),
    ])
}
