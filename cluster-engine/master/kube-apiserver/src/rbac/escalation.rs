//! Nobody may grant more than they hold: upstream's escalation and bind checks.
//!
//! Role writes: allowed when the user is in `system:masters`, may `escalate` the role, or holds every rule in it. Binding writes:
//! allowed when the user may `bind` the role or holds every rule of the role bound.

use std::collections::BTreeSet;

use drydock_api::go_quote;
use serde_json::Value;

use super::authorizer::{Authorizer, RbacKind};
use super::policy::{PolicyRule, path_matches};
use crate::authorize::{Attributes, Authorize, Decision, UserInfo};
use crate::registry::value::{Read as _, same};

/// Group whose members skip the checks.
const MASTERS: &str = "system:masters";

/// Checks a write of a role or binding by a user; `old` is the stored object on update. The error is the text that follows
/// `… is forbidden: ` in upstream's answer, or a role that does not exist.
pub(crate) fn check(
    authorizer: &Authorizer,
    user: &UserInfo,
    kind: RbacKind,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), String> {
    if user.in_group(MASTERS) {
        return Ok(());
    }
    let name = object.text("metadata.name");
    let namespace = object.text("metadata.namespace");
    let may = |verb: &str, resource: &str, namespace: &str, name: &str| {
        let request = Attributes {
            user,
            verb,
            group: "rbac.authorization.k8s.io",
            resource,
            subresource: "",
            name,
            namespace,
            path: "",
        };
        matches!(authorizer.authorize(&request), Decision::Allow(_))
    };
    match kind {
        RbacKind::Role | RbacKind::ClusterRole => {
            let unchanged = old.is_some_and(|old| {
                same(object.at("rules"), old.at("rules"))
                    && same(object.at("aggregationRule"), old.at("aggregationRule"))
            });
            let resource = if kind == RbacKind::Role { "roles" } else { "clusterroles" };
            if unchanged || may("escalate", resource, namespace, name) {
                return Ok(());
            }
            confirm(authorizer, user, namespace, &PolicyRule::list(object))?;
            if kind == RbacKind::ClusterRole && object.has("aggregationRule") {
                confirm(authorizer, user, "", &full_authority()).map_err(|error| {
                    format!("must have cluster-admin privileges to use an aggregationRule: {error}")
                })?;
            }
            Ok(())
        }
        RbacKind::RoleBinding | RbacKind::ClusterRoleBinding => {
            let unchanged = old.is_some_and(|old| {
                same(object.at("subjects"), old.at("subjects")) && same(object.at("roleRef"), old.at("roleRef"))
            });
            let role_kind = object.text("roleRef.kind");
            let role_name = object.text("roleRef.name");
            let resource = if role_kind == "Role" { "roles" } else { "clusterroles" };
            if unchanged || may("bind", resource, namespace, role_name) {
                return Ok(());
            }
            let rules = authorizer.role_rules(role_kind, role_name, namespace)?;
            confirm(authorizer, user, namespace, &rules)
        }
    }
}

fn full_authority() -> Vec<PolicyRule> {
    let all = || vec!["*".to_owned()];
    vec![
        PolicyRule { verbs: all(), api_groups: all(), resources: all(), ..PolicyRule::default() },
        PolicyRule { verbs: all(), non_resource_urls: all(), ..PolicyRule::default() },
    ]
}

fn confirm(authorizer: &Authorizer, user: &UserInfo, namespace: &str, wanted: &[PolicyRule]) -> Result<(), String> {
    let held = authorizer.rules_for(user, namespace);
    let missing = missing_rules(&held.rules, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let lines: BTreeSet<String> = compact(missing).iter().map(describe).collect();
    let mut message = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        go_quote(&user.name),
        quoted(&user.groups),
        lines.into_iter().collect::<Vec<_>>().join("\n")
    );
    if !held.errors.is_empty() {
        message.push_str(&format!("; resolution errors: [{}]", held.errors.join(" ")));
    }
    Err(message)
}

/// The single rights in `wanted` that no held rule covers.
pub(crate) fn missing_rules(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let covers = |right: &PolicyRule| held.iter().any(|rule| rule_covers(rule, right));
    wanted.iter().flat_map(break_down).filter(|right| !covers(right)).collect()
}

/// A rule as rights of one verb on one thing each.
fn break_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let mut rights = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let one = PolicyRule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..PolicyRule::default()
                };
                if rule.resource_names.is_empty() {
                    rights.push(one);
                } else {
                    rights.extend(
                        rule.resource_names
                            .iter()
                            .map(|name| PolicyRule { resource_names: vec![name.clone()], ..one.clone() }),
                    );
                }
            }
        }
    }
    for path in &rule.non_resource_urls {
        for verb in &rule.verbs {
            rights.push(PolicyRule {
                verbs: vec![verb.clone()],
                non_resource_urls: vec![path.clone()],
                ..PolicyRule::default()
            });
        }
    }
    rights
}

fn rule_covers(rule: &PolicyRule, right: &PolicyRule) -> bool {
    let all = |list: &[String], wanted: &[String]| {
        list.iter().any(|item| item == "*") || wanted.iter().all(|item| list.contains(item))
    };
    let resources = all(&rule.resources, &right.resources)
        || right.resources.iter().all(|wanted| {
            rule.resources.contains(wanted)
                || wanted
                    .split_once('/')
                    .is_some_and(|(_, sub)| rule.resources.iter().any(|item| item.strip_prefix("*/") == Some(sub)))
        });
    let names = if right.resource_names.is_empty() {
        rule.resource_names.is_empty()
    } else {
        rule.resource_names.is_empty() || right.resource_names.iter().all(|name| rule.resource_names.contains(name))
    };
    let paths = right
        .non_resource_urls
        .iter()
        .all(|wanted| rule.non_resource_urls.iter().any(|held| path_matches(held, wanted)));
    all(&rule.verbs, &right.verbs) && all(&rule.api_groups, &right.api_groups) && resources && names && paths
}

/// Joins verbs of rights on the same single resource, as upstream does before it prints them.
fn compact(rights: Vec<PolicyRule>) -> Vec<PolicyRule> {
    let mut joined: Vec<PolicyRule> = Vec::new();
    for right in rights {
        let same = joined.iter_mut().find(|rule| {
            right.non_resource_urls.is_empty()
                && rule.non_resource_urls.is_empty()
                && rule.api_groups == right.api_groups
                && rule.resources == right.resources
                && rule.resource_names == right.resource_names
        });
        match same {
            Some(rule) => {
                for verb in right.verbs {
                    if !rule.verbs.contains(&verb) {
                        rule.verbs.push(verb);
                    }
                }
            }
            None => joined.push(right),
        }
    }
    joined
}

/// A rule in upstream's compact form: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`.
fn describe(rule: &PolicyRule) -> String {
    let parts: Vec<String> = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ]
    .iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(name, list)| format!("{name}:{}", quoted(list)))
    .collect();
    format!("{{{}}}", parts.join(", "))
}

/// Go's `%q` of a list of strings.
fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|item| go_quote(item)).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::authorizer::tests::Cache;
    use super::*;

    fn authorizer() -> Authorizer {
        Authorizer::new(Cache::of(vec![
            (
                RbacKind::ClusterRole,
                json!({"metadata": {"name": "r"}, "rules": [
                {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/scale"]},
                {"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["free"]}]}),
            ),
            (
                RbacKind::ClusterRoleBinding,
                json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "ann"}]}),
            ),
        ]))
    }

    fn role(rules: Value) -> Value {
        json!({"metadata": {"name": "x", "namespace": "dev"}, "rules": rules})
    }

    #[test]
    fn roles_need_their_rules_held() {
        let authorizer = authorizer();
        let ann = UserInfo::new("ann", &["a", "system:authenticated"]);
        let ok = role(
            json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "deployments/scale"], "resourceNames": ["one"]}]),
        );
        assert_eq!(check(&authorizer, &ann, RbacKind::Role, &ok, None), Ok(()));
        let more = role(
            json!([{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]),
        );
        assert_eq!(
            check(&authorizer, &ann, RbacKind::Role, &more, None),
            Err("user \"ann\" (groups=[\"a\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
                {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\" \"watch\"]}\n{NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}"
                .to_owned())
        );
        assert_eq!(
            check(&authorizer, &ann, RbacKind::Role, &more, Some(&more)),
            Ok(()),
            "unchanged rules need no right"
        );
        assert_eq!(
            check(&authorizer, &UserInfo::new("root", &["system:masters"]), RbacKind::Role, &more, None),
            Ok(())
        );
    }

    #[test]
    fn bindings_need_bind_or_the_rules() {
        let ann = UserInfo::new("ann", &[]);
        let authorizer = authorizer();
        let binding = |name: &str| json!({"metadata": {"name": "x", "namespace": "dev"}, "roleRef": {"kind": "ClusterRole", "name": name}});
        assert_eq!(check(&authorizer, &ann, RbacKind::RoleBinding, &binding("free"), None), Ok(()));
        assert_eq!(
            check(&authorizer, &ann, RbacKind::RoleBinding, &binding("gone"), None),
            Err("clusterrole.rbac.authorization.k8s.io \"gone\" not found".to_owned())
        );
        assert_eq!(
            check(&authorizer, &ann, RbacKind::RoleBinding, &binding("r"), None),
            Ok(()),
            "all its rules are held"
        );
        assert!(check(&authorizer, &UserInfo::new("bob", &[]), RbacKind::RoleBinding, &binding("r"), None).is_err());
    }
}
