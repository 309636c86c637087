//! LimitRanger: containers that say nothing get the namespace's defaults; what is too small or too large is refused.

use std::collections::BTreeMap;

use drydock_api::quantity::Quantity;
use drydock_api::{Status, meta};
use serde_json::{Value, json};

use super::{Attempt, Operation};
use crate::row::Subresource;

const STORAGE: &str = "/registry/limitranges";

/// Fills in the defaults of a new pod's containers.
pub(super) fn default_pod(attempt: &Attempt<'_>, pod: &mut Value) {
    for range in attempt.server.objects(STORAGE, &attempt.exchange.info.namespace) {
        apply_defaults(pod, &range);
    }
}

/// Refuses a pod or claim outside of the namespace's limits.
///
/// # Errors
/// 403 in upstream's words.
pub(super) fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object else { return Ok(()) };
    let pod = attempt.is(Operation::Create, "", "pods")
        || (attempt.operation == Operation::Update
            && attempt.on_resource("", "pods")
            && attempt.subresource == Some(Subresource::Resize));
    let claim = attempt.on_resource("", "persistentvolumeclaims")
        && attempt.subresource.is_none()
        && matches!(attempt.operation, Operation::Create | Operation::Update);
    if (!pod && !claim) || meta::deletion_timestamp(object).is_some() {
        return Ok(());
    }
    for range in attempt.server.objects(STORAGE, &attempt.exchange.info.namespace) {
        let wrong = if pod { pod_violations(object, &range) } else { claim_violations(object, &range) };
        match &wrong[..] {
            [] => {}
            [one] => return Err(attempt.forbidden(meta::name(object), one)),
            all => return Err(attempt.forbidden(meta::name(object), format!("[{}]", all.join(", ")))),
        }
    }
    Ok(())
}

fn limits<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    range
        .pointer("/spec/limits")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(move |limit| limit["type"] == kind)
}

fn apply_defaults(pod: &mut Value, range: &Value) {
    let mut said = Vec::new();
    for list in ["containers", "initContainers"] {
        for container in pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut).into_iter().flatten() {
            let init = if list == "containers" { "" } else { "init " };
            let name = container["name"].as_str().unwrap_or("").to_owned();
            for (from, to, word) in [("defaultRequest", "requests", "request"), ("default", "limits", "limit")] {
                let mut set = Vec::new();
                for limit in limits(range, "Container") {
                    for (key, value) in limit[from].as_object().into_iter().flatten() {
                        if container.pointer(&format!("/resources/{to}/{}", key.replace('/', "~1"))).is_none() {
                            fill(container, to, key, value);
                            set.push(key.clone());
                        }
                    }
                }
                if !set.is_empty() {
                    said.push(format!("{} {word} for {init}container {name}", set.join(", ")));
                }
            }
        }
    }
    if !said.is_empty() {
        if !pod["metadata"]["annotations"].is_object() {
            pod["metadata"]["annotations"] = json!({});
        }
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] =
            format!("LimitRanger plugin set: {}", said.join("; ")).into();
    }
}

fn fill(container: &mut Value, to: &str, key: &str, value: &Value) {
    if !container["resources"].is_object() {
        container["resources"] = json!({});
    }
    if !container["resources"][to].is_object() {
        container["resources"][to] = json!({});
    }
    container["resources"][to][key] = value.clone();
}

type Amounts = BTreeMap<String, Quantity>;

fn amounts(value: &Value) -> Amounts {
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), Quantity::from_value(value).ok()?)))
        .collect()
}

fn pod_violations(pod: &Value, range: &Value) -> Vec<String> {
    let containers = |list: &str| pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array).into_iter().flatten();
    let mut wrong = Vec::new();
    for limit in limits(range, "Container") {
        for container in containers("containers").chain(containers("initContainers")) {
            let resources = &container["resources"];
            violations(
                limit,
                "Container",
                &amounts(&resources["requests"]),
                &amounts(&resources["limits"]),
                &mut wrong,
            );
        }
    }
    for limit in limits(range, "Pod") {
        let total = |kind: &str| {
            let mut sum = Amounts::new();
            for container in containers("containers") {
                for (key, value) in amounts(&container["resources"][kind]) {
                    let entry = sum.entry(key).or_insert(Quantity::ZERO);
                    *entry = entry.add(value);
                }
            }
            for container in containers("initContainers") {
                for (key, value) in amounts(&container["resources"][kind]) {
                    let entry = sum.entry(key).or_insert(value);
                    *entry = (*entry).max(value);
                }
            }
            sum
        };
        violations(limit, "Pod", &total("requests"), &total("limits"), &mut wrong);
    }
    wrong
}

fn claim_violations(claim: &Value, range: &Value) -> Vec<String> {
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let mut wrong = Vec::new();
    for limit in limits(range, "PersistentVolumeClaim") {
        for (key, least) in amounts(&limit["min"]) {
            match requests.get(&key) {
                None => wrong.push(format!(
                    "minimum {key} usage per PersistentVolumeClaim is {least}.  No request is specified"
                )),
                Some(own) if *own < least => wrong
                    .push(format!("minimum {key} usage per PersistentVolumeClaim is {least}, but request is {own}")),
                Some(_) => {}
            }
        }
        for (key, most) in amounts(&limit["max"]) {
            match requests.get(&key) {
                None => wrong
                    .push(format!("maximum {key} usage per PersistentVolumeClaim is {most}.  No request is specified")),
                Some(own) if *own > most => {
                    wrong.push(format!("maximum {key} usage per PersistentVolumeClaim is {most}, but request is {own}"))
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

fn violations(limit: &Value, kind: &str, requests: &Amounts, limits: &Amounts, wrong: &mut Vec<String>) {
    for (key, least) in amounts(&limit["min"]) {
        let head = format!("minimum {key} usage per {kind} is {least}");
        match (requests.get(&key), limits.get(&key)) {
            (None, _) => wrong.push(format!("{head}.  No request is specified")),
            (_, Some(own)) if *own < least => wrong.push(format!("{head}, but limit is {own}")),
            (Some(own), _) if *own < least => wrong.push(format!("{head}, but request is {own}")),
            _ => {}
        }
    }
    for (key, most) in amounts(&limit["max"]) {
        let head = format!("maximum {key} usage per {kind} is {most}");
        match (limits.get(&key), requests.get(&key)) {
            (None, _) => wrong.push(format!("{head}.  No limit is specified")),
            (Some(own), _) if *own > most => wrong.push(format!("{head}, but limit is {own}")),
            (_, Some(own)) if *own > most => wrong.push(format!("{head}, but request is {own}")),
            _ => {}
        }
    }
    for (key, ratio) in amounts(&limit["maxLimitRequestRatio"]) {
        let head = format!("{key} max limit to request ratio per {kind} is {ratio}");
        let positive = |amounts: &Amounts| amounts.get(&key).map(Quantity::as_f64).filter(|own| *own > 0.0);
        match (positive(requests), positive(limits)) {
            (None, _) => wrong.push(format!("{head}, but no request is specified or request is 0")),
            (_, None) => wrong.push(format!("{head}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) if limit / request > ratio.as_f64() => {
                wrong.push(format!("{head}, but provided ratio is {:.6}", limit / request));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Value {
        json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}, "min": {"cpu": "50m"}}]}})
    }

    #[test]
    fn a_silent_container_gets_the_defaults() {
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c"}]}});
        apply_defaults(&mut pod, &range());
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        );
        assert!(pod_violations(&pod, &range()).is_empty());
    }

    #[test]
    fn too_much_is_refused() {
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "2"}}}]}});
        let expected = [
            "minimum cpu usage per Container is 50m, but request is 10m",
            "maximum cpu usage per Container is 1, but limit is 2",
        ];
        assert_eq!(pod_violations(&pod, &range()), expected);
    }
}
