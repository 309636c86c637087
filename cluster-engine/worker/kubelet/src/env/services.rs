//! The variables by which a container finds services (upstream: `envvars.FromServices`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::objects::Service;

/// Variables of the services in `namespace` (if `links`) and of `default/kubernetes`.
pub(crate) fn service_variables(services: &[Arc<Service>], namespace: &str, links: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let is_master =
        |service: &Service| service.metadata.namespace == "default" && service.metadata.name == "kubernetes";
    // A service of the pod's own namespace wins over the API server's.
    let foreign = services.iter().filter(|service| is_master(service));
    let own = services.iter().filter(|service| links && service.metadata.namespace == namespace);
    for service in foreign.chain(own) {
        let ip = &service.spec.cluster_ip;
        if !ip.is_empty() && ip != "None" {
            variables.extend(one(service));
        }
    }
    variables
}

fn one(service: &Service) -> Vec<(String, String)> {
    let name = variable_name(&service.metadata.name);
    let ip = &service.spec.cluster_ip;
    let mut variables = vec![(format!("{name}_SERVICE_HOST"), ip.clone())];
    let Some(first) = service.spec.ports.first() else { return variables };
    variables.push((format!("{name}_SERVICE_PORT"), first.port.to_string()));
    for port in service.spec.ports.iter().filter(|port| !port.name.is_empty()) {
        variables.push((format!("{name}_SERVICE_PORT_{}", variable_name(&port.name)), port.port.to_string()));
    }
    for (index, port) in service.spec.ports.iter().enumerate() {
        let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
        let url = format!("{}://{ip}:{}", protocol.to_lowercase(), port.port);
        if index == 0 {
            variables.push((format!("{name}_PORT"), url.clone()));
        }
        let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
        variables.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        variables.push((format!("{prefix}_PORT"), port.port.to_string()));
        variables.push((format!("{prefix}_ADDR"), ip.clone()));
        variables.push((prefix, url));
    }
    variables
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
