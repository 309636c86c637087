//! `pods/eviction`: a delete that respects PodDisruptionBudgets.

use drydock_api::meta::{self, Gvk};
use drydock_api::selector::Selector;
use drydock_api::status::StatusCause;
use drydock_api::{Status, time};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admission::{Attempt, Operation};
use crate::exchange::Exchange;
use crate::row::Subresource;
use crate::server::Server;
use crate::verbs::delete::{DeleteOptions, delete_object};
use crate::verbs::get;
use crate::verbs::update::{Change, change_object};
use crate::{body, encode};

/// Answers a POST of an Eviction.
pub(super) async fn create(server: &Server, exchange: &Exchange, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("CreateOptions")?;
    let version = serde_json::from_slice::<Value>(bytes).ok();
    let beta = version.as_ref().and_then(|value| value["apiVersion"].as_str()) == Some("policy/v1beta1");
    let gvk = Gvk::new("policy", if beta { "v1beta1" } else { "v1" }, "Eviction");
    let eviction = body::decode(exchange, bytes, &gvk, options.field_validation)?;
    let name = exchange.info.name.as_str();
    if !meta::name(&eviction).is_empty() && meta::name(&eviction) != name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let row = server.rows.find("", "v1", "pods").ok_or_else(Status::unknown_path)?;
    let mut delete: DeleteOptions = match &eviction["deleteOptions"] {
        Value::Null => DeleteOptions::default(),
        given => serde_json::from_value(given.clone()).map_err(|error| Status::bad_request(error.to_string()))?,
    };
    if options.dry_run {
        delete.dry_run = vec!["All".to_owned()];
    }
    let mut eviction = eviction;
    let attempt =
        Attempt::new(server, exchange, row, Some(Subresource::Eviction), Operation::Create, &options).of_kind(gvk);
    attempt.mutate(Some(&mut eviction)).await?;
    attempt.validate(Some(&eviction)).await?;
    let pod = get::newest_value(server, row, &exchange.info.namespace, name).await?;
    if needs_budget(&pod) {
        spend(server, exchange, &pod, &options).await?;
    }
    let change = Change { row, name, subresource: Some(Subresource::Status), options: &options, managed: false };
    change_object(server, exchange, &change, |pod| Ok(marked(pod, &exchange.now))).await?;
    delete_object(server, exchange, row, &exchange.info.namespace, name, &delete).await?;
    let mut status = Status::success(None);
    status.code = 201;
    encode::written(exchange, StatusCode::CREATED, status.to_json().into())
}

/// The pod with the condition that says why it goes, for those who count failures.
fn marked(pod: &Value, now: &str) -> Value {
    let mut pod = pod.clone();
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        "lastProbeTime": null, "lastTransitionTime": now, "observedGeneration": meta::generation(&pod),
    });
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
        match conditions.iter_mut().find(|own| own["type"] == "DisruptionTarget") {
            Some(own) if own["status"] == "True" => {}
            Some(own) => *own = condition,
            None => conditions.push(condition),
        }
    }
    pod
}

/// Finished, pending and already going pods need no budget.
fn needs_budget(pod: &Value) -> bool {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("");
    !matches!(phase, "Succeeded" | "Failed" | "Pending") && meta::deletion_timestamp(pod).is_none()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Takes one disruption from the pod's budget.
async fn spend(
    server: &Server,
    exchange: &Exchange,
    pod: &Value,
    options: &crate::exchange::WriteOptions,
) -> Result<(), Status> {
    let budgets: Vec<Value> = server
        .objects("/registry/poddisruptionbudgets", &exchange.info.namespace)
        .into_iter()
        .filter(|budget| covers(budget, pod))
        .collect();
    let budget = match &budgets[..] {
        [] => return Ok(()),
        [budget] => budget,
        _ => {
            return Err(Status::internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    let always = budget.pointer("/spec/unhealthyPodEvictionPolicy").and_then(Value::as_str) == Some("AlwaysAllow");
    if !is_ready(pod) {
        let healthy = |key: &str| budget.pointer(&format!("/status/{key}")).and_then(Value::as_i64).unwrap_or(0);
        if always || (healthy("currentHealthy") >= healthy("desiredHealthy") && healthy("desiredHealthy") > 0) {
            return Ok(());
        }
    }
    let Some(row) = server.rows.find("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let change =
        Change { row, name: meta::name(budget), subresource: Some(Subresource::Status), options, managed: false };
    change_object(server, exchange, &change, |old| take_one(old, meta::name(pod), &exchange.now)).await.map(|_| ())
}

fn covers(budget: &Value, pod: &Value) -> bool {
    Selector::from_label_selector(&budget["spec"]["selector"]).is_ok_and(|selector| selector.matches_object(pod))
}

fn take_one(budget: &Value, pod: &str, now: &str) -> Result<Value, Status> {
    let status = &budget["status"];
    if status["observedGeneration"].as_i64().unwrap_or(0) < meta::generation(budget) {
        return Err(refused(
            10,
            format!("The disruption budget {} is still being processed by the server.", meta::name(budget)),
        ));
    }
    let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0);
    if allowed <= 0 {
        let text = format!(
            "The disruption budget {} needs {} healthy pods and has {} currently",
            meta::name(budget),
            status["desiredHealthy"].as_i64().unwrap_or(0),
            status["currentHealthy"].as_i64().unwrap_or(0)
        );
        return Err(refused(0, text));
    }
    let mut new = budget.clone();
    new["status"]["disruptionsAllowed"] = (allowed - 1).into();
    if !new["status"]["disruptedPods"].is_object() {
        new["status"]["disruptedPods"] = json!({});
    }
    let now = if now.is_empty() { time::now_rfc3339() } else { now.to_owned() };
    new["status"]["disruptedPods"][pod] = now.into();
    Ok(new)
}

fn refused(wait: u32, text: String) -> Status {
    let cause = StatusCause { reason: "DisruptionBudget".to_owned(), message: text, field: String::new() };
    Status::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", wait)
        .with_causes(vec![cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evicted_pod_says_so_once() {
        let pod = marked(&json!({"metadata": {"name": "p"}, "status": {}}), "t");
        assert_eq!(pod["status"]["conditions"][0]["reason"], "EvictionByEvictionAPI");
        assert_eq!(marked(&pod, "u"), pod);
    }

    #[test]
    fn a_budget_is_spent_one_by_one() {
        let budget = json!({"metadata": {"name": "b"}, "status": {"disruptionsAllowed": 1}});
        let spent = take_one(&budget, "p", "t").expect("allowed");
        assert_eq!(spent["status"], json!({"disruptionsAllowed": 0, "disruptedPods": {"p": "t"}}));
        assert_eq!(take_one(&spent, "q", "t").map_err(|status| status.code), Err(429));
    }
}
