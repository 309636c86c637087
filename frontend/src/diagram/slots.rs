//! Which place on its node a pod has: the lowest that was free when it came, kept until it goes.

use std::collections::{BTreeMap, HashMap, HashSet};

use drydock_protocol::Topology;

use super::{group_id, is_card, pod_id};

/// Places on one node, by number.
type Places = BTreeMap<usize, String>;

/// Fewer places than this are never given anew.
const FEW: usize = 12;

/// The places taken, by node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    taken: HashMap<String, Places>,
    /// Where pods are shown together: the places of groups.
    groups: HashMap<String, Places>,
}

impl Slots {
    /// Frees the places of pods that are gone and gives places to pods that came.
    pub fn update(&mut self, topology: &Topology) {
        let mut pods: HashMap<&str, Vec<String>> = HashMap::new();
        let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
        for pod in topology.pods.iter().filter(|it| is_card(it)) {
            if let Some(node) = pod.node.as_deref() {
                pods.entry(node).or_default().push(pod_id(pod));
                groups.entry(node).or_default().push(group_id(pod));
            }
        }
        settle(&mut self.taken, pods);
        settle(&mut self.groups, groups);
    }

    /// The pods of a node with their places, by place.
    pub fn on<'a>(&'a self, node: &str) -> impl Iterator<Item = (usize, &'a str)> {
        self.taken.get(node).into_iter().flatten().map(|(place, pod)| (*place, pod.as_str()))
    }

    /// The groups of a node with their places, by place.
    pub fn groups_on<'a>(&'a self, node: &str) -> impl Iterator<Item = (usize, &'a str)> {
        self.groups.get(node).into_iter().flatten().map(|(place, group)| (*place, group.as_str()))
    }

    /// How many places a node needs: one more than the highest taken.
    #[must_use]
    pub fn needed(&self, node: &str) -> usize {
        needed(&self.taken, node)
    }

    /// How many places a node's groups need.
    #[must_use]
    pub fn groups_needed(&self, node: &str) -> usize {
        needed(&self.groups, node)
    }
}

fn needed(taken: &HashMap<String, Places>, node: &str) -> usize {
    taken.get(node).and_then(|it| it.last_key_value()).map_or(0, |(place, _)| place + 1)
}

fn settle(taken: &mut HashMap<String, Places>, wanted: HashMap<&str, Vec<String>>) {
    taken.retain(|node, _| wanted.contains_key(node.as_str()));
    for (node, items) in wanted {
        let places = taken.entry(node.to_owned()).or_default();
        let alive: HashSet<&String> = items.iter().collect();
        places.retain(|_, item| alive.contains(item));
        // After a great many went, those that stay move together once: else a few would stand far apart for ever.
        let highest = places.last_key_value().map_or(0, |(place, _)| place + 1);
        if highest > FEW && alive.len() * 3 <= highest {
            *places = std::mem::take(places).into_values().enumerate().collect();
        }
        let mut placed: HashSet<String> = places.values().cloned().collect();
        let mut free = 0;
        for item in items {
            if !placed.insert(item.clone()) {
                continue;
            }
            while places.contains_key(&free) {
                free += 1;
            }
            places.insert(free, item);
        }
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
    fn those_that_stay_move_together_when_most_went() {
        let name = |index: usize| format!("p{index:02}");
        let names: Vec<String> = (0..30).map(name).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), "n1")).collect();
        let mut slots = Slots::default();
        slots.update(&topology(&all));
        assert_eq!(slots.needed("n1"), 30);
        // Twelve are too many to be moved, two are not.
        slots.update(&topology(&all[18..]));
        assert_eq!(slots.needed("n1"), 30);
        slots.update(&topology(&all[28..]));
        check(&slots, "n1", &[(0, "p28"), (1, "p29")]);
    }

    #[test]
    fn pods_of_one_owner_share_a_place() {
        let mut topology = topology(&[("a", "n1"), ("b", "n1"), ("c", "n1")]);
        let owner = |kind: &str, name: &str| drydock_protocol::OwnerRef { kind: kind.into(), name: name.into() };
        topology.pods[1].owners = vec![owner("ReplicaSet", "web-1"), owner("Deployment", "web")];
        topology.pods[2].owners = vec![owner("ReplicaSet", "web-2"), owner("Deployment", "web")];
        let mut slots = Slots::default();
        slots.update(&topology);
        let groups: Vec<(usize, &str)> = slots.groups_on("n1").collect();
        assert_eq!(groups, [(0, "n1///"), (1, "n1/Deployment//web")]);
        assert_eq!(slots.groups_needed("n1"), 2);
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
