//! `limitranges` and `resourcequotas`.

use serde_json::Value;

use super::value::{Read as _, quantity_text};
use crate::row::{Column, Resource, Subresource};

pub(super) static LIMIT_RANGES: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    columns: &[Column::NAME, Column::string("Created At", |object, _| object.at("metadata.creationTimestamp").clone())],
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
    storage: "/registry/resourcequotas",
    ..Resource::BASE
};

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
