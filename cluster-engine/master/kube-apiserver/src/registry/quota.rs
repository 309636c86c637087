//! `limitranges` and `resourcequotas`.

mod validate;

use serde_json::Value;

use super::value::{Read as _, at_mut, canonical_quantities, child, default, items_mut, quantity_text};
use crate::row::{Column, Resource, Subresource};

pub(super) static LIMIT_RANGES: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    columns: &[Column::NAME, Column::string("Created At", |object, _| object.at("metadata.creationTimestamp").clone())],
    default: default_limits,
    validate: validate::limits,
    validate_update: validate::limits_update,
    create_on_update: true,
    storage: "/registry/limitranges",
    ..Resource::BASE
};

pub(super) static RESOURCE_QUOTAS: Resource = Resource {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Request", |quota, _| Value::String(used_of_hard(quota, false)))
            .describe("Request represents a minimum amount of cpu/memory that a container may consume."),
        Column::string("Limit", |quota, _| Value::String(used_of_hard(quota, true)))
            .describe("Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."),
        Column::AGE,
    ],
    default: |quota| {
        for path in ["spec.hard", "status.hard", "status.used"] {
            if let Some(list) = at_mut(quota, path) {
                canonical_quantities(list);
            }
        }
        child(quota, "spec");
        child(quota, "status");
    },
    validate: validate::quota,
    validate_update: validate::quota_update,
    validate_subresource: validate::quota_status,
    storage: "/registry/resourcequotas",
    ..Resource::BASE
};

/// SetDefaults_LimitRangeItem: a container's default limit and request follow from what is given.
fn default_limits(range: &mut Value) {
    for item in items_mut(range, "spec.limits") {
        for key in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            if let Some(list) = at_mut(item, key) {
                canonical_quantities(list);
            }
        }
        if item.text("type") != "Container" {
            continue;
        }
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let known: Vec<(String, Value)> =
                item.entries(from).into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
            if known.is_empty() {
                continue;
            }
            if let Some(target) = child(item, to) {
                for (key, value) in known {
                    default(target, &key, value);
                }
            }
        }
    }
}

/// `pods: 1/10, requests.cpu: 0/1` of those that are limits, or of the others.
fn used_of_hard(quota: &Value, limits: bool) -> String {
    let used = quota.at("status.used");
    quota
        .entries("status.hard")
        .into_iter()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            format!("{name}: {}/{}", used.get(name).map_or_else(|| "0".to_owned(), quantity_text), quantity_text(hard))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells() {
        let quota = json!({"status": {"hard": {"limits.cpu": "2", "pods": "10", "requests.cpu": "1"}, "used": {"pods": "1", "limits.cpu": "500m"}}});
        assert_eq!(used_of_hard(&quota, false), "pods: 1/10, requests.cpu: 0/1");
        assert_eq!(used_of_hard(&quota, true), "limits.cpu: 500m/2");
    }
}
