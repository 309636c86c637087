//! `horizontalpodautoscalers` in `autoscaling/v2` (stored) and `autoscaling/v1`.

mod convert;
mod validate;

use serde_json::Value;

use super::print::number;
use super::value::{Read as _, quantity_text};
use crate::row::{Column, Resource, Subresource};

pub(super) static V2: Resource = Resource {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Reference", |object, _| {
            Value::String(format!(
                "{}/{}",
                object.text("spec.scaleTargetRef.kind"),
                object.text("spec.scaleTargetRef.name")
            ))
        }),
        Column::string("Targets", |object, _| Value::String(targets(object))),
        Column::string("MinPods", |object, _| {
            Value::String(
                object.int("spec.minReplicas").map_or_else(|| "<unset>".to_owned(), |number| number.to_string()),
            )
        }),
        Column::string("MaxPods", |object, _| number(object, "spec.maxReplicas")),
        Column::string("Replicas", |object, _| number(object, "status.currentReplicas")),
        Column::AGE,
    ],
    default: convert::default_v2,
    prepare_create: |object, _| convert::default_v2(object),
    validate: validate::v2,
    validate_update: validate::v2_update,
    storage: "/registry/horizontalpodautoscalers",
    ..Resource::BASE
};

pub(super) static V1: Resource = Resource {
    version: "v1",
    default: default_v1,
    prepare_create: |object, _| default_v1(object),
    columns: V1_COLUMNS,
    validate: validate::v1,
    validate_update: validate::v1_update,
    storage_version: ("autoscaling", "v2"),
    from_storage: Some(convert::to_v1),
    to_storage: Some(convert::to_v2),
    ..V2_BASE
};

/// SetDefaults_HorizontalPodAutoscaler of `autoscaling/v1`.
fn default_v1(object: &mut Value) {
    if let Some(spec) = super::value::child(object, "spec") {
        super::value::default(spec, "minReplicas", 1);
    }
    if let Some(status) = super::value::child(object, "status") {
        super::value::default(status, "currentReplicas", 0);
        super::value::default(status, "desiredReplicas", 0);
    }
}

const V2_BASE: Resource = Resource {
    group: "autoscaling",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    storage: "/registry/horizontalpodautoscalers",
    ..Resource::BASE
};

const V1_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::string("Reference", |object, _| {
        Value::String(format!(
            "{}/{}",
            object.text("spec.scaleTargetRef.kind"),
            object.text("spec.scaleTargetRef.name")
        ))
    }),
    Column::string("Targets", |object, _| {
        let mut v2 = object.clone();
        convert::to_v2(&mut v2);
        Value::String(targets(&v2))
    }),
    Column::string("MinPods", |object, _| {
        Value::String(object.int("spec.minReplicas").map_or_else(|| "<unset>".to_owned(), |number| number.to_string()))
    }),
    Column::string("MaxPods", |object, _| number(object, "spec.maxReplicas")),
    Column::string("Replicas", |object, _| number(object, "status.currentReplicas")),
    Column::AGE,
];

/// `cpu: 10%/50%, 3/10 (avg) + 1 more...`.
fn targets(object: &Value) -> String {
    let specs = object.items("spec.metrics");
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let statuses = object.items("status.currentMetrics");
    let shown: Vec<String> =
        specs.iter().enumerate().take(2).map(|(index, spec)| target(spec, statuses.get(index))).collect();
    let text = shown.join(", ");
    if specs.len() > 2 { format!("{text} + {} more...", specs.len() - 2) } else { text }
}

fn target(spec: &Value, status: Option<&Value>) -> String {
    let amount = |value: &Value| if value.is_null() { None } else { Some(quantity_text(value)) };
    let unknown = || "<unknown>".to_owned();
    let current = |key: &str, field: &str| status.and_then(|status| amount(status.at(key).at("current").at(field)));
    match spec.text("type") {
        kind @ ("External" | "Object") => {
            let key = if kind == "External" { "external" } else { "object" };
            let target = spec.at(key).at("target");
            match amount(target.at("averageValue")) {
                Some(average) => format!("{}/{average} (avg)", current(key, "averageValue").unwrap_or_else(unknown)),
                None => {
                    let now = status
                        .filter(|status| status.has(key))
                        .map(|_| current(key, "value").unwrap_or_else(|| "0".to_owned()));
                    format!(
                        "{}/{}",
                        now.unwrap_or_else(unknown),
                        amount(target.at("value")).unwrap_or_else(|| "0".to_owned())
                    )
                }
            }
        }
        "Pods" => format!(
            "{}/{}",
            current("pods", "averageValue").unwrap_or_else(unknown),
            amount(spec.at("pods.target.averageValue")).unwrap_or_else(|| "0".to_owned())
        ),
        kind @ ("Resource" | "ContainerResource") => {
            let key = if kind == "Resource" { "resource" } else { "containerResource" };
            let name = spec.at(key).text("name");
            match amount(spec.at(key).at("target.averageValue")) {
                Some(average) => format!("{name}: {}/{average}", current(key, "averageValue").unwrap_or_else(unknown)),
                None => {
                    let percent = |value: Option<i64>, otherwise: &str| {
                        value.map_or_else(|| otherwise.to_owned(), |percent| format!("{percent}%"))
                    };
                    let now = status.and_then(|status| status.at(key).int("current.averageUtilization"));
                    let wanted = spec.at(key).int("target.averageUtilization");
                    format!("{name}: {}/{}", percent(now, "<unknown>"), percent(wanted, "<auto>"))
                }
            }
        }
        _ => "<unknown type>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn target_cells() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}});
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "x"}, "target": {"averageValue": "10"}}});
        let external = json!({"type": "External", "external": {"target": {"averageValue": "1500m"}}});
        #[track_caller]
        fn check(specs: Value, statuses: Value, expected: &str) {
            assert_eq!(targets(&json!({"spec": {"metrics": specs}, "status": {"currentMetrics": statuses}})), expected);
        }
        check(json!(null), json!(null), "<none>");
        check(json!([cpu]), json!(null), "cpu: <unknown>/50%");
        check(
            json!([cpu]),
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7}}}]),
            "cpu: 7%/50%",
        );
        check(json!([pods, external, cpu]), json!(null), "<unknown>/10, <unknown>/1500m (avg) + 1 more...");
    }
}
