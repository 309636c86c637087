//! Prefers nodes that have the pod's images already, the larger the better.

use std::collections::HashMap;

use crate::framework::{MAX_SCORE, Plugin};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

/// Below this much on the node the score is 0.
const MIN_BYTES: i64 = 23 * 1024 * 1024;
/// From this much for each container the score is full.
const MAX_BYTES_PER_CONTAINER: i64 = 1000 * 1024 * 1024;

/// Upstream: `ImageLocality`.
pub(crate) struct ImageLocality {
    /// The pod's images with the share of nodes that have them.
    images: HashMap<String, f64>,
    containers: i64,
}

impl ImageLocality {
    /// For this pod.
    pub(crate) fn new(snapshot: &Snapshot, pod: &PodInfo) -> ImageLocality {
        let total = snapshot.node_count().max(1) as f64;
        let containers = pod.pod.spec.containers.iter().chain(&pod.pod.spec.init_containers);
        let names: Vec<String> = containers.map(|container| normal_name(&container.image)).collect();
        let count = names.len() as i64;
        let images = names
            .into_iter()
            .map(|name| {
                let having = snapshot.nodes().filter(|node| size_on(node, &name).is_some()).count();
                (name, having as f64 / total)
            })
            .collect();
        ImageLocality { images, containers: count }
    }
}

fn size_on(node: &NodeInfo, image: &str) -> Option<i64> {
    let found = node.node.status.images.iter().find(|known| known.names.iter().any(|name| normal_name(name) == image));
    found.map(|known| known.size_bytes)
}

/// A name without a tag means `latest`.
fn normal_name(name: &str) -> String {
    let last = name.rfind('/').map_or(name, |at| &name[at..]);
    if last.contains(':') || last.contains('@') { name.to_owned() } else { format!("{name}:latest") }
}

impl Plugin for ImageLocality {
    fn weight(&self) -> i64 {
        1
    }

    fn score(&self, node: &NodeInfo) -> i64 {
        // An image that few nodes have counts less, or all pods would crowd on those.
        let bytes: i64 = self
            .images
            .iter()
            .filter_map(|(name, spread)| size_on(node, name).map(|size| (size as f64 * spread) as i64))
            .sum();
        let most = MAX_BYTES_PER_CONTAINER * self.containers.max(1);
        MAX_SCORE * (bytes.clamp(MIN_BYTES, most) - MIN_BYTES) / (most - MIN_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_order, node, pod};

    #[test]
    fn names_without_tag_mean_latest() {
        for (name, normal) in
            [("a", "a:latest"), ("r:5000/a", "r:5000/a:latest"), ("a:1", "a:1"), ("a@sha256:x", "a@sha256:x")]
        {
            assert_eq!(normal_name(name), normal);
        }
    }

    #[test]
    fn images_attract() {
        let nodes = vec![node("a"), node("b").image("big:latest", 900 << 20)];
        check_order(nodes, vec![], pod("p").image("big"), "b");
    }
}
