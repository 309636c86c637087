//! Small defaults of kinds other than Pod.

use drydock_api::{Status, meta};
use serde_json::{Value, json};

use super::Attempt;

/// TaintNodesByCondition: a new node takes no pods until its conditions are known.
pub(super) fn node_taint(node: &mut Value) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    if !node["spec"]["taints"].is_array() {
        node["spec"]["taints"] = json!([]);
    }
    let Some(taints) = node["spec"]["taints"].as_array_mut() else { return };
    if !taints.iter().any(|taint| taint["key"] == KEY && taint["effect"] == "NoSchedule") {
        taints.push(json!({"key": KEY, "effect": "NoSchedule"}));
    }
}

/// DefaultStorageClass: a claim that names no class gets the newest default one.
pub(super) fn storage_class(attempt: &Attempt<'_>, claim: &mut Value) {
    let named = claim.pointer("/spec/storageClassName").is_some_and(|name| !name.is_null());
    if named || meta::annotation(claim, "volume.beta.kubernetes.io/storage-class").is_some() {
        return;
    }
    const MARKS: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let mut classes = attempt.server.objects("/registry/storageclasses", "");
    classes.retain(|class| MARKS.iter().any(|mark| meta::annotation(class, mark) == Some("true")));
    classes.sort_by(|a, b| {
        meta::creation_timestamp(b).cmp(meta::creation_timestamp(a)).then_with(|| meta::name(a).cmp(meta::name(b)))
    });
    if let Some(class) = classes.first() {
        claim["spec"]["storageClassName"] = meta::name(class).into();
    }
}

/// DefaultIngressClass: an Ingress that names no class gets the default one.
pub(super) fn ingress_class(attempt: &Attempt<'_>, ingress: &mut Value) -> Result<(), Status> {
    let named = ingress.pointer("/spec/ingressClassName").is_some_and(|name| !name.is_null());
    if named || meta::annotation(ingress, "kubernetes.io/ingress.class").is_some() {
        return Ok(());
    }
    let mut classes = attempt.server.objects("/registry/ingressclasses", "");
    classes.retain(|class| meta::annotation(class, "ingressclass.kubernetes.io/is-default-class") == Some("true"));
    classes.sort_by(|a, b| {
        meta::creation_timestamp(b).cmp(meta::creation_timestamp(a)).then_with(|| meta::name(a).cmp(meta::name(b)))
    });
    if let Some(class) = classes.first() {
        ingress["spec"]["ingressClassName"] = meta::name(class).into();
    }
    Ok(())
}

/// PodTopologyLabels: a pod that is bound gets the zone and region of its node as labels.
pub(super) fn topology_labels(attempt: &Attempt<'_>, binding: &mut Value) {
    let node = binding.pointer("/target/name").and_then(Value::as_str).unwrap_or("");
    let Some(node) = attempt.server.object("/registry/minions", "", node) else { return };
    for key in ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"] {
        let Some(value) = meta::label(&node, key) else { continue };
        if !binding["metadata"].is_object() {
            binding["metadata"] = json!({});
        }
        if !binding["metadata"]["labels"].is_object() {
            binding["metadata"]["labels"] = json!({});
        }
        binding["metadata"]["labels"][key] = value.into();
    }
}

/// A certificate request says who asked, whatever the client wrote there.
pub(super) fn certificate_request(attempt: &Attempt<'_>, request: &mut Value) {
    let user = &attempt.exchange.user;
    let spec = &mut request["spec"];
    if !spec.is_object() {
        *spec = json!({});
    }
    spec["username"] = user.name.clone().into();
    spec["groups"] = json!(user.groups);
    let Some(fields) = spec.as_object_mut() else { return };
    if user.uid.is_empty() {
        fields.remove("uid");
    } else {
        fields.insert("uid".to_owned(), user.uid.clone().into());
    }
    if user.extra.is_empty() {
        fields.remove("extra");
    } else {
        fields.insert("extra".to_owned(), json!(user.extra));
    }
}
