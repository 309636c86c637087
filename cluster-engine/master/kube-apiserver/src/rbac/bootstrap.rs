//! The roles and bindings that every cluster has from the start: upstream's default policy as compact data.
//!
//! The API server writes what is missing at start-up, and adds missing rules and subjects to what is there, unless an object
//! carries `rbac.authorization.kubernetes.io/autoupdate: "false"` (see [`reconcile`]).

mod bindings;
mod cluster_roles;
mod controller_roles;
mod namespace_roles;

use serde_json::{Map, Value, json};

use super::escalation::missing_rules;
use super::policy::PolicyRule;
use crate::registry::value::{Read as _, annotation};

/// A rule: verbs, groups (`core` is the empty group), resources, names; each list with spaces between. When `groups` is empty,
/// `resources` are paths.
struct Rule(&'static str, &'static str, &'static str, &'static str);

/// A role: name, labels beyond the common one, rules.
struct Role(&'static str, &'static [(&'static str, &'static str)], &'static [Rule]);

const fn rule(verbs: &'static str, groups: &'static str, resources: &'static str) -> Rule {
    Rule(verbs, groups, resources, "")
}

const fn named(verbs: &'static str, groups: &'static str, resources: &'static str, names: &'static str) -> Rule {
    Rule(verbs, groups, resources, names)
}

const fn paths(verbs: &'static str, paths: &'static str) -> Rule {
    Rule(verbs, "", paths, "")
}

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";
const READ_WRITE: &str = "create delete deletecollection get list patch update watch";
const READ_UPDATE: &str = "get list patch update watch";
/// Every component may write events.
const EVENTS: Rule = rule("create patch update", "core events.k8s.io", "events");

impl Rule {
    fn policy(&self) -> PolicyRule {
        let words = |text: &str| {
            let mut words: Vec<String> = text
                .split_whitespace()
                .map(|word| if word == "core" { String::new() } else { word.to_owned() })
                .collect();
            words.sort();
            words
        };
        let mut policy = PolicyRule {
            verbs: words(self.0),
            api_groups: words(self.1),
            resource_names: words(self.3),
            ..PolicyRule::default()
        };
        if self.1.is_empty() {
            policy.non_resource_urls = words(self.2);
        } else {
            policy.resources = words(self.2);
        }
        policy
    }
}

/// All default ClusterRoles, with the aggregated ones (`admin`, `edit`, `view`) already filled.
pub(crate) fn cluster_roles() -> Vec<Value> {
    let mut roles: Vec<Value> = cluster_roles::ROLES
        .iter()
        .chain(controller_roles::ROLES)
        .map(|role| role_object("ClusterRole", role, None))
        .collect();
    for (name, labels) in cluster_roles::AGGREGATED {
        let selector = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
        let mut object = role_object("ClusterRole", &Role(name, labels, &[]), None);
        object["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": { selector: "true" } }] });
        roles.push(object);
    }
    for (name, sources) in [("view", &["view"][..]), ("edit", &["edit", "view"]), ("admin", &["admin", "edit", "view"])]
    {
        let rules: Vec<Value> = sources
            .iter()
            .flat_map(|source| {
                cluster_roles::ROLES.iter().filter(move |role| role.0 == format!("system:aggregate-to-{source}"))
            })
            .flat_map(|role| role.2)
            .map(|rule| rule.policy().to_value())
            .collect();
        if let Some(role) = roles.iter_mut().find(|role| role.text("metadata.name") == name) {
            role["rules"] = Value::Array(rules);
        }
    }
    roles
}

/// All default ClusterRoleBindings.
pub(crate) fn cluster_role_bindings() -> Vec<Value> {
    let controllers = controller_roles::ROLES.iter().map(|role| {
        let account = role.0.trim_start_matches("system:controller:");
        binding_object("ClusterRoleBinding", role.0, "ClusterRole", role.0, vec![service_account(account)], None)
    });
    bindings::CLUSTER
        .iter()
        .map(|(name, subjects)| {
            let subjects = subjects.iter().map(|(kind, name)| subject(kind, name)).collect();
            binding_object("ClusterRoleBinding", name, "ClusterRole", name, subjects, None)
        })
        .chain(controllers)
        .collect()
}

/// All default Roles (of `kube-system` and `kube-public`).
pub(crate) fn roles() -> Vec<Value> {
    namespace_roles::ROLES.iter().map(|(namespace, role)| role_object("Role", role, Some(namespace))).collect()
}

/// All default RoleBindings.
pub(crate) fn role_bindings() -> Vec<Value> {
    namespace_roles::BINDINGS
        .iter()
        .map(|(namespace, name, role, subjects)| {
            let subjects = subjects.iter().map(|(kind, name)| subject(kind, name)).collect();
            binding_object("RoleBinding", name, "Role", role, subjects, Some(namespace))
        })
        .collect()
}

/// What to write when `existing` stands where `wanted` should: the existing object with missing rules, labels and subjects added.
/// None when nothing is missing or the object is protected. (A binding to another role must be deleted and made anew; the caller
/// sees that by comparing `roleRef`.)
pub(crate) fn reconcile(existing: &Value, wanted: &Value) -> Option<Value> {
    if annotation(existing, "rbac.authorization.kubernetes.io/autoupdate") == Some("false") {
        return None;
    }
    let mut merged = existing.clone();
    for field in ["labels", "annotations"] {
        for (key, value) in wanted.at("metadata").strings(field) {
            if merged["metadata"][field].get(key).and_then(Value::as_str) != Some(value) {
                merged["metadata"][field][key] = Value::from(value);
            }
        }
    }
    if !wanted.has("aggregationRule") {
        let held = PolicyRule::list(existing);
        let missing = missing_rules(&held, &PolicyRule::list(wanted));
        if !missing.is_empty() {
            let mut rules = existing.items("rules").to_vec();
            rules.extend(missing.iter().map(PolicyRule::to_value));
            merged["rules"] = Value::Array(rules);
        }
    }
    let known = existing.items("subjects");
    let lacking: Vec<Value> =
        wanted.items("subjects").iter().filter(|subject| !known.contains(subject)).cloned().collect();
    if !lacking.is_empty() {
        merged["subjects"] = Value::Array(known.iter().cloned().chain(lacking).collect());
    }
    (merged != *existing).then_some(merged)
}

fn metadata(name: &str, labels: &[(&str, &str)], namespace: Option<&str>) -> Value {
    let mut all = Map::new();
    all.insert("kubernetes.io/bootstrapping".to_owned(), json!("rbac-defaults"));
    all.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    let mut metadata = json!({
        "name": name,
        "labels": all,
        "annotations": { "rbac.authorization.kubernetes.io/autoupdate": "true" },
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

fn role_object(kind: &str, role: &Role, namespace: Option<&str>) -> Value {
    let rules: Vec<Value> = role.2.iter().map(|rule| rule.policy().to_value()).collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(role.0, role.1, namespace),
        "rules": rules,
    })
}

fn binding_object(
    kind: &str,
    name: &str,
    role_kind: &str,
    role: &str,
    subjects: Vec<Value>,
    namespace: Option<&str>,
) -> Value {
    let mut object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(name, &[], namespace),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role },
    });
    if !subjects.is_empty() {
        object["subjects"] = Value::Array(subjects);
    }
    object
}

fn subject(kind: &str, name: &str) -> Value {
    if kind == "ServiceAccount" {
        service_account(name)
    } else {
        json!({ "kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": name })
    }
}

fn service_account(name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "name": name, "namespace": "kube-system" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(objects: &[Value]) -> BTreeSet<String> {
        objects.iter().map(|object| object.text("metadata.name").to_owned()).collect()
    }

    #[test]
    fn every_binding_has_its_role() {
        let cluster_roles = cluster_roles();
        let known = names(&cluster_roles);
        assert_eq!(known.len(), cluster_roles.len(), "names are unique");
        for binding in cluster_role_bindings() {
            assert!(known.contains(binding.text("roleRef.name")), "{binding}");
        }
        let roles: BTreeSet<(String, String)> = roles()
            .iter()
            .map(|role| (role.text("metadata.namespace").to_owned(), role.text("metadata.name").to_owned()))
            .collect();
        for binding in role_bindings() {
            let reference = (binding.text("metadata.namespace").to_owned(), binding.text("roleRef.name").to_owned());
            assert!(roles.contains(&reference), "{binding}");
        }
    }

    #[test]
    fn rules_are_complete_and_sorted() {
        for role in cluster_roles().iter().chain(&roles()) {
            for rule in PolicyRule::list(role) {
                assert!(!rule.verbs.is_empty(), "{role}");
                assert!(
                    rule.non_resource_urls.is_empty() != (rule.resources.is_empty() || rule.api_groups.is_empty()),
                    "{role}"
                );
                assert!(rule.verbs.is_sorted() && rule.resources.is_sorted(), "{role}");
            }
        }
    }

    #[test]
    fn view_cannot_read_secrets_but_admin_can_grant() {
        let roles = cluster_roles();
        let rules =
            |name: &str| PolicyRule::list(roles.iter().find(|role| role.text("metadata.name") == name).unwrap());
        let may = |name: &str, verb: &str, group: &str, resource: &str| {
            rules(name).iter().any(|rule| rule.allows_resource(verb, group, resource, "", ""))
        };
        assert!(may("view", "get", "", "pods"));
        assert!(!may("view", "get", "", "secrets"));
        assert!(may("edit", "get", "", "secrets"));
        assert!(!may("edit", "create", "rbac.authorization.k8s.io", "roles"));
        assert!(may("admin", "create", "rbac.authorization.k8s.io", "roles"));
        assert!(may("admin", "list", "", "pods"));
        assert!(may("cluster-admin", "anything", "x.example", "things"));
    }

    #[test]
    fn reconciling_adds_only_what_is_missing() {
        let wanted = &cluster_roles()[1];
        assert_eq!(reconcile(wanted, wanted), None);
        let mut less = wanted.clone();
        less["rules"] = json!([]);
        less["metadata"]["labels"] = json!({"own": "x"});
        let merged = reconcile(&less, wanted).unwrap();
        assert_eq!(missing_rules(&PolicyRule::list(&merged), &PolicyRule::list(wanted)), vec![]);
        assert_eq!(merged["metadata"]["labels"]["own"], "x");
        assert_eq!(merged["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
        less["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = json!("false");
        assert_eq!(reconcile(&less, wanted), None);
    }
}
