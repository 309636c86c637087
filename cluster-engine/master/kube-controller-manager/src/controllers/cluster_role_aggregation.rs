//! Cluster roles that are the sum of others.

use std::sync::Arc;

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_api::selector::Selector;
use drydock_client::{Api, Client, Error, Object, Patch, Reflector, WorkQueue, object};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::kinds::Raw;
use crate::work::{Next, Reconcile, work};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClusterRole {
    metadata: ObjectMeta,
    #[serde(deserialize_with = "null_as_default")]
    rules: Vec<Raw>,
    aggregation_rule: Option<AggregationRule>,
}

object!(ClusterRole, "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", cluster);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AggregationRule {
    #[serde(deserialize_with = "null_as_default")]
    cluster_role_selectors: Vec<LabelSelector>,
}

struct Controller {
    client: Client,
    roles: Reflector<ClusterRole>,
}

pub(super) async fn run(context: Arc<Context>) {
    let roles = context.watch::<ClusterRole>();
    let client = context.client("clusterrole-aggregation-controller").await;
    roles.synced().await;
    let queue = WorkQueue::new();
    let (add, all) = (queue.clone(), roles.clone());
    // Any change may concern any sum.
    roles.handle(move |_| {
        for role in all.list().iter().filter(|role| role.aggregation_rule.is_some()) {
            add.add(role.name().to_owned());
        }
    });
    work(Arc::new(Controller { client, roles }), queue, 1).await;
}

/// The rules that `role` should have, if it has others.
fn plan(role: &ClusterRole, all: &[Arc<ClusterRole>]) -> Option<Vec<Raw>> {
    let rule = role.aggregation_rule.as_ref()?;
    let mut rules: Vec<Raw> = Vec::new();
    for selector in &rule.cluster_role_selectors {
        let Ok(selector) = Selector::from_typed(Some(selector)) else { continue };
        for part in all.iter().filter(|part| part.name() != role.name() && selector.matches_map(&part.metadata.labels))
        {
            for rule in &part.rules {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    (rules != role.rules).then_some(rules)
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "clusterrole-aggregation";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let Some(role) = self.roles.get("", key) else { return Ok(Next::Change) };
        if let Some(rules) = plan(&role, &self.roles.list()) {
            let patch = json!({"metadata": {"resourceVersion": role.metadata.resource_version}, "rules": rules});
            Api::<ClusterRole>::all(self.client.clone()).patch(key, Patch::Merge, &patch).await?;
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let role = |name: &str, label: &str, rules: serde_json::Value| -> Arc<ClusterRole> {
            Arc::new(
                serde_json::from_str(
                    &json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": rules}).to_string(),
                )
                .unwrap(),
            )
        };
        let sum: ClusterRole = serde_json::from_str(
            &json!({"metadata": {"name": "sum"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "sum"}}]}}).to_string(),
        )
        .unwrap();
        let all = [
            role("a", "sum", json!([{"verbs": ["get"]}, {"verbs": ["list"]}])),
            role("b", "sum", json!([{"verbs": ["get"]}])),
            role("c", "other", json!([{"verbs": ["*"]}])),
        ];
        let rules = plan(&sum, &all).unwrap();
        assert_eq!(json!(rules), json!([{"verbs": ["get"]}, {"verbs": ["list"]}]));
        assert!(plan(&ClusterRole { rules, ..sum }, &all).is_none());
        assert!(plan(&all[0], &all).is_none());
    }
}
