//! What the conditions of a namespace under deletion say.

use std::collections::BTreeMap;

use drydock_client::types::Condition;

use crate::discovery::Served;

/// What is left of a namespace's contents.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Objects left, by `resource.group`.
    pub(super) left: BTreeMap<String, usize>,
    /// Objects left for the sake of a finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    pub(super) discovery_failure: Option<String>,
    pub(super) content_failures: Vec<String>,
}

impl Remains {
    pub(super) fn add(&mut self, served: &Served, (count, finalizers): (usize, BTreeMap<String, usize>)) {
        if count > 0 {
            let name = format!("{}.{}", served.resource.plural, served.resource.group);
            *self.left.entry(name).or_default() += count;
        }
        for (finalizer, count) in finalizers {
            *self.finalizers.entry(finalizer).or_default() += count;
        }
    }

    /// Nothing is left and nothing went wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.discovery_failure.is_none() && self.content_failures.is_empty()
    }
}

/// The five conditions, in upstream's order and words; a condition that stays as it is keeps its time.
pub(super) fn conditions(old: &[Condition], remains: &Remains, now: &str) -> Vec<Condition> {
    let list = |counts: &BTreeMap<String, usize>, word: &str| {
        let parts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {word} {count} resource instances")).collect();
        parts.join(", ")
    };
    let discovery = match &remains.discovery_failure {
        None => (false, "ResourcesDiscovered", "All resources successfully discovered".to_owned()),
        Some(error) => (true, "DiscoveryFailed", format!("Discovery failed for some groups: {error}")),
    };
    let parsed = (false, "ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned());
    let content = if remains.content_failures.is_empty() {
        (false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization".to_owned())
    } else {
        let errors = remains.content_failures.join(", ");
        (
            true,
            "ContentDeletionFailed",
            format!("Failed to delete all resource types, {} remaining: {errors}", remains.content_failures.len()),
        )
    };
    let remaining = if remains.left.is_empty() {
        (false, "ContentRemoved", "All content successfully removed".to_owned())
    } else {
        (true, "SomeResourcesRemain", format!("Some resources are remaining: {}", list(&remains.left, "has")))
    };
    let finalizing = if remains.finalizers.is_empty() {
        (false, "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned())
    } else {
        let what = list(&remains.finalizers, "in");
        (true, "SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {what}"))
    };
    [
        ("NamespaceDeletionDiscoveryFailure", discovery),
        ("NamespaceDeletionGroupVersionParsingFailure", parsed),
        ("NamespaceDeletionContentFailure", content),
        ("NamespaceContentRemaining", remaining),
        ("NamespaceFinalizersRemaining", finalizing),
    ]
    .into_iter()
    .map(|(kind, (is_true, reason, message))| {
        let status = if is_true { "True" } else { "False" };
        let before = old.iter().find(|condition| condition.kind == kind);
        let since =
            before.filter(|before| before.status == status).and_then(|before| before.last_transition_time.clone());
        Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: Some(since.unwrap_or_else(|| now.to_owned())),
            ..Condition::default()
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_upstreams() {
        let mut remains = Remains::default();
        assert!(remains.is_empty());
        remains.left.insert("pods.".into(), 2);
        remains.finalizers.insert("example.com/hold".into(), 1);
        let first = conditions(&[], &remains, "T1");
        let said: Vec<_> = first.iter().map(|c| (c.status.as_str(), c.reason.as_str(), c.message.as_str())).collect();
        assert_eq!(said[0], ("False", "ResourcesDiscovered", "All resources successfully discovered"));
        assert_eq!(
            said[3],
            ("True", "SomeResourcesRemain", "Some resources are remaining: pods. has 2 resource instances")
        );
        assert_eq!(
            said[4].2,
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        );
        assert_eq!(conditions(&first, &remains, "T2"), first, "nothing new, nothing changes");
        let done = conditions(&first, &Remains::default(), "T2");
        assert_eq!(done[3].last_transition_time.as_deref(), Some("T2"));
        assert_eq!(done[0].last_transition_time.as_deref(), Some("T1"));
    }
}
