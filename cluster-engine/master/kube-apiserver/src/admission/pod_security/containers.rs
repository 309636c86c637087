//! Going through a pod's containers, and the words of violations.

use drydock_api::go_quote;
use serde_json::Value;

use crate::registry::Read as _;

/// Every container of a pod: init, main, ephemeral.
pub(super) fn all(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| spec.items(list))
}

/// Names of the containers for which something is true.
pub(super) fn named(spec: &Value, is: impl Fn(&Value) -> bool) -> Vec<&str> {
    all(spec).filter(|container| is(container)).map(|container| container.text("name")).collect()
}

/// `"a", "b"`.
pub(super) fn quote<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    items.into_iter().map(go_quote).collect::<Vec<_>>().join(", ")
}

/// One word or the other.
pub(super) fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"` or `containers "a", "b"`.
pub(super) fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quote(names.iter().copied()))
}

/// A sorted list without doubles.
pub(super) fn sorted(mut items: Vec<String>) -> Vec<String> {
    items.sort();
    items.dedup();
    items
}
