//! Whether a node is one that a pod or volume asks for.

use super::{Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod};

impl Pod {
    /// Whether the node has the labels that the pod's selector and required affinity want
    /// (upstream: `nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)`).
    pub fn asks_for(&self, node: &Node) -> bool {
        let labels = &node.metadata.labels;
        if !self.spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value)) {
            return false;
        }
        let affinity = self.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required =
            affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        required.is_none_or(|required| required.matches(node))
    }
}

impl NodeSelector {
    /// Whether the node matches any of the terms.
    pub fn matches(&self, node: &Node) -> bool {
        self.node_selector_terms.iter().any(|term| term.matches(node))
    }
}

impl NodeSelectorTerm {
    /// Whether the node matches all requirements; an empty term matches nothing.
    pub fn matches(&self, node: &Node) -> bool {
        if self.match_expressions.is_empty() && self.match_fields.is_empty() {
            return false;
        }
        let label = |key: &str| node.metadata.labels.get(key).map(String::as_str);
        let field = |key: &str| (key == "metadata.name").then_some(node.metadata.name.as_str());
        self.match_expressions.iter().all(|requirement| requirement.holds(label(&requirement.key)))
            && self.match_fields.iter().all(|requirement| requirement.holds(field(&requirement.key)))
    }
}

impl NodeSelectorRequirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value));
        let numbers = || {
            let wanted: i64 = self.values.first()?.parse().ok()?;
            Some((value?.parse::<i64>().ok()?, wanted))
        };
        match self.operator.as_str() {
            "In" => listed(),
            "NotIn" => !listed(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => numbers().is_some_and(|(value, wanted)| value > wanted),
            "Lt" => numbers().is_some_and(|(value, wanted)| value < wanted),
            _ => false,
        }
    }
}
