//! Defaults of Services and what the server carries over on update (`pkg/registry/core/service`).
//!
//! Which addresses and ports are free is the store's business (the hook of the row); everything that follows from the objects alone is here.

use serde_json::{Value, json};

use crate::registry::value::{Read as _, child, default as set, default_text, items_mut, remove, restore, same};
use crate::row::Context;

/// SetDefaults_Service.
pub(super) fn default(service: &mut Value) {
    let Some(spec) = child(service, "spec") else { return };
    default_text(spec, "sessionAffinity", "None");
    match spec.text("sessionAffinity") {
        "None" => remove(spec, "sessionAffinityConfig"),
        "ClientIP" => {
            if let Some(config) = child(spec, "sessionAffinityConfig").and_then(|config| child(config, "clientIP")) {
                set(config, "timeoutSeconds", 10800);
            }
        }
        _ => {}
    }
    default_text(spec, "type", "ClusterIP");
    for port in items_mut(spec, "ports") {
        default_text(port, "protocol", "TCP");
        let target = port.at("targetPort");
        if target.is_null() || target == &json!(0) || target == &json!("") {
            port["targetPort"] = port.at("port").clone();
        }
    }
    let kind = spec.text("type").to_owned();
    if externally_accessible(spec) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    if let Some(status) = child(service, "status")
        && let Some(balancer) = child(status, "loadBalancer")
    {
        for ingress in items_mut(balancer, "ingress") {
            if !ingress.text("ip").is_empty() {
                set(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// Whether traffic from outside can reach the Service.
pub(super) fn externally_accessible(spec: &Value) -> bool {
    matches!(spec.text("type"), "LoadBalancer" | "NodePort")
        || spec.text("type") == "ClusterIP" && !spec.items("externalIPs").is_empty()
}

/// Whether the Service needs a health check port.
pub(super) fn needs_health_check(spec: &Value) -> bool {
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

/// PrepareForCreate.
pub(super) fn prepare_create(service: &mut Value, _: &Context<'_>) {
    service["status"] = json!({ "loadBalancer": {} });
    if let Some(spec) = child(service, "spec") {
        normalize_addresses(spec, None);
        families(spec);
    }
}

/// PrepareForUpdate: what was allocated stays when the client leaves it out.
pub(super) fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    restore(new, old, "status");
    let old_spec = old.at("spec");
    let Some(spec) = child(new, "spec") else { return };
    normalize_addresses(spec, Some(old_spec));
    carry_over(spec, old_spec);
    drop_by_type(spec, old_spec);
    families(spec);
}

/// Keeps `clusterIP` and `clusterIPs` the same: the one that the client changed wins.
fn normalize_addresses(spec: &mut Value, old: Option<&Value>) {
    let single = spec.text("clusterIP").to_owned();
    let first = spec.items("clusterIPs").first().and_then(Value::as_str).unwrap_or("").to_owned();
    let Some(old) = old else {
        if !single.is_empty() && first.is_empty() {
            spec["clusterIPs"] = json!([single]);
        }
        return;
    };
    let single_changed = single != old.text("clusterIP");
    let list_changed = !same(spec.at("clusterIPs"), old.at("clusterIPs"));
    if single_changed && !list_changed {
        if single.is_empty() {
            remove(spec, "clusterIPs");
        } else {
            spec["clusterIPs"] = json!([single]);
        }
    } else if list_changed && !single_changed && first.is_empty() && !single.is_empty() {
        remove(spec, "clusterIP");
    }
}

/// Upstream's patchAllocatedValues.
fn carry_over(spec: &mut Value, old: &Value) {
    let needs_address = |spec: &Value| matches!(spec.text("type"), "ClusterIP" | "NodePort" | "LoadBalancer");
    let needs_node_port = |spec: &Value| {
        spec.text("type") == "NodePort"
            || spec.text("type") == "LoadBalancer" && spec.at("allocateLoadBalancerNodePorts") != &json!(false)
    };
    if needs_address(old) && needs_address(spec) {
        if spec.text("clusterIP").is_empty() {
            restore(spec, old, "clusterIP");
        }
        if spec.items("clusterIPs").is_empty() && spec.text("clusterIP") == old.text("clusterIP") {
            restore(spec, old, "clusterIPs");
        }
    }
    if needs_node_port(old) && needs_node_port(spec) {
        let mut used: Vec<(String, i64)> = spec
            .items("ports")
            .iter()
            .filter_map(|port| {
                port.int("nodePort")
                    .filter(|number| *number != 0)
                    .map(|number| (port.text("protocol").to_owned(), number))
            })
            .collect();
        let before: Vec<(String, i64, i64)> = old
            .items("ports")
            .iter()
            .map(|port| {
                (port.text("protocol").to_owned(), port.int("port").unwrap_or(0), port.int("nodePort").unwrap_or(0))
            })
            .collect();
        for port in items_mut(spec, "ports") {
            if port.int("nodePort").unwrap_or(0) != 0 {
                continue;
            }
            let own = (port.text("protocol").to_owned(), port.int("port").unwrap_or(0));
            let found = before.iter().find(|(protocol, number, node)| {
                *node != 0 && *protocol == own.0 && *number == own.1 && !used.contains(&(protocol.clone(), *node))
            });
            if let Some((protocol, _, node)) = found {
                used.push((protocol.clone(), *node));
                port["nodePort"] = json!(node);
            }
        }
    }
    if needs_health_check(old) && needs_health_check(spec) && spec.int("healthCheckNodePort").unwrap_or(0) == 0 {
        restore(spec, old, "healthCheckNodePort");
    }
}

/// Upstream's dropTypeDependentFields: what the new type has no use for goes when the client did not change it.
fn drop_by_type(spec: &mut Value, old: &Value) {
    let same_as_before = |spec: &Value, key: &str| same(spec.at(key), old.at(key));
    let kind = spec.text("type").to_owned();
    if kind == "ExternalName" && old.text("type") != "ExternalName" {
        if same_as_before(spec, "clusterIP") || spec.text("clusterIP").is_empty() {
            remove(spec, "clusterIP");
            remove(spec, "clusterIPs");
        }
        if same_as_before(spec, "ipFamilies") {
            remove(spec, "ipFamilies");
        }
        if same_as_before(spec, "ipFamilyPolicy") {
            remove(spec, "ipFamilyPolicy");
        }
    }
    let has_node_ports =
        kind == "NodePort" || kind == "LoadBalancer" && spec.at("allocateLoadBalancerNodePorts") != &json!(false);
    let had_node_ports = matches!(old.text("type"), "NodePort" | "LoadBalancer");
    if had_node_ports && !has_node_ports {
        let before: Vec<i64> = old.items("ports").iter().map(|port| port.int("nodePort").unwrap_or(0)).collect();
        let unchanged = spec.items("ports").iter().all(|port| before.contains(&port.int("nodePort").unwrap_or(0)));
        if unchanged && spec.text("type") != "LoadBalancer" {
            for port in items_mut(spec, "ports") {
                remove(port, "nodePort");
            }
        }
    }
    if needs_health_check(old) && !needs_health_check(spec) && same_as_before(spec, "healthCheckNodePort") {
        remove(spec, "healthCheckNodePort");
    }
    if old.text("type") == "LoadBalancer" && kind != "LoadBalancer" {
        for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same_as_before(spec, key) {
                remove(spec, key);
            }
        }
    }
    if externally_accessible(old) && !externally_accessible(spec) && same_as_before(spec, "externalTrafficPolicy") {
        remove(spec, "externalTrafficPolicy");
    }
    if kind == "ExternalName" && old.text("type") != "ExternalName" && same_as_before(spec, "internalTrafficPolicy") {
        remove(spec, "internalTrafficPolicy");
    }
}

/// The families of a cluster with IPv4 alone: upstream's initIPFamilyFields.
fn families(spec: &mut Value) {
    if spec.text("type") == "ExternalName" {
        return;
    }
    let headless = spec.text("clusterIP") == "None" || spec.items("clusterIPs").first() == Some(&json!("None"));
    if headless && spec.entries("selector").is_empty() {
        // Nobody allocates anything for it, so that it may be both.
        set(spec, "ipFamilyPolicy", "RequireDualStack");
        if spec.items("ipFamilies").is_empty() {
            spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
        }
        return;
    }
    set(spec, "ipFamilyPolicy", "SingleStack");
    if spec.items("ipFamilies").is_empty() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::service::SERVICES;

    fn context() -> Context<'static> {
        Context { resource: &SERVICES, namespace: "default", user: "u", groups: &[], subresource: None, now: "" }
    }

    fn made(spec: Value) -> Value {
        let mut service = json!({ "spec": spec });
        default(&mut service);
        prepare_create(&mut service, &context());
        service["spec"].clone()
    }

    #[test]
    fn defaults_by_type() {
        assert_eq!(
            made(json!({"ports": [{"port": 80}]})),
            json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP", "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
        );
        assert_eq!(
            made(json!({"type": "LoadBalancer"})),
            json!({"type": "LoadBalancer", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": true, "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
        );
        assert_eq!(
            made(json!({"type": "ExternalName", "externalName": "a"})),
            json!({"type": "ExternalName", "externalName": "a", "sessionAffinity": "None"})
        );
        assert_eq!(made(json!({"clusterIP": "None"}))["ipFamilies"], json!(["IPv4", "IPv6"]));
        assert_eq!(made(json!({"clusterIP": "None", "selector": {"a": "b"}}))["ipFamilyPolicy"], "SingleStack");
        assert_eq!(made(json!({"clusterIP": "10.96.0.9"}))["clusterIPs"], json!(["10.96.0.9"]));
        assert_eq!(
            made(json!({"sessionAffinity": "ClientIP"}))["sessionAffinityConfig"],
            json!({"clientIP": {"timeoutSeconds": 10800}})
        );
    }

    fn updated(old: Value, new: Value) -> Value {
        let mut service = json!({ "spec": new });
        default(&mut service);
        prepare_update(&mut service, &json!({ "spec": old }), &context());
        service["spec"].clone()
    }

    #[test]
    fn allocated_values_stay() {
        let old = json!({"type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]});
        let spec = updated(old.clone(), json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}));
        assert_eq!(spec["clusterIP"], "10.96.0.9");
        assert_eq!(spec["clusterIPs"], json!(["10.96.0.9"]));
        assert_eq!(spec["ports"][0]["nodePort"], 30080);
        assert!(!spec["ports"][1].has("nodePort"));
        let spec = updated(
            old.clone(),
            json!({"type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
            "externalTrafficPolicy": "Cluster", "ports": [{"port": 80, "nodePort": 30080}]}),
        );
        assert!(!spec["ports"][0].has("nodePort") && !spec.has("externalTrafficPolicy"), "{spec}");
        let spec = updated(
            old,
            json!({"type": "ExternalName", "externalName": "a", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}),
        );
        assert!(!spec.has("clusterIP") && !spec.has("clusterIPs"), "{spec}");
    }
}
