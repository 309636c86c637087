//! Where everything in the architecture diagram stands: pure functions from the cluster's objects to rectangles
//! and lines.
//!
//! The picture reads top-down as a request does: master with the control plane, workloads, ingresses and services, nodes
//! with their pods and agents. Two rules give it calm. *Positions stay*: a pod keeps its slot on its node for as
//! long as it lives ([`slots`]). *Lines keep out*: an edge ends at the border of a pod and crosses no title
//! ([`edges`]).

pub mod edges;
pub mod geometry;
pub mod layout;
pub mod looks;
pub mod slots;
pub mod walk;

#[cfg(test)]
mod tests;

pub use edges::Edge;
pub use geometry::{Point, Rect, rounded_path};
pub use layout::{Density, Group, Layout, NodeBox, Size, View, layout};
pub use looks::Look;
pub use slots::Slots;

use drydock_protocol::Pod;

/// Identity of a pod in the picture: its UID, so that a pod created anew under the same name is another one.
#[must_use]
pub fn pod_id(pod: &Pod) -> String {
    if pod.uid.is_empty() { format!("{}/{}", pod.namespace, pod.name) } else { pod.uid.clone() }
}

/// Who made the pod in the end: kind and name of the outermost owner, both empty for a pod that somebody made by hand.
#[must_use]
pub fn maker(pod: &Pod) -> (&str, &str) {
    pod.owners.last().map_or(("", ""), |it| (it.kind.as_str(), it.name.as_str()))
}

/// Identity of the group in which a pod is shown where there are too many: those of one owner on one node.
#[must_use]
pub fn group_id(pod: &Pod) -> String {
    let (kind, name) = maker(pod);
    format!("{}/{kind}/{}/{name}", pod.node.as_deref().unwrap_or_default(), pod.namespace)
}

/// Whether the picture shows the pod as a card. Static pods appear as components instead.
#[must_use]
pub fn is_card(pod: &Pod) -> bool {
    !pod.mirror
}

/// Whether a namespace belongs to the system and not to the learner.
#[must_use]
pub fn is_system(namespace: &str) -> bool {
    matches!(namespace, "kube-system" | "kube-public" | "kube-node-lease" | "local-path-storage" | "ingress-nginx")
}
