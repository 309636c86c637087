//! What a new pod gets from the cluster: priority, tolerations, the overhead of its runtime class.

use drydock_api::{Status, meta};
use serde_json::{Value, json};

use super::Attempt;

/// Priority: the class named, or the default class, as a number.
pub(super) fn priority(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    let name = meta::name(pod).to_owned();
    let wanted = pod.pointer("/spec/priorityClassName").and_then(Value::as_str).unwrap_or("").to_owned();
    let (class, value, policy) = if wanted.is_empty() {
        let mut classes = attempt.server.objects("/registry/priorityclasses", "");
        classes.retain(|class| class["globalDefault"] == true);
        match classes.iter().min_by_key(|class| class["value"].as_i64()) {
            Some(class) => {
                (meta::name(class).to_owned(), class["value"].as_i64().unwrap_or(0), class["preemptionPolicy"].clone())
            }
            None => (String::new(), 0, Value::Null),
        }
    } else {
        let class = attempt.server.object("/registry/priorityclasses", "", &wanted);
        let class =
            class.ok_or_else(|| attempt.forbidden(&name, format!("no PriorityClass with name {wanted} was found")))?;
        (wanted, class["value"].as_i64().unwrap_or(0), class["preemptionPolicy"].clone())
    };
    let spec = &mut pod["spec"];
    if let Some(given) = spec["priority"].as_i64()
        && given != value
    {
        let text = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(attempt.forbidden(&name, text));
    }
    let policy = if policy.is_null() { json!("PreemptLowerPriority") } else { policy };
    if spec["preemptionPolicy"].is_string() && spec["preemptionPolicy"] != policy {
        let text = format!(
            "the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            spec["preemptionPolicy"].as_str().unwrap_or(""),
            policy.as_str().unwrap_or("")
        );
        return Err(attempt.forbidden(&name, text));
    }
    spec["priority"] = value.into();
    spec["preemptionPolicy"] = policy;
    if !class.is_empty() {
        spec["priorityClassName"] = class.into();
    }
    Ok(())
}

/// An update that leaves priority and policy out keeps them.
pub(super) fn keep_priority(pod: &mut Value, old: Option<&Value>) {
    for key in ["priority", "preemptionPolicy"] {
        let before = old.and_then(|old| old["spec"].get(key)).filter(|value| !value.is_null());
        if let (Some(before), Some(spec)) = (before, pod["spec"].as_object_mut())
            && spec.get(key).is_none_or(Value::is_null)
        {
            spec.insert(key.to_owned(), before.clone());
        }
    }
}

/// Only one class can be the default.
pub(super) fn one_default_class(attempt: &Attempt<'_>, class: &Value) -> Result<(), Status> {
    if class["globalDefault"] != true {
        return Ok(());
    }
    let classes = attempt.server.objects("/registry/priorityclasses", "");
    let other = classes.iter().find(|other| other["globalDefault"] == true && meta::name(other) != meta::name(class));
    match other {
        None => Ok(()),
        Some(other) => {
            let text =
                format!("PriorityClass {} is already marked as default. Only one default can exist", meta::name(other));
            Err(attempt.forbidden(meta::name(class), text))
        }
    }
}

/// DefaultTolerationSeconds: how long a pod stays on a node that is gone.
pub(super) fn tolerations(attempt: &Attempt<'_>, pod: &mut Value) {
    let options = &attempt.server.options;
    add_tolerations(pod, options.default_not_ready_toleration_seconds, options.default_unreachable_toleration_seconds);
}

fn add_tolerations(pod: &mut Value, not_ready: i64, unreachable: i64) {
    for (key, seconds) in [("node.kubernetes.io/not-ready", not_ready), ("node.kubernetes.io/unreachable", unreachable)]
    {
        let list = &mut pod["spec"]["tolerations"];
        if !list.is_array() {
            *list = json!([]);
        }
        let Some(list) = list.as_array_mut() else { return };
        let text = |toleration: &Value, field: &str| toleration[field].as_str().unwrap_or("").to_owned();
        let tolerated = list.iter().any(|toleration| {
            let own = text(toleration, "key");
            (own.is_empty() || own == key) && matches!(text(toleration, "effect").as_str(), "" | "NoExecute")
        });
        if !tolerated {
            list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}));
        }
    }
}

/// RuntimeClass: it must exist; its overhead and scheduling rules become the pod's.
pub(super) fn runtime_class(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    let wanted = pod.pointer("/spec/runtimeClassName").and_then(Value::as_str).unwrap_or("").to_owned();
    if wanted.is_empty() {
        if pod
            .pointer("/spec/overhead")
            .is_some_and(|overhead| overhead.as_object().is_some_and(|fields| !fields.is_empty()))
        {
            return Err(attempt.forbidden(
                meta::name(pod),
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            ));
        }
        return Ok(());
    }
    let class = attempt.server.object("/registry/runtimeclasses", "", &wanted);
    let class = class.ok_or_else(|| {
        attempt.forbidden(
            meta::name(pod),
            format!("pod rejected: RuntimeClass {} not found", drydock_api::go_quote(&wanted)),
        )
    })?;
    if let Some(overhead) = class.pointer("/overhead/podFixed") {
        pod["spec"]["overhead"] = overhead.clone();
    }
    for (key, value) in class.pointer("/scheduling/nodeSelector").and_then(Value::as_object).into_iter().flatten() {
        if pod["spec"]["nodeSelector"].get(key).is_some_and(|own| own != value) {
            return Err(attempt.forbidden(
                meta::name(pod),
                "conflict: runtimeClass.scheduling.nodeSelector and pod.spec.nodeSelector",
            ));
        }
        if !pod["spec"]["nodeSelector"].is_object() {
            pod["spec"]["nodeSelector"] = json!({});
        }
        pod["spec"]["nodeSelector"][key.as_str()] = value.clone();
    }
    for toleration in class.pointer("/scheduling/tolerations").and_then(Value::as_array).into_iter().flatten() {
        if !pod["spec"]["tolerations"].is_array() {
            pod["spec"]["tolerations"] = json!([]);
        }
        if let Some(list) = pod["spec"]["tolerations"].as_array_mut()
            && !list.contains(toleration)
        {
            list.push(toleration.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_tolerations_are_added() {
        let mut pod = json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]}});
        add_tolerations(&mut pod, 10, 20);
        let list = pod["spec"]["tolerations"].as_array().expect("list").clone();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1]["tolerationSeconds"], 20);
        let mut pod = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        add_tolerations(&mut pod, 10, 20);
        assert_eq!(pod["spec"]["tolerations"].as_array().map(Vec::len), Some(1));
    }
}
