//! `services`.

mod strategy;
mod validate;

use serde_json::Value;

use super::print::{labels, list, load_balancer, or_none, text};
use super::value::{Read as _, annotation};
use crate::row::{Column, Hook, Resource, Subresource, service_name};

pub(super) static SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[Subresource::Proxy, Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Type", |service, _| text(service, "spec.type")),
        Column::string("Cluster-IP", |service, _| {
            Value::from(service.items("spec.clusterIPs").first().and_then(Value::as_str).unwrap_or("<none>"))
        }),
        Column::string("External-IP", |service, _| Value::String(external(service))),
        Column::string("Port(s)", |service, _| or_none(ports(service))),
        Column::AGE,
        Column::string("Selector", |service, _| labels(service, "spec.selector")).wide(),
    ],
    fields: &[
        ("spec.clusterIP", |service| service.text("spec.clusterIP").to_owned()),
        ("spec.type", |service| service.text("spec.type").to_owned()),
    ],
    default: strategy::default,
    prepare_create: strategy::prepare_create,
    prepare_update: strategy::prepare_update,
    prepare_subresource: super::workload::keep_spec,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    warnings: |service, _| warnings(service),
    name: service_name,
    create_on_update: true,
    hook: Hook::ServiceAddresses,
    storage: "/registry/services/specs",
    ..Resource::BASE
};

pub(super) use validate::ingress;

/// GetWarningsForService.
fn warnings(service: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if annotation(service, "service.kubernetes.io/topology-aware-hints").is_some() {
        warnings.push("annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead".to_owned());
    }
    let external = service.text("spec.type") == "ExternalName";
    if service.text("spec.clusterIP") == "None" {
        if !service.text("spec.loadBalancerIP").is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !service.items("spec.externalIPs").is_empty() {
            warnings.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if !matches!(service.text("spec.sessionAffinity"), "" | "None") {
            warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    if external && !service.items("spec.externalIPs").is_empty() {
        warnings.push(r#"spec.externalIPs is ignored when spec.type is "ExternalName""#.to_owned());
    }
    if !external && !service.text("spec.externalName").is_empty() {
        warnings.push(r#"spec.externalName is ignored when spec.type is not "ExternalName""#.to_owned());
    }
    warnings
}

fn external(service: &Value) -> String {
    let own = list(service, "spec.externalIPs");
    match service.text("spec.type") {
        "ClusterIP" | "NodePort" if own.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => own,
        "LoadBalancer" => match (load_balancer(service), own) {
            (balanced, own) if balanced.is_empty() && own.is_empty() => "<pending>".to_owned(),
            (balanced, own) if own.is_empty() => balanced,
            (balanced, own) if balanced.is_empty() => own,
            (balanced, own) => format!("{balanced},{own}"),
        },
        "ExternalName" => service.text("spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let one = |port: &Value| {
        let (number, protocol) = (port.int("port").unwrap_or(0), port.text("protocol"));
        match port.int("nodePort").unwrap_or(0) {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    service.items("spec.ports").iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn external_addresses() {
        #[track_caller]
        fn check(spec: Value, ingress: Value, expected: &str) {
            assert_eq!(external(&json!({"spec": spec, "status": {"loadBalancer": {"ingress": ingress}}})), expected);
        }
        check(json!({"type": "ClusterIP"}), json!(null), "<none>");
        check(json!({"type": "NodePort", "externalIPs": ["1.1.1.1", "2.2.2.2"]}), json!(null), "1.1.1.1,2.2.2.2");
        check(json!({"type": "LoadBalancer"}), json!(null), "<pending>");
        check(
            json!({"type": "LoadBalancer", "externalIPs": ["1.1.1.1"]}),
            json!([{"hostname": "b"}, {"ip": "3.3.3.3"}]),
            "3.3.3.3,b,1.1.1.1",
        );
        check(json!({"type": "ExternalName", "externalName": "x.example"}), json!(null), "x.example");
    }

    #[test]
    fn port_cells() {
        let service = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 30053}]}});
        assert_eq!(ports(&service), "80/TCP,53:30053/UDP");
    }
}
