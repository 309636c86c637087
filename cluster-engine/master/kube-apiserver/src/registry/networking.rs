//! `networking.k8s.io`: ingresses, ingress classes, network policies, addresses and service ranges.

mod validate;

use serde_json::Value;

use super::print::{list, load_balancer, selector, text, text_or, with_more};
use super::value::{Read as _, annotation, at_mut, child, default, default_text, items_mut};
use crate::row::{Column, Resource, Subresource};

const GROUP: &str = "networking.k8s.io";

pub(super) static INGRESSES: Resource = Resource {
    group: GROUP,
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Class", |ingress, _| text_or(ingress, "spec.ingressClassName", "<none>"))
            .describe("The name of the IngressClass resource that should be used for additional configuration"),
        Column::string("Hosts", |ingress, _| Value::String(hosts(ingress)))
            .describe("Hosts that incoming requests are matched against before the ingress rule"),
        Column::string("Address", |ingress, _| Value::String(load_balancer(ingress)))
            .describe("Address is a list containing ingress points for the load-balancer"),
        Column::string("Ports", |ingress, _| {
            Value::from(if ingress.items("spec.tls").is_empty() { "80" } else { "80, 443" })
        })
        .describe("Ports of TLS configurations that open"),
        Column::AGE,
    ],
    default: fill_ingress,
    prepare_create: |ingress, _| fill_ingress(ingress),
    validate: validate::ingress_create,
    validate_update: validate::ingress_update,
    validate_subresource: validate::ingress_status,
    warnings: |ingress, old| {
        let key = "kubernetes.io/ingress.class";
        if old.is_none() && annotation(ingress, key).is_some() {
            vec![format!("annotation {key:?} is deprecated, please use 'spec.ingressClassName' instead")]
        } else {
            Vec::new()
        }
    },
    generation: true,
    storage: "/registry/ingress",
    ..Resource::BASE
};

fn fill_ingress(ingress: &mut Value) {
    child(ingress, "spec");
    if let Some(status) = child(ingress, "status") {
        child(status, "loadBalancer");
    }
}

pub(super) static INGRESS_CLASSES: Resource = Resource {
    group: GROUP,
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    namespaced: false,
    columns: &[
        Column::NAME,
        Column::string("Controller", |class, _| text(class, "spec.controller"))
            .describe("Controller that is responsible for handling this class"),
        Column::string("Parameters", |class, _| Value::String(parameters(class)))
            .describe("A reference to a resource with additional parameters"),
        Column::AGE,
    ],
    default: |class| {
        if let Some(parameters) = at_mut(class, "spec.parameters") {
            default(parameters, "scope", "Cluster");
        }
    },
    validate: validate::class,
    validate_update: validate::class_update,
    generation: true,
    storage: "/registry/ingressclasses",
    ..Resource::BASE
};

pub(super) static NETWORK_POLICIES: Resource = Resource {
    group: GROUP,
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    columns: &[
        Column::NAME,
        Column::string("Pod-Selector", |policy, _| selector(policy, "spec.podSelector")),
        Column::AGE,
    ],
    default: default_policy,
    validate: validate::policy,
    validate_update: validate::policy_update,
    generation: true,
    storage: "/registry/networkpolicies",
    ..Resource::BASE
};

pub(super) static IP_ADDRESSES: Resource = Resource {
    group: GROUP,
    kind: "IPAddress",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    namespaced: false,
    columns: &[Column::NAME, Column::string("ParentRef", |address, _| Value::String(parent(address))), Column::AGE],
    name: validate::address_name,
    validate: validate::address,
    validate_update: validate::address_update,
    storage: "/registry/ipaddresses",
    ..Resource::BASE
};

pub(super) static SERVICE_CIDRS: Resource = Resource {
    group: GROUP,
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    namespaced: false,
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("CIDRs", |object, _| Value::String(list(object, "spec.cidrs"))),
        Column::AGE,
    ],
    validate: validate::service_cidr,
    validate_update: validate::service_cidr_update,
    storage: "/registry/servicecidrs",
    ..Resource::BASE
};

/// SetDefaults_NetworkPolicy.
fn default_policy(policy: &mut Value) {
    let Some(spec) = child(policy, "spec") else { return };
    child(spec, "podSelector");
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            for port in items_mut(rule, "ports") {
                default_text(port, "protocol", "TCP");
            }
        }
    }
    if spec.items("policyTypes").is_empty() {
        let egress = !spec.items("egress").is_empty();
        spec["policyTypes"] =
            if egress { serde_json::json!(["Ingress", "Egress"]) } else { serde_json::json!(["Ingress"]) };
    }
}

fn hosts(ingress: &Value) -> String {
    let rules = ingress.items("spec.rules");
    let mut shown = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= shown.len() == 3;
        if !more && !rule.text("host").is_empty() {
            shown.push(rule.text("host").to_owned());
        }
    }
    with_more(&shown, if more { rules.len() } else { shown.len() }, "*")
}

fn parameters(class: &Value) -> String {
    let parameters = class.at("spec.parameters");
    if parameters.is_null() {
        return "<none>".to_owned();
    }
    let kind = parameters.text("kind");
    let name = parameters.text("name");
    match parameters.at("apiGroup").as_str() {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn parent(address: &Value) -> String {
    let parent = address.at("spec.parentRef");
    if parent.is_null() {
        return "<none>".to_owned();
    }
    let mut text = parent.text("resource").to_lowercase();
    if !parent.text("group").is_empty() {
        text = format!("{text}.{}", parent.text("group").to_lowercase());
    }
    if !parent.text("namespace").is_empty() {
        text = format!("{text}/{}", parent.text("namespace"));
    }
    format!("{text}/{}", parent.text("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells() {
        let rules = |hosts: &[&str]| json!({"spec": {"rules": hosts.iter().map(|host| json!({ "host": host })).collect::<Vec<_>>()}});
        assert_eq!(hosts(&json!({})), "*");
        assert_eq!(hosts(&rules(&["a", "b"])), "a,b");
        assert_eq!(hosts(&rules(&["a", "b", "c", "d"])), "a,b,c + 1 more...");
        assert_eq!(
            parameters(&json!({"spec": {"parameters": {"kind": "K", "name": "n", "apiGroup": "g.io"}}})),
            "K.g.io/n"
        );
        assert_eq!(
            parent(
                &json!({"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}}})
            ),
            "services/default/kubernetes"
        );
    }
}
