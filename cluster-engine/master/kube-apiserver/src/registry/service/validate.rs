//! Validation of Services.

use std::net::IpAddr;

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::strategy::{externally_accessible, needs_health_check};
use crate::registry::check::{self, Errors, PROTOCOLS};
use crate::registry::value::{Read as _, annotation, same};
use crate::row::Context;

fn headless(spec: &Value) -> bool {
    matches!(spec.items("clusterIPs"), [only] if only == "None")
}

/// ValidateService.
pub(super) fn create(service: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = service.at("spec");
    let path = Path::new("spec");
    let kind = spec.text("type");
    let list = spec.items("ports");
    if list.is_empty() && !headless(spec) && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless(spec) => errors.push(FieldError::invalid(
            &path.child("clusterIPs").index(0),
            "None",
            format!("may not be set to 'None' for {kind} services"),
        )),
        "ExternalName" => {
            for (key, there) in [
                ("clusterIPs", !spec.items("clusterIPs").is_empty()),
                ("ipFamilies", !spec.items("ipFamilies").is_empty()),
                ("ipFamilyPolicy", spec.has("ipFamilyPolicy")),
            ] {
                if there {
                    errors.push(FieldError::forbidden(&path.child(key), "may not be set for ExternalName services"));
                }
            }
            let name = spec.text("externalName");
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.push(FieldError::required(&path.child("externalName"), "")),
                name => check::dns_subdomain(&mut errors, &path.child("externalName"), name),
            }
        }
        _ => {}
    }
    ports(&mut errors, spec, &path);
    check::labels(&mut errors, spec.at("selector"), &path.child("selector"));
    affinity(&mut errors, spec, &path);
    cluster_addresses(&mut errors, spec, &path);
    for (index, address) in spec.items("externalIPs").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("externalIPs").index(index);
        let before = errors.len();
        check::ip(&mut errors, &path, address);
        if errors.len() == before {
            check::non_special_ip(&mut errors, &path, address);
        }
    }
    check::one_of(&mut errors, spec, &path, "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    port_numbers(&mut errors, spec, &path);
    load_balancer(&mut errors, service, spec, &path);
    traffic(&mut errors, spec, &path);
    errors
}

fn ports(errors: &mut Errors, spec: &Value, path: &Path) {
    let list = spec.items("ports");
    let mut seen = Vec::new();
    for (index, port) in list.iter().enumerate() {
        let path = path.child("ports").index(index);
        let name = port.text("name");
        if name.is_empty() {
            if list.len() > 1 {
                errors.push(FieldError::required(&path.child("name"), ""));
            }
        } else {
            check::dns_label(errors, &path.child("name"), name);
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            } else {
                seen.push(name);
            }
        }
        check::port_number(errors, &path.child("port"), port.int("port").unwrap_or(0));
        check::one_of(errors, port, &path, "protocol", PROTOCOLS);
        check::port(errors, &path.child("targetPort"), port.at("targetPort"));
        if let Some(protocol) = port.at("appProtocol").as_str() {
            check::qualified_name(errors, &path.child("appProtocol"), protocol);
        }
    }
}

fn affinity(errors: &mut Errors, spec: &Value, path: &Path) {
    check::one_of(errors, spec, path, "sessionAffinity", &["ClientIP", "None"]);
    let config = spec.at("sessionAffinityConfig");
    let own = path.child("sessionAffinityConfig");
    match spec.text("sessionAffinity") {
        "ClientIP" => {
            const WHEN: &str = "when session affinity type is ClientIP";
            if config.is_null() {
                errors.push(FieldError::required(&own, WHEN));
            } else if !config.has("clientIP") {
                errors.push(FieldError::required(&own.child("clientIP"), WHEN));
            } else {
                let path = own.child("clientIP.timeoutSeconds");
                match config.int("clientIP.timeoutSeconds") {
                    None => errors.push(FieldError::required(&path, WHEN)),
                    Some(seconds) if seconds <= 0 || seconds > 86400 => {
                        errors.push(FieldError::invalid(&path, seconds, "must be greater than 0 and less than 86400"));
                    }
                    Some(_) => {}
                }
            }
        }
        "None" if !config.is_null() => {
            errors.push(FieldError::forbidden(&own, "must not be set when session affinity is None"));
        }
        _ => {}
    }
}

/// ValidateServiceClusterIPsRelatedFields.
fn cluster_addresses(errors: &mut Errors, spec: &Value, path: &Path) {
    if spec.text("type") == "ExternalName" {
        return;
    }
    let own = path.child("clusterIPs");
    let all = spec.at("clusterIPs");
    let list: Vec<&str> = spec.items("clusterIPs").iter().filter_map(Value::as_str).collect();
    let single = spec.text("clusterIP");
    match list.first() {
        None if !single.is_empty() => errors.push(FieldError::required(&own, "")),
        Some(_) if single.is_empty() => {
            errors.push(FieldError::invalid(&own, all.clone(), "must be empty when `clusterIP` is not specified"));
        }
        Some(first) if *first != single => {
            errors.push(FieldError::invalid(&own, all.clone(), "first value must match `clusterIP`"));
        }
        _ => {}
    }
    let mut seen = Vec::new();
    for (index, family) in spec.items("ipFamilies").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("ipFamilies").index(index);
        if !matches!(family, "IPv4" | "IPv6") {
            errors.push(FieldError::not_supported(&path, family, &["IPv4", "IPv6"]));
        }
        if seen.contains(&family) {
            errors.push(FieldError::duplicate(&path, family));
        }
        seen.push(family);
    }
    check::maybe_one_of(errors, spec, path, "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    let before = errors.len();
    for (index, address) in list.iter().enumerate() {
        if index == 0 && *address == "None" {
            if list.len() > 1 {
                errors.push(FieldError::invalid(&own, all.clone(), "'None' must be the first and only value"));
            }
            continue;
        }
        check::ip(errors, &own.index(index), address);
    }
    let broken = errors.len() > before;
    if list.len() > 2 {
        errors.push(FieldError::invalid(&own, all.clone(), "may only hold up to 2 values"));
    }
    if broken {
        return;
    }
    let six = |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
    if list.len() > 1 && list.iter().filter(|address| six(address)).count() != 1 {
        errors.push(FieldError::invalid(&own, all.clone(), "may specify no more than one IP for each IP family"));
    }
    if headless(spec) {
        return;
    }
    for (index, (address, family)) in list.iter().zip(spec.items("ipFamilies")).enumerate() {
        let family = family.as_str().unwrap_or("");
        if family == "IPv4" && six(address) || family == "IPv6" && !six(address) {
            errors.push(FieldError::invalid(
                &own.index(index),
                *address,
                format!("expected an {family} value as indicated by `ipFamilies[{index}]`"),
            ));
        }
    }
}

fn port_numbers(errors: &mut Errors, spec: &Value, path: &Path) {
    let list = spec.items("ports");
    let node_port = |port: &Value| port.int("nodePort").unwrap_or(0);
    if spec.text("type") == "ClusterIP" {
        for (index, port) in list.iter().enumerate() {
            if node_port(port) != 0 {
                errors.push(FieldError::forbidden(
                    &path.child("ports").index(index).child("nodePort"),
                    "may not be used when `type` is 'ClusterIP'",
                ));
            }
        }
    }
    let mut seen = Vec::new();
    for (index, port) in list.iter().enumerate().filter(|(_, port)| node_port(port) != 0) {
        let key = (port.text("protocol"), node_port(port));
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(&path.child("ports").index(index).child("nodePort"), key.1));
        }
        seen.push(key);
    }
    let mut seen = Vec::new();
    for (index, port) in list.iter().enumerate() {
        let key = (port.text("protocol"), port.int("port").unwrap_or(0));
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(
                &path.child("ports").index(index),
                serde_json::json!({ "port": key.1, "protocol": key.0 }),
            ));
        }
        seen.push(key);
    }
}

fn load_balancer(errors: &mut Errors, service: &Value, spec: &Value, path: &Path) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let balanced = spec.text("type") == "LoadBalancer";
    let ranges = spec.items("loadBalancerSourceRanges");
    if !ranges.is_empty() {
        let path = path.child("LoadBalancerSourceRanges");
        if !balanced {
            errors.push(FieldError::forbidden(&path, ONLY));
        }
        for (index, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
            check::cidr(errors, &path.index(index), range.trim());
        }
    } else if let Some(ranges) = annotation(service, RANGES) {
        let path = Path::new("metadata.annotations").key(RANGES);
        if !balanced {
            errors.push(FieldError::forbidden(&path, ONLY));
        }
        for range in ranges.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            check::cidr(errors, &path, range);
        }
    }
    if !balanced && spec.has("allocateLoadBalancerNodePorts") {
        errors.push(FieldError::forbidden(&path.child("allocateLoadBalancerNodePorts"), ONLY));
    }
    if balanced && !spec.has("allocateLoadBalancerNodePorts") {
        errors.push(FieldError::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
    }
    if let Some(class) = spec.at("loadBalancerClass").as_str() {
        let path = path.child("loadBalancerClass");
        if balanced {
            check::qualified_name(errors, &path, class);
        } else {
            errors.push(FieldError::forbidden(&path, ONLY));
        }
    }
}

fn traffic(errors: &mut Errors, spec: &Value, path: &Path) {
    let external = spec.text("externalTrafficPolicy");
    if externally_accessible(spec) {
        check::one_of(errors, spec, path, "externalTrafficPolicy", &["Cluster", "Local"]);
    } else if !external.is_empty() {
        errors.push(FieldError::invalid(
            &path.child("externalTrafficPolicy"),
            external,
            "may only be set for externally-accessible services",
        ));
    }
    // The number itself is given by the allocator, after this check.
    match spec.int("healthCheckNodePort").unwrap_or(0) {
        0 => {}
        port if needs_health_check(spec) => check::port_number(errors, &path.child("healthCheckNodePort"), port),
        port => errors.push(FieldError::invalid(
            &path.child("healthCheckNodePort"),
            port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )),
    }
    if !spec.has("internalTrafficPolicy") {
        if matches!(spec.text("type"), "NodePort" | "LoadBalancer" | "ClusterIP") {
            errors.push(FieldError::required(&path.child("internalTrafficPolicy"), ""));
        }
    } else {
        check::maybe_one_of(errors, spec, path, "internalTrafficPolicy", &["Cluster", "Local"]);
    }
    const DISTRIBUTION: &[&str] = &["PreferClose", "PreferSameNode", "PreferSameZone"];
    check::maybe_one_of(errors, spec, path, "trafficDistribution", DISTRIBUTION);
}

/// ValidateServiceUpdate.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let (spec, before) = (new.at("spec"), old.at("spec"));
    let outside = [spec, before].iter().any(|spec| spec.text("type") == "ExternalName");
    if !outside {
        if !(headless(spec) && headless(before)) {
            changed_list(&mut errors, spec, before, "clusterIPs", "clusterIP");
        }
        if !headless(spec) && !headless(before) {
            changed_list(&mut errors, spec, before, "ipFamilies", "ipFamily");
        }
    }
    let balanced = |spec: &Value| spec.text("type") == "LoadBalancer";
    if balanced(spec) && balanced(before) && !same(spec.at("loadBalancerClass"), before.at("loadBalancerClass")) {
        errors.push(FieldError::invalid(
            &Path::new("spec.loadBalancerClass"),
            spec.at("loadBalancerClass").clone(),
            "may not change once set",
        ));
    }
    if needs_health_check(spec)
        && needs_health_check(before)
        && before.int("healthCheckNodePort").unwrap_or(0) != 0
        && spec.int("healthCheckNodePort") != before.int("healthCheckNodePort")
    {
        errors.push(FieldError::forbidden(&Path::new("spec.healthCheckNodePort"), check::IMMUTABLE));
    }
    errors.extend(create(new, context));
    errors
}

/// The first of the list is fixed; a second may come and go.
fn changed_list(errors: &mut Errors, spec: &Value, before: &Value, key: &str, single: &str) {
    let (now, was) = (spec.items(key), before.items(key));
    let path = Path::new("spec").child(key);
    let all = spec.at(key).clone();
    if now.len() == was.len() {
        for (index, (now, was)) in now.iter().zip(was).enumerate() {
            if now != was {
                let index = if key == "clusterIPs" { index } else { 0 };
                errors.push(FieldError::invalid(&path.index(index), all.clone(), "may not change once set"));
            }
        }
        return;
    }
    if now.len() < was.len() && now.is_empty() {
        errors.push(FieldError::invalid(&path.index(0), all.clone(), format!("primary {single} can not be unset")));
    }
    if let (Some(now), Some(was)) = (now.first(), was.first())
        && now != was
    {
        errors.push(FieldError::invalid(&path.index(0), all, "may not change once set"));
    }
    if now.len() < was.len() && now.len() == 1 && spec.text("ipFamilyPolicy") != "SingleStack" {
        errors.push(FieldError::invalid(
            &Path::new("spec.ipFamilyPolicy"),
            spec.at("ipFamilyPolicy").clone(),
            format!("must be set to 'SingleStack' when releasing the secondary {single}"),
        ));
    }
}

/// ValidateServiceStatusUpdate.
pub(super) fn status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    ingress(&mut errors, new, new.text("spec.type") == "LoadBalancer", true);
    errors
}

/// `status.loadBalancer.ingress` of Services and Ingresses.
pub(in crate::registry) fn ingress(errors: &mut Errors, object: &Value, allowed: bool, modes: bool) {
    let path = Path::new("status.loadBalancer.ingress");
    let list = object.items("status.loadBalancer.ingress");
    if !allowed && !list.is_empty() {
        errors.push(FieldError::forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    for (index, ingress) in list.iter().enumerate() {
        let path = path.index(index);
        let address = ingress.text("ip");
        if !address.is_empty() {
            check::ip(errors, &path.child("ip"), address);
        }
        if modes {
            match ingress.at("ipMode").as_str() {
                None if !address.is_empty() => {
                    errors.push(FieldError::required(&path.child("ipMode"), "must be specified when `ip` is set"));
                }
                Some(_) if address.is_empty() => {
                    errors.push(FieldError::forbidden(
                        &path.child("ipMode"),
                        "may not be specified when `ip` is not set",
                    ));
                }
                Some(mode) if !matches!(mode, "VIP" | "Proxy") => {
                    errors.push(FieldError::not_supported(&path.child("ipMode"), mode, &["Proxy", "VIP"]));
                }
                _ => {}
            }
        }
        let name = ingress.text("hostname");
        if !name.is_empty() {
            check::dns_subdomain(errors, &path.child("hostname"), name);
            if name.parse::<IpAddr>().is_ok() {
                errors.push(FieldError::invalid(
                    &path.child("hostname"),
                    name,
                    "must be a DNS name, not an IP address",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::service::SERVICES;

    fn context() -> Context<'static> {
        Context { resource: &SERVICES, namespace: "default", user: "u", groups: &[], subresource: None, now: "" }
    }

    fn made(spec: Value) -> Value {
        let mut service = json!({"metadata": {"name": "s"}, "spec": spec});
        (SERVICES.default)(&mut service);
        (SERVICES.prepare_create)(&mut service, &context());
        service
    }

    #[track_caller]
    fn check(spec: Value, expected: &[&str]) {
        assert_eq!(texts(&create(&made(spec), &context())), expected);
    }

    #[test]
    fn creation() {
        check(json!({"ports": [{"port": 80}]}), &[]);
        check(json!({}), &["spec.ports: Required value"]);
        check(json!({"clusterIP": "None"}), &[]);
        check(
            json!({"ports": [{"port": 80}, {"port": 80, "name": "x"}, {"port": 0, "name": "x", "protocol": "X"}]}),
            &[
                "spec.ports[0].name: Required value",
                r#"spec.ports[2].name: Duplicate value: "x""#,
                "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                r#"spec.ports[2].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP""#,
                "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                r#"spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}"#,
            ],
        );
        check(json!({"type": "ExternalName"}), &["spec.externalName: Required value"]);
        check(json!({"type": "ExternalName", "externalName": "x.example."}), &[]);
        check(
            json!({"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]}),
            &[r#"spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services"#],
        );
        check(
            json!({"clusterIP": "x", "ports": [{"port": 80, "nodePort": 30000}], "externalTrafficPolicy": "Local"}),
            &[
                r#"spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
                r#"spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services"#,
            ],
        );
        check(
            json!({"type": "Cloud", "ports": [{"port": 80}], "sessionAffinity": "Sticky"}),
            &[
                r#"spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None""#,
                r#"spec.type: Unsupported value: "Cloud": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#,
            ],
        );
    }

    #[test]
    fn addresses_are_fixed() {
        let old = made(json!({"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}));
        let new = made(json!({"clusterIP": "10.96.0.6", "ports": [{"port": 80}]}));
        assert_eq!(
            texts(&update(&new, &old, &context())),
            [r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set"#]
        );
    }
}
