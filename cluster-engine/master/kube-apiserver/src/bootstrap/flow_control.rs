//! Priority levels and flow schemas that every cluster has (`k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap`).

use serde_json::{Value, json};

/// A number of queues and their hand size.
type Queues = (i64, i64);

/// Name, shares, percentage to lend, and queues; none rejects what is too much.
const LEVELS: [(&str, i64, i64, Option<Queues>); 7] = [
    ("catch-all", 5, 0, None),
    ("global-default", 20, 50, Some((128, 6))),
    ("leader-election", 10, 0, Some((16, 4))),
    ("node-high", 40, 25, Some((64, 6))),
    ("system", 30, 33, Some((64, 6))),
    ("workload-high", 40, 50, Some((128, 6))),
    ("workload-low", 100, 90, Some((128, 6))),
];

fn metadata(name: &str) -> Value {
    json!({"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}})
}

/// The priority levels.
pub(super) fn levels() -> Vec<Value> {
    let object = |name: &str, spec: Value| json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration", "metadata": metadata(name), "spec": spec});
    let mut all = vec![object(
        "exempt",
        json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
    )];
    all.extend(LEVELS.map(|(name, shares, lendable, queues)| {
        let response = match queues {
            None => json!({"type": "Reject"}),
            Some((queues, hand)) => {
                json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}})
            }
        };
        let limited =
            json!({"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response});
        object(name, json!({"type": "Limited", "limited": limited}))
    }));
    all
}

fn group(name: &str) -> Value {
    json!({"kind": "Group", "group": {"name": name}})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "user": {"name": name}})
}

fn account(name: &str) -> Value {
    json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}})
}

fn resources(verbs: &[&str], group: &str, resources: &[&str], namespaces: &[&str], cluster: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
    if !namespaces.is_empty() {
        rule["namespaces"] = json!(namespaces);
    }
    if cluster {
        rule["clusterScope"] = true.into();
    }
    rule
}

fn everything(subjects: &[Value]) -> Value {
    json!({"subjects": subjects, "resourceRules": [resources(&["*"], "*", &["*"], &["*"], true)],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]})
}

/// The flow schemas.
pub(super) fn schemas() -> Vec<Value> {
    let everybody = || [group("system:unauthenticated"), group("system:authenticated")];
    let manager = || user("system:kube-controller-manager");
    let leases = |subjects: &[Value], namespace: &str| {
        let rule = resources(&["get", "create", "update"], "coordination.k8s.io", &["leases"], &[namespace], false);
        json!({"subjects": subjects, "resourceRules": [rule]})
    };
    let nodes = json!({"subjects": [group("system:nodes")], "resourceRules": [
        resources(&["*"], "", &["nodes", "nodes/status"], &["*"], true),
        resources(&["*"], "coordination.k8s.io", &["leases"], &["*"], false),
    ]});
    let probes = json!({"subjects": everybody(), "nonResourceRules": [
        {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]},
    ]});
    let endpoints = json!({
        "subjects": [manager(), account("endpoint-controller"), account("endpointslicemirroring-controller"), account("endpointslice-controller")],
        "resourceRules": [
            resources(&["get", "create", "update"], "", &["endpoints"], &["*"], false),
            resources(&["get", "create", "update"], "discovery.k8s.io", &["endpointslices"], &["*"], false),
        ],
    });
    let all = [
        ("exempt", 1, "exempt", "", everything(&[group("system:masters")])),
        ("probes", 2, "exempt", "", probes),
        (
            "system-leader-election",
            100,
            "leader-election",
            "ByUser",
            leases(&[manager(), user("system:kube-scheduler")], "kube-system"),
        ),
        ("endpoint-controller", 150, "workload-high", "ByUser", endpoints),
        ("workload-leader-election", 200, "leader-election", "ByUser", leases(&[account("*")], "*")),
        ("system-node-high", 400, "node-high", "ByUser", nodes),
        ("system-nodes", 500, "system", "ByUser", everything(&[group("system:nodes")])),
        ("kube-controller-manager", 800, "workload-high", "ByNamespace", everything(&[manager()])),
        ("kube-scheduler", 800, "workload-high", "ByNamespace", everything(&[user("system:kube-scheduler")])),
        ("kube-system-service-accounts", 900, "workload-high", "ByNamespace", everything(&[account("*")])),
        ("service-accounts", 9000, "workload-low", "ByUser", everything(&[group("system:serviceaccounts")])),
        ("global-default", 9900, "global-default", "ByUser", everything(&everybody())),
        ("catch-all", 10_000, "catch-all", "ByUser", everything(&everybody())),
    ];
    all.into_iter()
        .map(|(name, precedence, level, distinguisher, rule)| {
            let mut spec = json!({"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": level}, "rules": [rule]});
            if !distinguisher.is_empty() {
                spec["distinguisherMethod"] = json!({"type": distinguisher});
            }
            let message = format!("This FlowSchema references the PriorityLevelConfiguration object named \"{level}\" and it exists");
            let found = json!({"type": "Dangling", "status": "False", "reason": "Found", "message": message, "lastTransitionTime": drydock_api::time::now_rfc3339()});
            json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": metadata(name), "spec": spec, "status": {"conditions": [found]}})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_has_its_level() {
        let levels = levels();
        for schema in schemas() {
            let level = &schema["spec"]["priorityLevelConfiguration"]["name"];
            assert!(levels.iter().any(|own| own["metadata"]["name"] == *level), "{level}");
        }
    }
}
