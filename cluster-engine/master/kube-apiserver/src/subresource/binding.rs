//! `pods/binding`: the scheduler says where a pod runs.

use drydock_api::field::{FieldError, Path};
use drydock_api::meta::{self, Gvk};
use drydock_api::{Status, time};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admission::{Attempt, Operation};
use crate::exchange::Exchange;
use crate::row::Subresource;
use crate::server::Server;
use crate::verbs::update::{Change, change_object};
use crate::{body, encode};

/// Answers a POST of a Binding (to the pod's subresource, or the old way to `bindings`).
pub(crate) async fn create(server: &Server, exchange: &Exchange, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("CreateOptions")?;
    let binding = body::decode(exchange, bytes, &Gvk::new("", "v1", "Binding"), options.field_validation)?;
    bind(server, exchange, &binding).await
}

/// Binds the pod that a Binding names.
pub(crate) async fn bind(server: &Server, exchange: &Exchange, binding: &Value) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("CreateOptions")?;
    let row = server.rows.find("", "v1", "pods").ok_or_else(Status::unknown_path)?;
    let name = if exchange.info.name.is_empty() { meta::name(binding) } else { exchange.info.name.as_str() }.to_owned();
    let own = meta::name(binding);
    if !own.is_empty() && own != name {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let target = &binding["target"];
    let mut errors = Vec::new();
    let kind = target["kind"].as_str().unwrap_or("");
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&Path::new("target.kind"), kind, &["Node", "<empty>"]));
    }
    let node = target["name"].as_str().unwrap_or("").to_owned();
    if node.is_empty() {
        errors.push(FieldError::required(&Path::new("target.name"), ""));
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "Binding", &name, errors));
    }
    let mut binding = binding.clone();
    let attempt = Attempt::new(server, exchange, row, Some(Subresource::Binding), Operation::Create, &options)
        .of_kind(Gvk::new("", "v1", "Binding"))
        .named(&name);
    attempt.mutate(Some(&mut binding)).await?;
    attempt.validate(Some(&binding)).await?;
    let change =
        Change { row, name: &name, subresource: Some(Subresource::Binding), options: &options, managed: false };
    let make = |old: &Value| assign(old, &binding, &node, &name);
    change_object(server, exchange, &change, make).await?;
    let mut status = Status::success(None);
    status.code = 201;
    encode::written(exchange, StatusCode::CREATED, status.to_json().into())
}

fn assign(old: &Value, binding: &Value, node: &str, name: &str) -> Result<Value, Status> {
    let conflict = |why: String| Status::conflict("", "pods/binding", name, why);
    let uid = meta::uid(binding);
    if !uid.is_empty() && uid != meta::uid(old) {
        return Err(conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            meta::uid(old)
        )));
    }
    if meta::deletion_timestamp(old).is_some() {
        return Err(conflict(format!("pod {name} is being deleted, cannot be assigned to a host")));
    }
    if let Some(taken) = old.pointer("/spec/nodeName").and_then(Value::as_str).filter(|taken| !taken.is_empty()) {
        return Err(conflict(format!("pod {name} is already assigned to node {}", drydock_api::go_quote(taken))));
    }
    if old.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        return Err(conflict(format!("pod {name} has non-empty .spec.schedulingGates")));
    }
    let mut new = old.clone();
    new["spec"]["nodeName"] = node.into();
    for (key, value) in meta::annotations(binding).into_iter().flatten() {
        if !new["metadata"]["annotations"].is_object() {
            new["metadata"]["annotations"] = json!({});
        }
        new["metadata"]["annotations"][key.as_str()] = value.clone();
    }
    for (key, value) in meta::labels(binding).into_iter().flatten() {
        if !new["metadata"]["labels"].is_object() {
            new["metadata"]["labels"] = json!({});
        }
        new["metadata"]["labels"][key.as_str()] = value.clone();
    }
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    if !new["status"]["conditions"].is_array() {
        new["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now_rfc3339()});
        match conditions.iter_mut().find(|condition| condition["type"] == "PodScheduled") {
            Some(condition) => *condition = scheduled,
            None => conditions.push(scheduled),
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_bound_once() {
        let pod = json!({"metadata": {"name": "p", "uid": "u"}, "spec": {}});
        let bound = assign(&pod, &json!({"metadata": {"annotations": {"a": "b"}}}), "n1", "p").expect("bound");
        assert_eq!(
            (&bound["spec"]["nodeName"], &bound["status"]["conditions"][0]["status"]),
            (&json!("n1"), &json!("True"))
        );
        assert_eq!(assign(&bound, &json!({}), "n2", "p").map_err(|status| status.code), Err(409));
        assert_eq!(assign(&pod, &json!({"metadata": {"uid": "v"}}), "n2", "p").map_err(|status| status.code), Err(409));
    }
}
