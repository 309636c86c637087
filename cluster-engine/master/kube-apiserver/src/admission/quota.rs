//! ResourceQuota: what is asked for is booked on every quota of the namespace that it falls under, before it is written.
//!
//! The bookings are compare-and-swap writes of the quotas' status, so that two requests never share the last unit. What is
//! given back is the controller's to find out, as upstream.

mod constraints;
mod scopes;
mod usage;

use drydock_api::{Status, meta};
use serde_json::Value;

use self::usage::Evaluator;
use super::{Attempt, Operation, quota::usage::Amounts};
use crate::storage::Written;
use crate::verbs::{storage_failure, storage_key, stored, wire_value};

/// How often a quota that others keep booking on is tried.
const TRIES: usize = 20;

/// A quota and the revision it was read at.
struct Book {
    quota: Value,
    revision: i64,
}

/// Books what a request would use.
///
/// # Errors
/// 403 with `exceeded quota: …` and the other texts of upstream.
pub(super) async fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object else { return Ok(()) };
    let row = attempt.row;
    let sub = attempt.subresource_name();
    if !row.namespaced || attempt.namespace.is_empty() || !(sub.is_empty() || sub == "resize") || row.plural == "events"
    {
        return Ok(());
    }
    let evaluator = Evaluator::of(row);
    if !evaluator.handles(attempt.operation, sub) {
        return Ok(());
    }
    let Some(quotas) = attempt.server.rows.find("", "v1", "resourcequotas") else { return Ok(()) };
    let names: Vec<String> = attempt
        .server
        .objects(quotas.storage, attempt.namespace)
        .iter()
        .map(|quota| meta::name(quota).to_owned())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let old = attempt.old.filter(|_| attempt.operation == Operation::Update);
    let mut waiting = names;
    for _ in 0..TRIES {
        let mut books = Vec::new();
        for name in &waiting {
            let key = storage_key(quotas, attempt.namespace, name);
            if let Some(present) = attempt.server.etcd.get(&key).await.map_err(storage_failure)? {
                books.push(Book { quota: wire_value(quotas, &present.value)?, revision: present.revision });
            }
        }
        let all: Vec<&Value> = books.iter().map(|book| &book.quota).collect();
        let booked = plan(&evaluator, &all, object, old)
            .map_err(|why| attempt.forbidden(attempt.shown_name(Some(object)), why))?;
        if attempt.dry_run {
            return Ok(());
        }
        waiting.clear();
        for (index, quota) in booked {
            let name = meta::name(&quota).to_owned();
            let key = storage_key(quotas, attempt.namespace, &name);
            let written = attempt
                .server
                .etcd
                .put(&key, stored(quotas, &quota), books[index].revision, 0)
                .await
                .map_err(storage_failure)?;
            if let Written::Conflict(_) = written {
                waiting.push(name);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
    }
    Err(Status::modified("", "resourcequotas", &waiting.join(",")))
}

/// The quotas with the new usage in their status, by index; none when nothing falls under them.
fn plan(
    evaluator: &Evaluator,
    quotas: &[&Value],
    object: &Value,
    old: Option<&Value>,
) -> Result<Vec<(usize, Value)>, String> {
    let mut interesting = Vec::new();
    for (index, quota) in quotas.iter().enumerate() {
        let hard = usage::amounts(quota.pointer("/status/hard"));
        let relevant = evaluator.matching(hard.keys());
        if relevant.is_empty() || !scopes::matches(evaluator, quota, object) {
            continue;
        }
        let name = meta::name(quota);
        constraints::check(evaluator, &relevant, object).map_err(|why| format!("failed quota: {name}: {why}"))?;
        let used = usage::amounts(quota.pointer("/status/used"));
        let unknown: Vec<&str> = relevant.iter().filter(|key| !used.contains_key(**key)).copied().collect();
        if !unknown.is_empty() {
            return Err(format!("status unknown for quota: {name}, resources: {}", unknown.join(",")));
        }
        interesting.push((index, hard.clone(), used));
    }
    if interesting.is_empty() {
        return Ok(Vec::new());
    }
    let mut delta = evaluator.usage(object);
    if let Some(old) = old {
        delta = usage::minus(&delta, &evaluator.usage(old));
    }
    delta.retain(|_, amount| amount.signum() > 0);
    let mut booked = Vec::new();
    for (index, hard, used) in interesting {
        let asked: Amounts = delta
            .iter()
            .filter(|(key, _)| hard.contains_key(*key))
            .map(|(key, amount)| (key.clone(), *amount))
            .collect();
        if asked.is_empty() {
            continue;
        }
        let new = usage::plus(&used, &asked);
        let exceeded: Vec<&String> = asked.keys().filter(|key| new[*key] > hard[*key]).collect();
        if !exceeded.is_empty() {
            let show = |of: &Amounts| {
                let items: Vec<_> =
                    exceeded.iter().filter_map(|key| Some(format!("{key}={}", of.get(*key)?))).collect();
                items.join(",")
            };
            return Err(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                meta::name(quotas[index]),
                show(&asked),
                show(&used),
                show(&hard)
            ));
        }
        let mut quota = quotas[index].clone();
        for (key, amount) in new {
            quota["status"]["used"][key] = amount.to_string().into();
        }
        booked.push((index, quota));
    }
    Ok(booked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use serde_json::json;

    fn evaluator(group: &str, plural: &str) -> Evaluator {
        Evaluator::of(registry::all().iter().find(|row| row.group == group && row.plural == plural).expect("row"))
    }

    fn quota(hard: Value, used: Value, spec: Value) -> Value {
        json!({"metadata": {"name": "q"}, "spec": spec, "status": {"hard": hard, "used": used}})
    }

    #[track_caller]
    fn check(of: (&str, &str), quota: Value, object: Value, expected: Result<Value, &str>) {
        let found = plan(&evaluator(of.0, of.1), &[&quota], &object, None);
        match (found, expected) {
            (Ok(booked), Ok(used)) => {
                let now = booked.first().map_or(json!(null), |(_, quota)| quota["status"]["used"].clone());
                assert_eq!(now, used);
            }
            (Err(why), Err(expected)) => assert_eq!(why, expected),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn counts_are_booked_until_the_limit() {
        let pods = || quota(json!({"pods": "2"}), json!({"pods": "1"}), json!({}));
        check(("", "pods"), pods(), json!({"spec": {}}), Ok(json!({"pods": "2"})));
        let full = quota(json!({"pods": "1"}), json!({"pods": "1"}), json!({}));
        check(
            ("", "pods"),
            full,
            json!({"spec": {}}),
            Err("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
        );
        check(("", "configmaps"), pods(), json!({}), Ok(json!(null)));
        let apps = quota(json!({"count/deployments.apps": "1"}), json!({"count/deployments.apps": "0"}), json!({}));
        check(("apps", "deployments"), apps, json!({}), Ok(json!({"count/deployments.apps": "1"})));
        let unknown = quota(json!({"secrets": "1"}), json!({}), json!({}));
        check(("", "secrets"), unknown, json!({}), Err("status unknown for quota: q, resources: secrets"));
    }

    #[test]
    fn compute_needs_to_be_said() {
        let cpu = || {
            quota(
                json!({"requests.cpu": "1", "limits.memory": "1Gi"}),
                json!({"requests.cpu": "500m", "limits.memory": "0"}),
                json!({}),
            )
        };
        let silent = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        check(
            ("", "pods"),
            cpu(),
            silent,
            Err("failed quota: q: must specify limits.memory for: a,b; requests.cpu for: a,b"),
        );
        let small = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Mi"}}}]}});
        check(("", "pods"), cpu(), small, Ok(json!({"requests.cpu": "750m", "limits.memory": "1Mi"})));
        let large = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Mi"}}}]}});
        check(
            ("", "pods"),
            cpu(),
            large,
            Err("exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=500m, limited: requests.cpu=1"),
        );
    }

    #[test]
    fn scopes_choose_pods() {
        let best = || quota(json!({"pods": "1"}), json!({"pods": "1"}), json!({"scopes": ["BestEffort"]}));
        let guarded = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}});
        check(("", "pods"), best(), guarded, Ok(json!(null)));
        check(
            ("", "pods"),
            best(),
            json!({"spec": {"containers": [{"name": "a"}]}}),
            Err("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
        );
        let class = quota(
            json!({"pods": "1"}),
            json!({"pods": "1"}),
            json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}),
        );
        check(("", "pods"), class, json!({"spec": {"priorityClassName": "low"}}), Ok(json!(null)));
    }

    #[test]
    fn services_and_claims() {
        let ports = quota(
            json!({"services": "5", "services.nodeports": "1"}),
            json!({"services": "0", "services.nodeports": "0"}),
            json!({}),
        );
        check(
            ("", "services"),
            ports,
            json!({"spec": {"type": "NodePort", "ports": [{}, {}]}}),
            Err(
                "exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1",
            ),
        );
        let gold = quota(
            json!({"gold.storageclass.storage.k8s.io/requests.storage": "10Gi"}),
            json!({"gold.storageclass.storage.k8s.io/requests.storage": "0"}),
            json!({}),
        );
        let claim = json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}});
        check(
            ("", "persistentvolumeclaims"),
            gold,
            claim,
            Ok(json!({"gold.storageclass.storage.k8s.io/requests.storage": "1Gi"})),
        );
    }
}
