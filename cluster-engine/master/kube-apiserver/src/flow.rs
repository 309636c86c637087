//! Which flow schema and priority level a request is of: told in two headers, as upstream does.
//!
//! Requests are not queued here: a learner's cluster has no crowd to be kept fair. But how they would be sorted is what the
//! objects of `flowcontrol.apiserver.k8s.io` are about, and clients ask for it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use drydock_api::meta::null_as_default;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::authorize::{Lookup, UserInfo};
use crate::request::RequestInfo;

const SCHEMAS: &str = "/registry/flowschemas";
const LEVELS: &str = "/registry/prioritylevelconfigurations";
const SCHEMA_HEADER: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_HEADER: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// Sorts requests by the objects in the watch cache.
pub(crate) struct Flows {
    lookup: Arc<dyn Lookup>,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    versions: [i64; 2],
    flows: Vec<Flow>,
}

/// A schema with the headers of requests that are of it.
struct Flow {
    order: (i64, String),
    rules: Vec<Rule>,
    schema: HeaderValue,
    level: HeaderValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object<S> {
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    name: String,
    uid: String,
}

#[derive(Deserialize, Default)]
struct Anything {}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Schema {
    matching_precedence: i64,
    priority_level_configuration: Named,
    #[serde(deserialize_with = "null_as_default")]
    rules: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    #[serde(deserialize_with = "null_as_default")]
    subjects: Vec<Subject>,
    #[serde(deserialize_with = "null_as_default")]
    resource_rules: Vec<ResourceRule>,
    #[serde(deserialize_with = "null_as_default")]
    non_resource_rules: Vec<PathRule>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Subject {
    user: Option<Named>,
    group: Option<Named>,
    service_account: Option<Named>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceRule {
    #[serde(deserialize_with = "null_as_default")]
    verbs: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    api_groups: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    resources: Vec<String>,
    cluster_scope: bool,
    #[serde(deserialize_with = "null_as_default")]
    namespaces: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PathRule {
    #[serde(deserialize_with = "null_as_default")]
    verbs: Vec<String>,
    #[serde(rename = "nonResourceURLs", deserialize_with = "null_as_default")]
    paths: Vec<String>,
}

impl Flows {
    /// Over the watch caches of both kinds.
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, table: RwLock::default() }
    }

    /// Says in an answer's headers how its request was sorted. Streams but watches are not sorted.
    pub(crate) fn tell(&self, user: &UserInfo, info: &RequestInfo, headers: &mut HeaderMap) {
        if user.name.is_empty() || is_stream(info) {
            return;
        }
        let versions = [self.lookup.version(SCHEMAS), self.lookup.version(LEVELS)];
        let mut table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if table.versions != versions {
            drop(table);
            let fresh = Table { versions, flows: self.read() };
            *self.table.write().unwrap_or_else(PoisonError::into_inner) = fresh;
            table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(flow) = table.flows.iter().find(|flow| flow.rules.iter().any(|rule| rule.matches(user, info))) {
            headers.insert(SCHEMA_HEADER, flow.schema.clone());
            headers.insert(LEVEL_HEADER, flow.level.clone());
        }
    }

    fn read(&self) -> Vec<Flow> {
        let mut levels = HashMap::new();
        self.lookup.each(LEVELS, &mut |bytes| {
            if let Ok(level) = serde_json::from_slice::<Object<Anything>>(bytes) {
                levels.insert(level.metadata.name, level.metadata.uid);
            }
        });
        let mut flows = Vec::new();
        self.lookup.each(SCHEMAS, &mut |bytes| {
            let Ok(Object { metadata, spec }) = serde_json::from_slice::<Object<Schema>>(bytes) else { return };
            // A schema of a level that is not there counts for nothing.
            let level = levels.get(&spec.priority_level_configuration.name);
            let header = |uid: &String| HeaderValue::from_str(uid).ok();
            if let (Some(schema), Some(level)) = (header(&metadata.uid), level.and_then(header)) {
                let order = (spec.matching_precedence, metadata.name);
                flows.push(Flow { order, rules: spec.rules, schema, level });
            }
        });
        flows.sort_by(|a, b| a.order.cmp(&b.order));
        flows
    }
}

/// Upstream's long-running requests without watches.
fn is_stream(info: &RequestInfo) -> bool {
    let by_name = ["attach", "exec", "proxy", "log", "portforward"].contains(&info.subresource.as_str());
    if info.is_resource { by_name } else { info.path.starts_with("/debug/pprof/") }
}

impl Rule {
    fn matches(&self, user: &UserInfo, info: &RequestInfo) -> bool {
        self.subjects.iter().any(|subject| subject.is(user))
            && if info.is_resource {
                self.resource_rules.iter().any(|rule| rule.matches(info))
            } else {
                self.non_resource_rules.iter().any(|rule| rule.matches(info))
            }
    }
}

impl Subject {
    fn is(&self, user: &UserInfo) -> bool {
        let named = |wanted: &str, name: &str| wanted == "*" || wanted == name;
        if let Some(wanted) = &self.user {
            return named(&wanted.name, &user.name);
        }
        if let Some(wanted) = &self.group {
            return wanted.name == "*" || user.groups.contains(&wanted.name);
        }
        let Some(wanted) = &self.service_account else { return false };
        let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        account.is_some_and(|(namespace, name)| namespace == wanted.namespace && named(&wanted.name, name))
    }
}

fn lists(list: &[String], wanted: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == wanted)
}

impl ResourceRule {
    fn matches(&self, info: &RequestInfo) -> bool {
        let is_wanted = |entry: &String| match entry.split_once('/') {
            Some((resource, subresource)) => resource == info.resource && subresource == info.subresource,
            None => entry == "*" || *entry == info.resource && info.subresource.is_empty(),
        };
        lists(&self.verbs, info.verb)
            && lists(&self.api_groups, &info.group)
            && self.resources.iter().any(is_wanted)
            && if info.namespace.is_empty() { self.cluster_scope } else { lists(&self.namespaces, &info.namespace) }
    }
}

impl PathRule {
    fn matches(&self, info: &RequestInfo) -> bool {
        let is_wanted = |entry: &String| {
            let prefix = entry.strip_suffix('*').filter(|prefix| prefix.is_empty() || prefix.ends_with('/'));
            prefix.map_or(*entry == info.path, |prefix| info.path.starts_with(prefix))
        };
        lists(&self.verbs, info.verb) && self.paths.iter().any(is_wanted)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    struct Objects(Vec<Value>, Vec<Value>);

    impl Lookup for Objects {
        fn version(&self, _: &str) -> i64 {
            1
        }

        fn each(&self, storage: &str, visit: &mut dyn FnMut(&[u8])) {
            let objects = if storage == SCHEMAS { &self.0 } else { &self.1 };
            objects.iter().for_each(|object| visit(object.to_string().as_bytes()));
        }

        fn object(&self, _: &str, _: &str, _: &str) -> Option<Bytes> {
            None
        }
    }

    fn schema(name: &str, precedence: i64, level: &str, rule: &Value) -> Value {
        json!({"metadata": {"name": name, "uid": name},
            "spec": {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": level}, "rules": [rule]}})
    }

    #[test]
    fn requests_are_sorted_by_precedence() {
        let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}]);
        let leases = json!([{"verbs": ["get"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["kube-system"]}]);
        let status =
            json!([{"verbs": ["patch"], "apiGroups": [""], "resources": ["nodes/status"], "clusterScope": true}]);
        let group = |name: &str| json!([{"kind": "Group", "group": {"name": name}}]);
        let account = json!([{"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}}]);
        let paths = json!([{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}]);
        let schemas = vec![
            schema(
                "rest",
                9000,
                "low",
                &json!({"subjects": group("*"), "resourceRules": all, "nonResourceRules": paths}),
            ),
            schema("gone", 1, "none", &json!({"subjects": group("*"), "resourceRules": all})),
            schema("leases", 100, "high", &json!({"subjects": group("nodes"), "resourceRules": leases})),
            schema("status", 100, "high", &json!({"subjects": group("nodes"), "resourceRules": status})),
            schema("accounts", 900, "high", &json!({"subjects": account, "resourceRules": all})),
        ];
        let level =
            |name: &str| json!({"metadata": {"name": name, "uid": format!("l-{name}")}, "spec": {"type": "Limited"}});
        let flows = Flows::new(Arc::new(Objects(schemas, vec![level("low"), level("high")])));
        let told = |user: &str, groups: &[&str], method: &http::Method, path: &str| {
            let info = RequestInfo::new(method, path, &crate::request::Query::parse(""));
            let mut headers = HeaderMap::new();
            flows.tell(&UserInfo::new(user, groups), &info, &mut headers);
            headers.get(SCHEMA_HEADER).map(|value| value.to_str().unwrap().to_owned())
        };
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/a";
        let (get, patch) = (http::Method::GET, http::Method::PATCH);
        for (user, groups, method, path, expected) in [
            ("n", &["nodes"][..], &get, lease, Some("leases")),
            ("n", &["nodes"], &get, "/apis/coordination.k8s.io/v1/namespaces/other/leases/a", Some("rest")),
            ("n", &["nodes"], &patch, "/api/v1/nodes/a/status", Some("status")),
            ("n", &["nodes"], &patch, "/api/v1/nodes/a", Some("rest")),
            ("n", &["others"], &get, lease, Some("rest")),
            ("system:serviceaccount:kube-system:a", &[], &get, lease, Some("accounts")),
            ("system:serviceaccount:default:a", &[], &get, lease, Some("rest")),
            ("u", &[], &get, "/healthz", Some("rest")),
            ("u", &[], &get, "/apis/apps", Some("rest")),
            ("u", &[], &get, "/healthz/etcd", None),
            ("u", &[], &get, "/api/v1/namespaces/a/pods/b/log", None),
            ("", &[], &get, lease, None),
        ] {
            assert_eq!(told(user, groups, method, path).as_deref(), expected, "{user} {path}");
        }
    }
}
