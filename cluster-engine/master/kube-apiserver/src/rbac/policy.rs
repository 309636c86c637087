//! A policy rule and what it matches.

use serde_json::{Value, json};

use crate::registry::value::Read as _;

/// `rbac.authorization.k8s.io/v1` PolicyRule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyRule {
    /// Verbs, `*` for all.
    pub(crate) verbs: Vec<String>,
    /// API groups, `""` is core, `*` for all.
    pub(crate) api_groups: Vec<String>,
    /// Resources: `pods`, `pods/log`, `*/scale`, `*`.
    pub(crate) resources: Vec<String>,
    /// Names; empty means all.
    pub(crate) resource_names: Vec<String>,
    /// Paths outside of the API groups; a trailing `*` matches everything that begins so.
    pub(crate) non_resource_urls: Vec<String>,
}

impl PolicyRule {
    /// Reads one rule of a Role or ClusterRole.
    pub(crate) fn from_value(value: &Value) -> Self {
        let list = |path: &str| value.items(path).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            verbs: list("verbs"),
            api_groups: list("apiGroups"),
            resources: list("resources"),
            resource_names: list("resourceNames"),
            non_resource_urls: list("nonResourceURLs"),
        }
    }

    /// Reads the rules of a Role or ClusterRole.
    pub(crate) fn list(role: &Value) -> Vec<Self> {
        role.items("rules").iter().map(Self::from_value).collect()
    }

    /// The rule as JSON, without its empty lists.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({ "verbs": self.verbs });
        for (key, list) in [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
            ("nonResourceURLs", &self.non_resource_urls),
        ] {
            if !list.is_empty() {
                value[key] = json!(list);
            }
        }
        value
    }

    /// Whether the rule allows a request for a resource. `resource` is the plural, `subresource` may be empty.
    pub(crate) fn allows_resource(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        subresource: &str,
        name: &str,
    ) -> bool {
        self.matches_verb(verb)
            && has(&self.api_groups, group)
            && self.matches_resource(resource, subresource)
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|allowed| allowed == name))
    }

    /// Whether the rule allows a request for a path outside of the API groups.
    pub(crate) fn allows_path(&self, verb: &str, path: &str) -> bool {
        self.matches_verb(verb) && self.non_resource_urls.iter().any(|allowed| path_matches(allowed, path))
    }

    fn matches_verb(&self, verb: &str) -> bool {
        has(&self.verbs, verb)
    }

    fn matches_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|rule| match rule.split_once('/') {
            _ if rule == "*" => true,
            Some(("*", wanted)) => !subresource.is_empty() && wanted == subresource,
            Some((wanted, sub)) => wanted == resource && sub == subresource,
            None => subresource.is_empty() && rule == resource,
        })
    }
}

/// Whether a rule's path covers a path (or another rule's path).
pub(crate) fn path_matches(rule: &str, path: &str) -> bool {
    rule == "*" || rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let own = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        PolicyRule {
            verbs: own(verbs),
            api_groups: own(groups),
            resources: own(resources),
            resource_names: own(names),
            non_resource_urls: vec![],
        }
    }

    #[test]
    fn resources_and_subresources() {
        #[track_caller]
        fn check(resources: &[&str], resource: &str, subresource: &str, expected: bool) {
            let rule = rule(&["get"], &[""], resources, &[]);
            assert_eq!(
                rule.allows_resource("get", "", resource, subresource, "x"),
                expected,
                "{resources:?} {resource}/{subresource}"
            );
        }
        check(&["pods"], "pods", "", true);
        check(&["pods"], "pods", "log", false);
        check(&["pods/log"], "pods", "log", true);
        check(&["pods/log"], "pods", "", false);
        check(&["*"], "pods", "log", true);
        check(&["*/scale"], "deployments", "scale", true);
        check(&["*/scale"], "deployments", "", false);
        check(&["pods/*"], "pods", "log", false);
    }

    #[test]
    fn names_verbs_and_groups() {
        let rule = rule(&["get", "update"], &["apps"], &["deployments"], &["a"]);
        assert!(rule.allows_resource("get", "apps", "deployments", "", "a"));
        assert!(!rule.allows_resource("get", "apps", "deployments", "", "b"));
        assert!(!rule.allows_resource("get", "apps", "deployments", "", ""));
        assert!(!rule.allows_resource("get", "", "deployments", "", "a"));
        assert!(!rule.allows_resource("list", "apps", "deployments", "", "a"));
    }

    #[test]
    fn paths() {
        assert!(path_matches("/healthz/*", "/healthz/etcd"));
        assert!(!path_matches("/healthz/*", "/healthz"));
        assert!(path_matches("/api*", "/apis"));
        assert!(path_matches("*", "/x"));
        assert!(!path_matches("/version", "/version/"));
    }
}
