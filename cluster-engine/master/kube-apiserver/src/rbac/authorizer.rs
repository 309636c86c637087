//! The RBAC authorizer: answers from slim copies of roles and bindings, read again from the watch cache when they changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use drydock_api::field::join_errors;
use drydock_api::go_quote;
use drydock_api::selector::Selector;
use serde_json::Value;

use super::policy::PolicyRule;
use crate::authorize::{Attributes, Authorize, Decision, Lookup, UserInfo};
use crate::registry::value::Read as _;

/// The RBAC kinds that the authorizer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RbacKind {
    /// `roles`.
    Role,
    /// `clusterroles`.
    ClusterRole,
    /// `rolebindings`.
    RoleBinding,
    /// `clusterrolebindings`.
    ClusterRoleBinding,
}

impl RbacKind {
    /// The kind whose plural is given, if it is an RBAC kind.
    pub(crate) fn of_plural(plural: &str) -> Option<Self> {
        match plural {
            "roles" => Some(Self::Role),
            "clusterroles" => Some(Self::ClusterRole),
            "rolebindings" => Some(Self::RoleBinding),
            "clusterrolebindings" => Some(Self::ClusterRoleBinding),
            _ => None,
        }
    }

    const ALL: [Self; 4] = [Self::Role, Self::ClusterRole, Self::RoleBinding, Self::ClusterRoleBinding];

    fn storage(self) -> &'static str {
        match self {
            Self::Role => "/registry/roles",
            Self::ClusterRole => "/registry/clusterroles",
            Self::RoleBinding => "/registry/rolebindings",
            Self::ClusterRoleBinding => "/registry/clusterrolebindings",
        }
    }
}

/// Rules of a user in a namespace, for SelfSubjectRulesReview and the escalation check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RulesFor {
    /// All rules that apply, in upstream's order (cluster bindings first).
    pub(crate) rules: Vec<PolicyRule>,
    /// Errors met on the way, such as bindings to roles that do not exist.
    pub(crate) errors: Vec<String>,
}

#[derive(Clone, Debug)]
enum Subject {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

#[derive(Clone, Debug)]
struct Binding {
    role_kind: String,
    role_name: String,
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug, Default)]
struct Role {
    rules: Vec<PolicyRule>,
    labels: BTreeMap<String, String>,
    aggregation: Vec<Value>,
}

#[derive(Default)]
struct State {
    roles: HashMap<(String, String), Role>,
    cluster_roles: BTreeMap<String, Role>,
    bindings: BTreeMap<String, BTreeMap<String, Binding>>,
    cluster_bindings: BTreeMap<String, Binding>,
    versions: [i64; 4],
}

/// Evaluates RBAC. Cheap to share behind an `Arc`; what the watch cache has seen takes effect at once.
pub(crate) struct Authorizer {
    lookup: Arc<dyn Lookup>,
    state: RwLock<State>,
}

impl Authorizer {
    /// An authorizer over the watch caches of the RBAC kinds.
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, state: RwLock::default() }
    }

    /// Everything that the user may do in the namespace (cluster-wide rules included).
    pub(crate) fn rules_for(&self, user: &UserInfo, namespace: &str) -> RulesFor {
        let mut found = RulesFor::default();
        self.state().visit(user, namespace, &mut |_, rules| {
            match rules {
                Ok(rules) => found.rules.extend(rules),
                Err(error) => found.errors.push(error),
            }
            true
        });
        found
    }

    /// Rules of the role that a binding in `namespace` refers to; upstream's not-found text when there is none.
    pub(crate) fn role_rules(
        &self,
        role_kind: &str,
        role_name: &str,
        namespace: &str,
    ) -> Result<Vec<PolicyRule>, String> {
        self.state().role_rules(role_kind, role_name, namespace)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        let versions = RbacKind::ALL.map(|kind| self.lookup.version(kind.storage()));
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.versions == versions {
            return state;
        }
        drop(state);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (index, kind) in RbacKind::ALL.into_iter().enumerate() {
            if state.versions[index] != versions[index] {
                state.clear(kind);
                self.lookup.each(kind.storage(), &mut |bytes| {
                    if let Ok(object) = serde_json::from_slice(bytes) {
                        state.add(kind, &object);
                    }
                });
                state.versions[index] = versions[index];
            }
        }
        drop(state);
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorize for Authorizer {
    fn authorize(&self, request: &Attributes<'_>) -> Decision {
        let mut errors = Vec::new();
        let mut allowed = None;
        self.state().visit(request.user, request.namespace, &mut |source, rules| {
            match rules {
                Err(error) => errors.push(error),
                Ok(rules) => {
                    if rules.iter().any(|rule| allows(rule, request)) {
                        allowed = Some(source.describe());
                    }
                }
            }
            allowed.is_none()
        });
        match allowed {
            Some(source) => Decision::Allow(format!("RBAC: allowed by {source}")),
            None if errors.is_empty() => Decision::NoOpinion(String::new()),
            None => Decision::NoOpinion(format!("RBAC: {}", join_errors(errors))),
        }
    }
}

fn allows(rule: &PolicyRule, request: &Attributes<'_>) -> bool {
    if request.resource.is_empty() {
        rule.allows_path(request.verb, request.path)
    } else {
        rule.allows_resource(request.verb, request.group, request.resource, request.subresource, request.name)
    }
}

/// Where a rule came from.
struct Source<'a> {
    binding_namespace: Option<&'a str>,
    binding: &'a str,
    role_kind: &'a str,
    role: &'a str,
    subject: &'a Subject,
}

impl Source<'_> {
    fn describe(&self) -> String {
        let subject = match self.subject {
            Subject::User(name) => format!("User {}", go_quote(name)),
            Subject::Group(name) => format!("Group {}", go_quote(name)),
            Subject::ServiceAccount { namespace, name } => {
                format!("ServiceAccount {}", go_quote(&format!("{name}/{namespace}")))
            }
        };
        let role = go_quote(self.role);
        match self.binding_namespace {
            None => format!("ClusterRoleBinding {} of {} {role} to {subject}", go_quote(self.binding), self.role_kind),
            Some(namespace) => {
                format!(
                    "RoleBinding {} of {} {role} to {subject}",
                    go_quote(&format!("{}/{namespace}", self.binding)),
                    self.role_kind
                )
            }
        }
    }
}

type Visitor<'v> = dyn FnMut(&Source<'_>, Result<Vec<PolicyRule>, String>) -> bool + 'v;

impl State {
    fn clear(&mut self, kind: RbacKind) {
        match kind {
            RbacKind::Role => self.roles.clear(),
            RbacKind::ClusterRole => self.cluster_roles.clear(),
            RbacKind::RoleBinding => self.bindings.clear(),
            RbacKind::ClusterRoleBinding => self.cluster_bindings.clear(),
        }
    }

    fn add(&mut self, kind: RbacKind, object: &Value) {
        let name = object.text("metadata.name").to_owned();
        let namespace = object.text("metadata.namespace").to_owned();
        match kind {
            RbacKind::Role => {
                self.roles.insert((namespace, name), Role::read(object));
            }
            RbacKind::ClusterRole => {
                self.cluster_roles.insert(name, Role::read(object));
            }
            RbacKind::RoleBinding => {
                let binding = Binding::read(object, &namespace);
                self.bindings.entry(namespace).or_default().insert(name, binding);
            }
            RbacKind::ClusterRoleBinding => {
                self.cluster_bindings.insert(name, Binding::read(object, ""));
            }
        }
    }

    /// Calls the visitor for every binding that applies to the user until it returns false.
    fn visit(&self, user: &UserInfo, namespace: &str, visitor: &mut Visitor<'_>) {
        for (name, binding) in &self.cluster_bindings {
            let Some(subject) = binding.subject_for(user) else { continue };
            let source = Source {
                binding_namespace: None,
                binding: name,
                role_kind: &binding.role_kind,
                role: &binding.role_name,
                subject,
            };
            if !visitor(&source, self.role_rules(&binding.role_kind, &binding.role_name, "")) {
                return;
            }
        }
        if namespace.is_empty() {
            return;
        }
        for (name, binding) in self.bindings.get(namespace).into_iter().flatten() {
            let Some(subject) = binding.subject_for(user) else { continue };
            let source = Source {
                binding_namespace: Some(namespace),
                binding: name,
                role_kind: &binding.role_kind,
                role: &binding.role_name,
                subject,
            };
            if !visitor(&source, self.role_rules(&binding.role_kind, &binding.role_name, namespace)) {
                return;
            }
        }
    }

    fn role_rules(&self, kind: &str, name: &str, namespace: &str) -> Result<Vec<PolicyRule>, String> {
        match kind {
            "Role" => self
                .roles
                .get(&(namespace.to_owned(), name.to_owned()))
                .map(|role| role.rules.clone())
                .ok_or_else(|| format!("role.rbac.authorization.k8s.io {} not found", go_quote(name))),
            "ClusterRole" => self
                .cluster_roles
                .get(name)
                .map(|role| self.effective_rules(role, &mut vec![name]))
                .ok_or_else(|| format!("clusterrole.rbac.authorization.k8s.io {} not found", go_quote(name))),
            other => Err(format!("unsupported role reference kind: {}", go_quote(other))),
        }
    }

    /// The rules of a role, with an aggregation rule resolved now: upstream has a controller write them into the object a moment later.
    fn effective_rules<'a>(&'a self, role: &'a Role, path: &mut Vec<&'a str>) -> Vec<PolicyRule> {
        let mut rules = role.rules.clone();
        for selector in &role.aggregation {
            let Ok(selector) = Selector::from_label_selector(selector) else { continue };
            for (name, other) in &self.cluster_roles {
                let labels = other.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                if path.contains(&name.as_str()) || !selector.matches(labels) {
                    continue;
                }
                path.push(name);
                for rule in self.effective_rules(other, path) {
                    if !rules.contains(&rule) {
                        rules.push(rule);
                    }
                }
                path.pop();
            }
        }
        rules
    }
}

impl Role {
    fn read(object: &Value) -> Self {
        Self {
            rules: PolicyRule::list(object),
            labels: object
                .strings("metadata.labels")
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            aggregation: object.items("aggregationRule.clusterRoleSelectors").to_vec(),
        }
    }
}

impl Binding {
    fn read(object: &Value, namespace: &str) -> Self {
        let subjects = object
            .items("subjects")
            .iter()
            .filter_map(|subject| {
                let name = subject.text("name").to_owned();
                match subject.text("kind") {
                    "User" => Some(Subject::User(name)),
                    "Group" => Some(Subject::Group(name)),
                    "ServiceAccount" => {
                        let own = subject.text("namespace");
                        let namespace = if own.is_empty() { namespace } else { own };
                        (!namespace.is_empty())
                            .then(|| Subject::ServiceAccount { namespace: namespace.to_owned(), name })
                    }
                    _ => None,
                }
            })
            .collect();
        Self {
            role_kind: object.text("roleRef.kind").to_owned(),
            role_name: object.text("roleRef.name").to_owned(),
            subjects,
        }
    }

    fn subject_for(&self, user: &UserInfo) -> Option<&Subject> {
        self.subjects.iter().find(|subject| match subject {
            Subject::User(name) => *name == user.name,
            Subject::Group(name) => user.in_group(name),
            Subject::ServiceAccount { namespace, name } => user
                .name
                .strip_prefix("system:serviceaccount:")
                .and_then(|rest| rest.split_once(':'))
                .is_some_and(|(user_namespace, user_name)| user_namespace == namespace && user_name == name),
        })
    }
}

/// The message of upstream's 403 without the part before the colon: `User "x" cannot list resource "pods" in API group "" …`,
/// and the reason when the authorizer gave one.
pub(crate) fn forbidden_message(request: &Attributes<'_>, reason: &str) -> String {
    let user = go_quote(&request.user.name);
    let verb = request.verb;
    let message = if request.resource.is_empty() {
        format!("User {user} cannot {verb} path {}", go_quote(request.path))
    } else {
        let resource = match request.subresource {
            "" => request.resource.to_owned(),
            subresource => format!("{}/{subresource}", request.resource),
        };
        let scope = match request.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", go_quote(namespace)),
        };
        format!(
            "User {user} cannot {verb} resource {} in API group {} {scope}",
            go_quote(&resource),
            go_quote(request.group)
        )
    };
    if reason.is_empty() { message } else { format!("{message}: {reason}") }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    /// Watch caches made of a list.
    #[derive(Default)]
    pub(in crate::rbac) struct Cache(Mutex<(i64, Vec<(&'static str, Value)>)>);

    impl Cache {
        pub(in crate::rbac) fn of(objects: Vec<(RbacKind, Value)>) -> Arc<Self> {
            Arc::new(Self(Mutex::new((
                1,
                objects.into_iter().map(|(kind, object)| (kind.storage(), object)).collect(),
            ))))
        }

        fn drop_named(&self, name: &str) {
            let mut cache = self.0.lock().unwrap();
            cache.0 += 1;
            cache.1.retain(|(_, object)| object.text("metadata.name") != name);
        }
    }

    impl Lookup for Cache {
        fn version(&self, _: &str) -> i64 {
            self.0.lock().unwrap().0
        }

        fn each(&self, storage: &str, visit: &mut dyn FnMut(&[u8])) {
            for (_, object) in self.0.lock().unwrap().1.iter().filter(|(own, _)| *own == storage) {
                visit(object.to_string().as_bytes());
            }
        }

        fn object(&self, _: &str, _: &str, _: &str) -> Option<Bytes> {
            None
        }
    }

    fn cache() -> Arc<Cache> {
        Cache::of(vec![
            (
                RbacKind::ClusterRole,
                json!({"metadata": {"name": "view", "labels": {"agg": "edit"}}, "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]}),
            ),
            (
                RbacKind::ClusterRole,
                json!({"metadata": {"name": "edit"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"agg": "edit"}}]}}),
            ),
            (
                RbacKind::RoleBinding,
                json!({"metadata": {"name": "b", "namespace": "dev"}, "roleRef": {"kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "robot"}]}),
            ),
            (
                RbacKind::ClusterRoleBinding,
                json!({"metadata": {"name": "c"}, "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "Group", "name": "ops"}]}),
            ),
            (
                RbacKind::RoleBinding,
                json!({"metadata": {"name": "broken", "namespace": "dev"}, "roleRef": {"kind": "Role", "name": "gone"}, "subjects": [{"kind": "User", "name": "bob"}]}),
            ),
        ])
    }

    fn ask<'a>(user: &'a UserInfo, verb: &'a str, namespace: &'a str) -> Attributes<'a> {
        Attributes { user, verb, group: "", resource: "pods", subresource: "", name: "", namespace, path: "" }
    }

    #[test]
    fn decisions_carry_upstreams_reasons() {
        let authorizer = Authorizer::new(cache());
        #[track_caller]
        fn check(authorizer: &Authorizer, user: &UserInfo, verb: &str, namespace: &str, expected: Result<&str, &str>) {
            let expected = match expected {
                Ok(reason) => Decision::Allow(reason.to_owned()),
                Err(reason) => Decision::NoOpinion(reason.to_owned()),
            };
            assert_eq!(authorizer.authorize(&ask(user, verb, namespace)), expected);
        }
        let ann = UserInfo::new("ann", &[]);
        let robot = UserInfo::new("system:serviceaccount:dev:robot", &[]);
        let zed = UserInfo::new("zed", &["ops"]);
        let bob = UserInfo::new("bob", &[]);
        check(
            &authorizer,
            &ann,
            "list",
            "dev",
            Ok(r#"RBAC: allowed by RoleBinding "b/dev" of ClusterRole "edit" to User "ann""#),
        );
        check(
            &authorizer,
            &robot,
            "get",
            "dev",
            Ok(r#"RBAC: allowed by RoleBinding "b/dev" of ClusterRole "edit" to ServiceAccount "robot/dev""#),
        );
        check(&authorizer, &ann, "list", "prod", Err(""));
        check(&authorizer, &ann, "delete", "dev", Err(""));
        check(
            &authorizer,
            &zed,
            "list",
            "",
            Ok(r#"RBAC: allowed by ClusterRoleBinding "c" of ClusterRole "view" to Group "ops""#),
        );
        check(&authorizer, &bob, "list", "dev", Err(r#"RBAC: role.rbac.authorization.k8s.io "gone" not found"#));
    }

    #[test]
    fn changes_take_effect() {
        let cache = cache();
        let authorizer = Authorizer::new(cache.clone());
        let ann = UserInfo::new("ann", &[]);
        assert!(matches!(authorizer.authorize(&ask(&ann, "list", "dev")), Decision::Allow(_)));
        cache.drop_named("b");
        assert_eq!(authorizer.authorize(&ask(&ann, "list", "dev")), Decision::NoOpinion(String::new()));
        cache.drop_named("view");
        let zed = UserInfo::new("zed", &["ops"]);
        assert_eq!(
            authorizer.authorize(&ask(&zed, "list", "")),
            Decision::NoOpinion(r#"RBAC: clusterrole.rbac.authorization.k8s.io "view" not found"#.to_owned())
        );
    }

    #[test]
    fn messages_of_403() {
        let ann = UserInfo::new("ann", &[]);
        let list = ask(&ann, "list", "dev");
        assert_eq!(
            forbidden_message(&list, ""),
            r#"User "ann" cannot list resource "pods" in API group "" in the namespace "dev""#
        );
        let nodes = Attributes { verb: "get", resource: "nodes", subresource: "proxy", namespace: "", ..list };
        assert_eq!(
            forbidden_message(&nodes, "why"),
            r#"User "ann" cannot get resource "nodes/proxy" in API group "" at the cluster scope: why"#
        );
        let path = Attributes { verb: "get", resource: "", namespace: "", path: "/metrics", ..list };
        assert_eq!(forbidden_message(&path, ""), r#"User "ann" cannot get path "/metrics""#);
    }
}
