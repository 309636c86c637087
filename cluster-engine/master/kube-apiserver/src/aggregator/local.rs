//! The APIServices of the groups that we serve ourselves. Pure.

use drydock_api::meta;
use serde_json::{Value, json};

use super::AUTOMANAGED;
use crate::registry::Read as _;
use crate::row::Resource;

/// Upstream's priorities of built-in groups, highest first; others have 1000 and 15.
const PRIORITIES: &[(&str, &str, i64, i64)] = &[
    ("", "v1", 18000, 1),
    ("apps", "v1", 17800, 15),
    ("events.k8s.io", "v1", 17750, 15),
    ("authentication.k8s.io", "v1", 17700, 15),
    ("authorization.k8s.io", "v1", 17600, 15),
    ("autoscaling", "v1", 17500, 15),
    ("autoscaling", "v2", 17500, 30),
    ("batch", "v1", 17400, 15),
    ("certificates.k8s.io", "v1", 17300, 15),
    ("networking.k8s.io", "v1", 17200, 15),
    ("policy", "v1", 17100, 15),
    ("rbac.authorization.k8s.io", "v1", 17000, 15),
    ("storage.k8s.io", "v1", 16800, 15),
    ("apiextensions.k8s.io", "v1", 16700, 15),
    ("admissionregistration.k8s.io", "v1", 16700, 15),
    ("scheduling.k8s.io", "v1", 16600, 15),
    ("coordination.k8s.io", "v1", 16500, 15),
    ("node.k8s.io", "v1", 16300, 15),
    ("discovery.k8s.io", "v1", 16200, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16100, 21),
    ("resource.k8s.io", "v1", 16000, 15),
];

/// The group whose own APIService nobody needs.
const OWN: &str = "apiregistration.k8s.io";

fn name(group: &str, version: &str) -> String {
    format!("{version}.{group}")
}

fn object(row: &Resource, now: &str) -> Value {
    let known = PRIORITIES.iter().find(|(group, version, ..)| (*group, *version) == (row.group, row.version));
    let (group_priority, version_priority, managed) = match (known, row.custom) {
        (Some((.., group, version)), _) => (*group, *version, "onstart"),
        (None, None) => (1000, 15, "onstart"),
        // Versions of custom kinds are ordered by their names.
        (None, Some(_)) => (1000, 100, "true"),
    };
    let mut spec =
        json!({"version": row.version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority});
    if !row.group.is_empty() {
        spec["group"] = row.group.into();
    }
    json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": name(row.group, row.version), "labels": {AUTOMANAGED: managed}}, "spec": spec,
        "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local",
            "message": "Local APIServices are always available", "lastTransitionTime": now}]}})
}

/// The APIServices of rows, one for each group version.
pub(crate) fn objects(rows: &[&'static Resource], now: &str) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for row in rows.iter().filter(|row| row.group != OWN) {
        let wanted = name(row.group, row.version);
        if !out.iter().any(|object| meta::name(object) == wanted) {
            out.push(object(row, now));
        }
    }
    out
}

/// Those that do not exist yet.
pub(super) fn missing(rows: &[&'static Resource], existing: &[Value]) -> Vec<Value> {
    let mut out = objects(rows, &drydock_api::time::now_rfc3339());
    out.retain(|object| !existing.iter().any(|other| meta::name(other) == meta::name(object)));
    out
}

/// Whether it is one that we made for a group that is gone.
pub(super) fn is_orphan(object: &Value, rows: &[&'static Resource]) -> bool {
    let (group, version) = (object.text("spec.group"), object.text("spec.version"));
    meta::label(object, AUTOMANAGED).is_some()
        && !object.has("spec.service")
        && !rows.iter().any(|row| row.group == group && row.version == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_version_has_one() {
        static POD: Resource = Resource { version: "v1", plural: "pods", ..Resource::BASE };
        static NODE: Resource = Resource { version: "v1", plural: "nodes", ..Resource::BASE };
        static HPA: Resource = Resource { group: "autoscaling", version: "v2", ..Resource::BASE };
        let all = objects(&[&POD, &NODE, &HPA], "now");
        assert_eq!(all.iter().map(meta::name).collect::<Vec<_>>(), ["v1.", "v2.autoscaling"]);
        assert_eq!(
            all[1]["spec"],
            json!({"group": "autoscaling", "version": "v2", "groupPriorityMinimum": 17500, "versionPriority": 30})
        );
        assert_eq!(missing(&[&POD, &HPA], &all).len(), 0);
        assert!(is_orphan(&all[1], &[&POD]));
        assert!(!is_orphan(&all[0], &[&POD]));
    }
}
