//! Validation of roles and bindings.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, same};
use crate::row::Context;

const GROUP: &str = "rbac.authorization.k8s.io";

fn rules(errors: &mut Errors, role: &Value, namespaced: bool) {
    for (index, rule) in role.items("rules").iter().enumerate() {
        let path = Path::new("rules").index(index);
        if rule.items("verbs").is_empty() {
            errors.push(FieldError::required(&path.child("verbs"), "verbs must contain at least one value"));
        }
        let urls = rule.at("nonResourceURLs");
        if !rule.items("nonResourceURLs").is_empty() {
            if namespaced {
                errors.push(FieldError::invalid(
                    &path.child("nonResourceURLs"),
                    urls.clone(),
                    "namespaced rules cannot apply to non-resource URLs",
                ));
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !rule.items(key).is_empty()) {
                errors.push(FieldError::invalid(
                    &path.child("nonResourceURLs"),
                    urls.clone(),
                    "rules cannot apply to both regular resources and non-resource URLs",
                ));
            }
            continue;
        }
        if rule.items("apiGroups").is_empty() {
            errors.push(FieldError::required(
                &path.child("apiGroups"),
                "resource rules must supply at least one api group",
            ));
        }
        if rule.items("resources").is_empty() {
            errors.push(FieldError::required(
                &path.child("resources"),
                "resource rules must supply at least one resource",
            ));
        }
    }
}

/// ValidateRole.
pub(super) fn role(role: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    rules(&mut errors, role, true);
    errors
}

/// ValidateRoleUpdate.
pub(super) fn role_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    role(new, context)
}

/// ValidateClusterRole.
pub(super) fn cluster_role(role: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    rules(&mut errors, role, false);
    if role.has("aggregationRule") {
        let path = Path::new("aggregationRule.clusterRoleSelectors");
        let selectors = role.items("aggregationRule.clusterRoleSelectors");
        if selectors.is_empty() {
            errors.push(FieldError::required(
                &path,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            ));
        }
        for (index, selector) in selectors.iter().enumerate() {
            check::label_selector(&mut errors, selector, &path.index(index));
        }
    }
    errors
}

/// ValidateClusterRoleUpdate.
pub(super) fn cluster_role_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    cluster_role(new, context)
}

/// ValidateRoleBinding and ValidateClusterRoleBinding.
pub(super) fn binding(binding: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let namespaced = context.resource.namespaced;
    let reference = binding.at("roleRef");
    let path = Path::new("roleRef");
    if reference.text("apiGroup") != GROUP {
        errors.push(FieldError::not_supported(&path.child("apiGroup"), reference.text("apiGroup"), &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&reference.text("kind")) {
        errors.push(FieldError::not_supported(&path.child("kind"), reference.text("kind"), kinds));
    }
    if check::required(&mut errors, reference, &path, "name") {
        let name = reference.text("name");
        check::each(&mut errors, &path.child("name"), name, names::is_path_segment_name(name));
    }
    for (index, subject) in binding.items("subjects").iter().enumerate() {
        self::subject(&mut errors, subject, &Path::new("subjects").index(index), namespaced);
    }
    errors
}

fn subject(errors: &mut Errors, subject: &Value, path: &Path, namespaced: bool) {
    let (name, group) = (subject.text("name"), subject.text("apiGroup"));
    check::required(errors, subject, path, "name");
    match subject.text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                check::dns_subdomain(errors, &path.child("name"), name);
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(&path.child("apiGroup"), group, &[""]));
            }
            if !namespaced {
                check::required(errors, subject, path, "namespace");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.push(FieldError::not_supported(&path.child("apiGroup"), group, &[GROUP]));
            }
        }
        kind => errors.push(FieldError::not_supported(&path.child("kind"), kind, &["ServiceAccount", "User", "Group"])),
    }
}

/// ValidateRoleBindingUpdate: the role is fixed.
pub(super) fn binding_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = binding(new, context);
    if !same(new.at("roleRef"), old.at("roleRef")) {
        errors.push(FieldError::invalid(&Path::new("roleRef"), new.at("roleRef").clone(), "cannot change roleRef"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::rbac::{CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, ROLES};

    fn context(resource: &'static crate::row::Resource) -> Context<'static> {
        Context { resource, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn roles() {
        let object = json!({"rules": [{}, {"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["pods"]}]});
        assert_eq!(
            texts(&role(&object, &context(&ROLES))),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
                r#"rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
                r#"rules[1].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs"#,
            ]
        );
    }

    #[test]
    fn bindings() {
        let mut object = json!({"roleRef": {"kind": "Role", "name": "a/b"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "Robot", "name": "r"}, {"kind": "ServiceAccount", "name": "s"}]});
        (ROLE_BINDINGS.default)(&mut object);
        assert_eq!(object["subjects"][0]["apiGroup"], GROUP);
        assert_eq!(
            texts(&binding(&object, &context(&ROLE_BINDINGS))),
            [
                r#"roleRef.name: Invalid value: "a/b": may not contain '/'"#,
                r#"subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group""#,
            ]
        );
        assert_eq!(
            texts(&binding(&object, &context(&CLUSTER_ROLE_BINDINGS)))[0],
            r#"roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole""#
        );
        let mut other = object.clone();
        other["roleRef"]["name"] = json!("b");
        other["subjects"] = json!([]);
        assert_eq!(
            texts(&binding_update(&other, &object, &context(&ROLE_BINDINGS))),
            [
                r#"roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: cannot change roleRef"#
            ]
        );
    }
}
