//! Which place on its node a pod has: the lowest that was free when it came, kept until it goes.

use std::collections::{BTreeMap, HashMap, HashSet};

use drydock_protocol::Topology;

use super::{is_card, pod_id};

/// The places taken, by node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    taken: HashMap<String, BTreeMap<usize, String>>,
}

impl Slots {
    /// Frees the places of pods that are gone and gives places to pods that came.
    pub fn update(&mut self, topology: &Topology) {
        let mut wanted: HashMap<&str, Vec<String>> = HashMap::new();
        for pod in topology.pods.iter().filter(|it| is_card(it)) {
            if let Some(node) = pod.node.as_deref() {
                wanted.entry(node).or_default().push(pod_id(pod));
            }
        }
        self.taken.retain(|node, _| wanted.contains_key(node.as_str()));
        for (node, pods) in wanted {
            let places = self.taken.entry(node.to_owned()).or_default();
            let alive: HashSet<&String> = pods.iter().collect();
            places.retain(|_, pod| alive.contains(pod));
            let placed: HashSet<String> = places.values().cloned().collect();
            let mut free = 0;
            for pod in pods.into_iter().filter(|it| !placed.contains(it)) {
                while places.contains_key(&free) {
                    free += 1;
                }
                places.insert(free, pod);
            }
        }
    }

    /// The pods of a node with their places, by place.
    pub fn on<'a>(&'a self, node: &str) -> impl Iterator<Item = (usize, &'a str)> {
        self.taken.get(node).into_iter().flatten().map(|(place, pod)| (*place, pod.as_str()))
    }

    /// How many places a node needs: one more than the highest taken.
    #[must_use]
    pub fn needed(&self, node: &str) -> usize {
        self.taken.get(node).and_then(|it| it.last_key_value()).map_or(0, |(place, _)| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_protocol::Pod;

    fn topology(pods: &[(&str, &str)]) -> Topology {
        let pod = |(uid, node): &(&str, &str)| Pod {
            uid: (*uid).into(),
            name: (*uid).into(),
            node: (!node.is_empty()).then(|| (*node).into()),
            ..Pod::default()
        };
        Topology { pods: pods.iter().map(pod).collect(), ..Topology::default() }
    }

    #[track_caller]
    fn check(slots: &Slots, node: &str, want: &[(usize, &str)]) {
        assert_eq!(slots.on(node).collect::<Vec<_>>(), want, "{node}");
    }

    #[test]
    fn a_pod_keeps_its_place_when_others_go() {
        let mut slots = Slots::default();
        slots.update(&topology(&[("a", "n1"), ("b", "n1"), ("c", "n1"), ("x", "n2")]));
        check(&slots, "n1", &[(0, "a"), (1, "b"), (2, "c")]);
        slots.update(&topology(&[("c", "n1"), ("x", "n2")]));
        check(&slots, "n1", &[(2, "c")]);
        assert_eq!(slots.needed("n1"), 3);
        slots.update(&topology(&[("d", "n1"), ("c", "n1"), ("e", "n1"), ("f", "n1")]));
        check(&slots, "n1", &[(0, "d"), (1, "e"), (2, "c"), (3, "f")]);
        check(&slots, "n2", &[]);
    }

    #[test]
    fn unbound_and_static_pods_take_none() {
        let mut slots = Slots::default();
        let mut topology = topology(&[("a", ""), ("b", "n1")]);
        topology.pods[1].mirror = true;
        slots.update(&topology);
        check(&slots, "n1", &[]);
        check(&slots, "", &[]);
    }
}
