//! Which requests a webhook or a policy is about: rules, match policy, and selectors of namespaces and objects.

use drydock_api::selector::Selector;
use drydock_api::{Status, meta};
use serde_json::Value;

use super::{Attempt, Operation};
use crate::registry::Read as _;
use crate::row::Resource;
use crate::verbs;

/// Kinds that no webhook and no policy sees, so that nobody locks everybody out.
const EXEMPT: [&str; 6] = [
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
];

/// Whether the request is about the configuration of admission itself.
pub(super) fn is_exempt(attempt: &Attempt<'_>) -> bool {
    attempt.row.group == "admissionregistration.k8s.io" && EXEMPT.contains(&attempt.row.plural)
}

/// The version of the resource by which a rule matches: the request's own, or with `Equivalent` another of the same objects.
pub(super) fn find(attempt: &Attempt<'_>, rules: &[Value], policy: &str) -> Option<&'static Resource> {
    if rules.iter().any(|rule| matches(attempt, rule, attempt.row)) {
        return Some(attempt.row);
    }
    if policy == "Exact" {
        return None;
    }
    let others = attempt.server.rows.all();
    let mut others = others.into_iter().filter(|row| {
        row.stored()
            && row.storage == attempt.row.storage
            && (row.group, row.version) != (attempt.row.group, attempt.row.version)
    });
    others.find(|row| rules.iter().any(|rule| matches(attempt, rule, row)))
}

fn matches(attempt: &Attempt<'_>, rule: &Value, row: &Resource) -> bool {
    let has = |key: &str, wanted: &str| rule.items(key).iter().any(|item| item == "*" || item == wanted);
    let scope = match rule.text("scope") {
        "Namespaced" => row.namespaced,
        "Cluster" => !row.namespaced,
        _ => true,
    };
    let named =
        rule.items("resourceNames").is_empty() || rule.items("resourceNames").iter().any(|name| name == attempt.name);
    scope
        && named
        && has("operations", attempt.operation.name())
        && has("apiGroups", row.group)
        && has("apiVersions", row.version)
        && rule.items("resources").iter().filter_map(Value::as_str).any(|item| {
            let (resource, sub) = item.split_once('/').unwrap_or((item, ""));
            (resource == "*" || resource == row.plural) && (sub == "*" || sub == attempt.subresource_name())
        })
}

/// Whether namespace and object are among those selected.
///
/// # Errors
/// 500 for a selector that cannot be read, 404 for a namespace that is not there.
pub(super) fn selected(attempt: &Attempt<'_>, by: &Value, object: Option<&Value>) -> Result<bool, Status> {
    let read = |key: &str| {
        let selector = by.at(key);
        if selector.is_null() {
            Ok(Selector::everything())
        } else {
            Selector::from_label_selector(selector).map_err(Status::internal)
        }
    };
    let namespaces = read("namespaceSelector")?;
    if !namespaces.is_everything() {
        let of_namespaces = attempt.on_resource("", "namespaces");
        let written =
            matches!(attempt.operation, Operation::Create | Operation::Update) && attempt.subresource.is_none();
        let fits = match object.filter(|_| of_namespaces && written) {
            Some(namespace) => namespaces.matches_object(namespace),
            None if attempt.namespace.is_empty() => true,
            None => namespace_object(attempt)
                .map(|namespace| namespaces.matches_object(&namespace))
                .ok_or_else(|| Status::not_found("", "namespaces", attempt.namespace))?,
        };
        if !fits {
            return Ok(false);
        }
    }
    let objects = read("objectSelector")?;
    Ok(objects.is_everything()
        || [object, attempt.old]
            .into_iter()
            .flatten()
            .any(|object| has_labels(object) && objects.matches_object(object)))
}

fn has_labels(object: &Value) -> bool {
    object.get("metadata").is_some()
}

/// The namespace that the request is in.
pub(super) fn namespace_object(attempt: &Attempt<'_>) -> Option<Value> {
    if attempt.namespace.is_empty() {
        return None;
    }
    let mut namespace = attempt.server.object("/registry/namespaces", "", attempt.namespace)?;
    if let Some(fields) = namespace.as_object_mut() {
        fields.insert("apiVersion".to_owned(), "v1".into());
        fields.insert("kind".to_owned(), "Namespace".into());
    }
    meta::metadata(&namespace)?;
    Some(namespace)
}

/// An object of the request's version as another row serves it.
///
/// # Errors
/// 500 when the conversion gives nothing readable.
pub(super) fn convert(object: &Value, from: &'static Resource, to: &'static Resource) -> Result<Value, Status> {
    if std::ptr::eq(from, to) || (from.group, from.version) == (to.group, to.version) {
        return Ok(object.clone());
    }
    verbs::wire_value(to, &verbs::stored(from, object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_match_with_their_subresources() {
        let rule = |resources: &[&str]| json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": resources});
        let fits = |resources: &[&str], plural: &str, sub: &str| {
            rule(resources).items("resources").iter().filter_map(Value::as_str).any(|item| {
                let (resource, own) = item.split_once('/').unwrap_or((item, ""));
                (resource == "*" || resource == plural) && (own == "*" || own == sub)
            })
        };
        assert!(fits(&["pods"], "pods", ""));
        assert!(!fits(&["pods"], "pods", "exec"));
        assert!(fits(&["pods/*"], "pods", ""));
        assert!(fits(&["*/*"], "pods", "exec"));
        assert!(!fits(&["*"], "pods", "exec"));
    }
}
