//! Validation of LimitRanges and ResourceQuotas.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use drydock_api::quantity::Quantity;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::template::resources;
use crate::registry::value::{Read as _, quantity};
use crate::row::Context;

/// ValidateLimitRange.
pub(super) fn limits(range: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let mut seen = Vec::new();
    for (index, item) in range.items("spec.limits").iter().enumerate() {
        let path = Path::new("spec.limits").index(index);
        let kind = item.text("type");
        check::each(&mut errors, &path.child("type"), kind, names::is_qualified_name(kind));
        if !kind.is_empty() && !kind.contains('/') && !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim") {
            let message = "must be a standard limit type or fully qualified";
            errors.push(FieldError::invalid(&path.child("type"), kind, message));
        }
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        seen.push(kind);
        self::item(&mut errors, item, kind, &path);
    }
    errors
}

fn item(errors: &mut Errors, item: &Value, kind: &str, path: &Path) {
    let mut keys: Vec<&str> = Vec::new();
    for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if !item.entries(list).is_empty() {
                errors.push(FieldError::forbidden(&path.child(list), "may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        for (name, _) in item.entries(list) {
            let path = path.child(list).key(name);
            if matches!(kind, "Pod" | "Container") {
                resources::container_resource_name(errors, &path, name);
            } else {
                resources::resource_name(errors, &path, name);
            }
            if !keys.contains(&name) {
                keys.push(name);
            }
        }
    }
    if kind == "PersistentVolumeClaim"
        && item.at("min").get("storage").is_none()
        && item.at("max").get("storage").is_none()
    {
        errors.push(FieldError::required(
            &path.child("limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        ));
    }
    keys.sort_unstable();
    for key in keys {
        amounts(errors, item, kind, key, path);
    }
}

fn amounts(errors: &mut Errors, item: &Value, kind: &str, key: &str, path: &Path) {
    let amount = |list: &str| -> Option<Quantity> {
        if kind == "Pod" && list.starts_with("default") { None } else { item.at(list).get(key).and_then(quantity) }
    };
    let (min, max) = (amount("min"), amount("max"));
    let (default, request, ratio) = (amount("default"), amount("defaultRequest"), amount("maxLimitRequestRatio"));
    let mut more = |list: &str, bad: Quantity, message: String| {
        errors.push(FieldError::invalid(&path.child(list).key(key), bad.to_string(), message));
    };
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        more("min", min, format!("min value {min} is greater than max value {max}"));
    }
    if let (Some(request), Some(min)) = (request, min)
        && min > request
    {
        more("defaultRequest", request, format!("min value {min} is greater than default request value {request}"));
    }
    if let (Some(request), Some(max)) = (request, max)
        && request > max
    {
        more("defaultRequest", request, format!("default request value {request} is greater than max value {max}"));
    }
    if let (Some(request), Some(default)) = (request, default)
        && request > default
    {
        more(
            "defaultRequest",
            request,
            format!("default request value {request} is greater than default limit value {default}"),
        );
    }
    if let (Some(default), Some(min)) = (default, min)
        && min > default
    {
        more("default", min, format!("min value {min} is greater than default value {default}"));
    }
    if let (Some(default), Some(max)) = (default, max)
        && default > max
    {
        more("default", max, format!("default value {default} is greater than max value {max}"));
    }
    if let Some(ratio) = ratio {
        if ratio.milli_value() < 1000 {
            more("maxLimitRequestRatio", ratio, format!("ratio {ratio} is less than 1"));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let limit = max.as_f64() / min.as_f64();
            if ratio.as_f64() > limit {
                more("maxLimitRequestRatio", ratio, format!("ratio {ratio} is greater than max/min = {limit:.6}"));
            }
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && !resources::may_overcommit(key)
        && default != request
    {
        more(
            "defaultRequest",
            request,
            format!("default value {default} must equal to defaultRequest value {request} in {key}"),
        );
    }
}

/// ValidateLimitRange on update.
pub(super) fn limits_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    limits(new, context)
}

const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

fn hard(errors: &mut Errors, list: &Value, path: &Path) {
    for (name, value) in list.entries("") {
        let path = path.key(name);
        resources::quota_resource_name(errors, &path, name);
        resources::amount(errors, &path, name, value);
    }
}

fn scope_fits(scope: &str, resource: &str) -> bool {
    const COMPUTE: &[&str] =
        &["pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => COMPUTE.contains(&resource),
    }
}

fn scopes(errors: &mut Errors, spec: &Value, path: &Path) {
    let standard = |name: &str| !name.contains('/') && !name.starts_with("count/");
    let names: Vec<&str> =
        spec.entries("hard").into_iter().map(|(name, _)| name).filter(|name| standard(name)).collect();
    let all = spec.at("scopes");
    let own = path.child("scopes");
    let given: Vec<&str> = spec.items("scopes").iter().filter_map(Value::as_str).collect();
    for scope in &given {
        if !SCOPES.contains(scope) {
            errors.push(FieldError::invalid(&own, all.clone(), "unsupported scope"));
        }
        for name in &names {
            if SCOPES.contains(scope) && !scope_fits(scope, name) {
                errors.push(FieldError::invalid(&own, all.clone(), "unsupported scope applied to resource"));
            }
        }
    }
    conflicts(errors, &given, all, &own);
    let selector = spec.at("scopeSelector");
    if selector.is_null() {
        return;
    }
    let own = path.child("scopeSelector.matchExpressions");
    let mut selected = Vec::new();
    for requirement in selector.items("matchExpressions") {
        let (scope, operator) = (requirement.text("scopeName"), requirement.text("operator"));
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(&own.child("scopeName"), scope, "unsupported scope"));
        }
        for name in &names {
            if SCOPES.contains(&scope) && !scope_fits(scope, name) {
                errors.push(FieldError::invalid(&own, selector.clone(), "unsupported scope applied to resource"));
            }
        }
        if !matches!(scope, "PriorityClass" | "VolumeAttributesClass")
            && SCOPES.contains(&scope)
            && operator != "Exists"
        {
            errors.push(FieldError::invalid(
                &own.child("operator"),
                operator,
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
                 ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            ));
        }
        let values = requirement.items("values");
        match operator {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                &own.child("values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::invalid(
                &own.child("values"),
                requirement.at("values").clone(),
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(&own.child("operator"), other, "not a valid selector operator"));
            }
        }
        selected.push(scope);
    }
    conflicts(errors, &selected, all, &own);
}

fn conflicts(errors: &mut Errors, scopes: &[&str], all: &Value, path: &Path) {
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.push(FieldError::invalid(path, all.clone(), "conflicting scopes"));
        }
    }
}

/// ValidateResourceQuota.
pub(super) fn quota(quota: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec");
    hard(&mut errors, quota.at("spec.hard"), &path.child("hard"));
    scopes(&mut errors, quota.at("spec"), &path);
    errors
}

/// ValidateResourceQuotaUpdate.
pub(super) fn quota_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = quota(new, context);
    let sorted = |object: &Value| {
        let mut scopes: Vec<String> =
            object.items("spec.scopes").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        scopes.sort();
        scopes
    };
    if sorted(new) != sorted(old) {
        errors.push(FieldError::invalid(&Path::new("spec.scopes"), new.at("spec.scopes").clone(), check::IMMUTABLE));
    }
    errors
}

/// ValidateResourceQuotaStatusUpdate.
pub(super) fn quota_status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for key in ["hard", "used"] {
        hard(&mut errors, new.at("status").at(key), &Path::new("status").child(key));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::quota::{LIMIT_RANGES, RESOURCE_QUOTAS};

    fn context(resource: &'static crate::row::Resource) -> Context<'static> {
        Context { resource, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn limit_ranges() {
        let mut range = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}, {"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod"}]}});
        (LIMIT_RANGES.default)(&mut range);
        assert_eq!(range["spec"]["limits"][0]["default"], json!({"cpu": "1"}));
        assert_eq!(range["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "1"}));
        assert_eq!(
            texts(&limits(&range, &context(&LIMIT_RANGES))),
            [
                r#"spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1"#,
                r#"spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1"#,
                r#"spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1"#,
                "spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'",
                r#"spec.limits[2].type: Duplicate value: "Pod""#,
            ]
        );
    }

    #[test]
    fn quotas() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&quota(&json!({ "spec": spec }), &context(&RESOURCE_QUOTAS))), expected);
        }
        check(
            json!({"hard": {"pods": "10", "requests.cpu": "1", "count/deployments.apps": "3", "hugepages-2Mi": "2Mi"}}),
            &[],
        );
        check(
            json!({"hard": {"pods": "1500m", "bogus": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}),
            &[
                r#"spec.hard[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified"#,
                r#"spec.hard[bogus]: Invalid value: "bogus": must be a standard resource for quota"#,
                r#"spec.hard[pods]: Invalid value: "1500m": must be an integer"#,
                r#"spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource"#,
                r#"spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource"#,
                r#"spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes"#,
            ],
        );
    }
}
