//! Under a quota on cpu or memory every container must say what it wants.

use std::collections::BTreeMap;

use serde_json::Value;

use super::usage::{Evaluator, Kind, amounts, compute};
use crate::registry::Read as _;

const SAID: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// # Errors
/// `must specify …` in upstream's words.
pub(super) fn check(evaluator: &Evaluator, hard: &[&str], pod: &Value) -> Result<(), String> {
    if evaluator.kind != Kind::Pod {
        return Ok(());
    }
    let pod_level =
        compute(&amounts(Some(pod.at("spec.resources.requests"))), &amounts(Some(pod.at("spec.resources.limits"))));
    let required: Vec<&str> =
        hard.iter().copied().filter(|name| SAID.contains(name) && !pod_level.contains_key(*name)).collect();
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in pod.items("spec.containers").iter().chain(pod.items("spec.initContainers")) {
        let said = compute(
            &amounts(Some(container.at("resources.requests"))),
            &amounts(Some(container.at("resources.limits"))),
        );
        for name in required.iter().filter(|name| !said.contains_key(**name)) {
            missing.entry(name).or_default().push(container.text("name"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = missing
        .into_iter()
        .map(|(name, mut containers)| {
            containers.sort_unstable();
            containers.dedup();
            format!("{name} for: {}", containers.join(","))
        })
        .collect();
    Err(format!("must specify {}", texts.join("; ")))
}
