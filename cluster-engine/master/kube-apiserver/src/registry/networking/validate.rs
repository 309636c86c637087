//! Validation of `networking.k8s.io`.

use std::net::IpAddr;

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::batch::domain_path;
use crate::registry::check::{self, Errors, PROTOCOLS};
use crate::registry::value::{Read as _, same};
use crate::row::Context;

/// ValidateIngressSpec.
pub(super) fn ingress(ingress: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = ingress.at("spec");
    let path = Path::new("spec");
    let list = spec.items("rules");
    if list.is_empty() && !spec.has("defaultBackend") {
        errors.push(FieldError::invalid(
            &path,
            spec.at("rules").clone(),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if spec.has("defaultBackend") {
        backend(&mut errors, spec.at("defaultBackend"), &path.child("defaultBackend"));
    }
    for (index, rule) in list.iter().enumerate() {
        let path = path.child("rules").index(index);
        let host = rule.text("host");
        if !host.is_empty() {
            let path = path.child("host");
            if host.parse::<IpAddr>().is_ok() {
                errors.push(FieldError::invalid(&path, host, "must be a DNS name, not an IP address"));
            }
            host_name(&mut errors, host, &path);
        }
        if rule.has("http") {
            let path = path.child("http.paths");
            let paths = rule.items("http.paths");
            if paths.is_empty() {
                errors.push(FieldError::required(&path, ""));
            }
            for (index, entry) in paths.iter().enumerate() {
                http_path(&mut errors, entry, &path.index(index));
            }
        }
    }
    for (index, tls) in spec.items("tls").iter().enumerate() {
        let path = path.child("tls").index(index);
        for (index, host) in tls.items("hosts").iter().filter_map(Value::as_str).enumerate() {
            host_name(&mut errors, host, &path.child("hosts").index(index));
        }
        if !tls.text("secretName").is_empty() {
            check::dns_subdomain(&mut errors, &path.child("secretName"), tls.text("secretName"));
        }
    }
    if let Some(class) = spec.at("ingressClassName").as_str() {
        check::dns_subdomain(&mut errors, &path.child("ingressClassName"), class);
    }
    errors
}

/// ValidateIngressCreate: the old annotation and the field may not both be there.
pub(super) fn ingress_create(object: &Value, context: &Context<'_>) -> Errors {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let mut errors = ingress(object, context);
    if let Some(class) = crate::registry::value::annotation(object, CLASS)
        && object.has("spec.ingressClassName")
        && class != object.text("spec.ingressClassName")
    {
        errors.push(FieldError::invalid(
            &Path::new("metadata.annotations").child(CLASS),
            class,
            "must match `ingressClassName` when both are specified",
        ));
    }
    errors
}

/// ValidateIngressUpdate.
pub(super) fn ingress_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    ingress(new, context)
}

/// ValidateIngressStatusUpdate.
pub(super) fn ingress_status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    crate::registry::service::ingress(&mut errors, new, true, false);
    errors
}

fn host_name(errors: &mut Errors, host: &str, path: &Path) {
    let messages =
        if host.contains('*') { names::is_wildcard_dns1123_subdomain(host) } else { names::is_dns1123_subdomain(host) };
    check::each(errors, path, host, messages);
}

fn http_path(errors: &mut Errors, entry: &Value, path: &Path) {
    let target = entry.text("path");
    let own = path.child("path");
    match entry.at("pathType").as_str() {
        None => errors.push(FieldError::required(&path.child("pathType"), "pathType must be specified")),
        Some("Exact" | "Prefix") => {
            if !target.starts_with('/') {
                errors.push(FieldError::invalid(&own, target, "must be an absolute path"));
            }
            if !target.is_empty() {
                for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                    if target.contains(bad) {
                        errors.push(FieldError::invalid(&own, target, format!("must not contain '{bad}'")));
                    }
                }
                for bad in ["/..", "/."] {
                    if target.ends_with(bad) {
                        errors.push(FieldError::invalid(&own, target, format!("cannot end with '{bad}'")));
                    }
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !target.is_empty() && !target.starts_with('/') {
                errors.push(FieldError::invalid(&own, target, "must be an absolute path"));
            }
        }
        Some(other) => errors.push(FieldError::not_supported(
            &path.child("pathType"),
            other,
            &["Exact", "ImplementationSpecific", "Prefix"],
        )),
    }
    backend(errors, entry.at("backend"), &path.child("backend"));
}

fn backend(errors: &mut Errors, backend: &Value, path: &Path) {
    match (backend.has("resource"), backend.has("service")) {
        (true, true) => {
            errors.push(FieldError::invalid(path, "", "cannot set both resource and service backends"));
        }
        (true, false) => {
            let (resource, path) = (backend.at("resource"), path.child("resource"));
            for key in ["kind", "name"] {
                if check::required(errors, resource, &path, key) {
                    let text = resource.text(key);
                    check::each(errors, &path.child(key), text, names::is_path_segment_name(text));
                }
            }
        }
        (false, true) => {
            let service = backend.at("service");
            let own = path.child("service");
            if check::required(errors, service, &own, "name") {
                let name = service.text("name");
                check::each(errors, &own.child("name"), name, names::is_dns1035_label(name));
            }
            let (name, number) = (service.text("port.name"), service.int("port.number").unwrap_or(0));
            match (name, number) {
                ("", 0) => errors.push(FieldError::required(path, "port name or number is required")),
                ("", number) => check::port_number(errors, &own.child("port.number"), number),
                (name, 0) => check::each(errors, &own.child("port.name"), name, names::is_port_name(name)),
                _ => errors.push(FieldError::invalid(path, "", "cannot set both port name & port number")),
            }
        }
        (false, false) => errors.push(FieldError::invalid(path, "", "resource or service backend is required")),
    }
}

/// ValidateIngressClass.
pub(super) fn class(class: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let controller = class.text("spec.controller");
    let path = Path::new("spec.controller");
    if controller.len() > 250 {
        errors.push(FieldError::too_long(&path, 250));
    }
    domain_path(&mut errors, controller, &path);
    let parameters = class.at("spec.parameters");
    if !parameters.is_null() {
        let path = Path::new("spec.parameters");
        for key in ["kind", "name"] {
            if check::required(&mut errors, parameters, &path, key) {
                let text = parameters.text(key);
                check::each(&mut errors, &path.child(key), text, names::is_path_segment_name(text));
            }
        }
        if let Some(group) = parameters.at("apiGroup").as_str() {
            check::dns_subdomain(&mut errors, &path.child("apiGroup"), group);
        }
        match parameters.text("scope") {
            "" => errors.push(FieldError::required(&path.child("scope"), "")),
            "Namespace" => {
                if check::required(&mut errors, parameters, &path, "namespace") {
                    check::dns_label(&mut errors, &path.child("namespace"), parameters.text("namespace"));
                }
            }
            "Cluster" => {
                if parameters.has("namespace") {
                    errors.push(FieldError::forbidden(
                        &path.child("namespace"),
                        "`parameters.scope` is set to 'Cluster'",
                    ));
                }
            }
            other => {
                errors.push(FieldError::not_supported(&path.child("scope"), other, &["Cluster", "Namespace"]));
            }
        }
    }
    errors
}

/// ValidateIngressClassUpdate.
pub(super) fn class_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = class(new, context);
    check::immutable(&mut errors, new.at("spec.controller"), old.at("spec.controller"), &Path::new("spec.controller"));
    errors
}

/// ValidateNetworkPolicySpec.
pub(super) fn policy(policy: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = policy.at("spec");
    let path = Path::new("spec");
    check::label_selector(&mut errors, spec.at("podSelector"), &path.child("podSelector"));
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec.items(direction).iter().enumerate() {
            let path = path.child(direction).index(index);
            for (index, port) in rule.items("ports").iter().enumerate() {
                policy_port(&mut errors, port, &path.child("ports").index(index));
            }
            for (index, peer) in rule.items(peers).iter().enumerate() {
                self::peer(&mut errors, peer, &path.child(peers).index(index));
            }
        }
    }
    let types = spec.items("policyTypes");
    if types.len() > 2 {
        errors.push(FieldError::invalid(
            &path.child("policyTypes"),
            spec.at("policyTypes").clone(),
            "may not specify more than two policyTypes",
        ));
        return errors;
    }
    for (index, kind) in types.iter().filter_map(Value::as_str).enumerate() {
        if !matches!(kind, "Ingress" | "Egress") {
            errors.push(FieldError::not_supported(
                &path.child("policyTypes").index(index),
                kind,
                &["Egress", "Ingress"],
            ));
        }
    }
    errors
}

fn policy_port(errors: &mut Errors, port: &Value, path: &Path) {
    check::maybe_one_of(errors, port, path, "protocol", PROTOCOLS);
    let number = port.at("port");
    let end = port.int("endPort");
    match number {
        Value::Null => {
            if let Some(end) = end {
                errors.push(FieldError::required(&path.child("port"), "must be specified when `endPort` is specified"));
                check::port_number(errors, &path.child("endPort"), end);
            }
        }
        Value::String(name) => {
            if let Some(end) = end {
                errors.push(FieldError::invalid(
                    &path.child("endPort"),
                    end,
                    "may not be specified when `port` is non-numeric",
                ));
            }
            check::each(errors, &path.child("port"), name, names::is_port_name(name));
        }
        number => {
            let number = number.as_i64().unwrap_or(0);
            check::port_number(errors, &path.child("port"), number);
            if let Some(end) = end {
                if end < number {
                    errors.push(FieldError::invalid(
                        &path.child("endPort"),
                        end,
                        "must be greater than or equal to `port`",
                    ));
                }
                check::port_number(errors, &path.child("endPort"), end);
            }
        }
    }
}

fn peer(errors: &mut Errors, peer: &Value, path: &Path) {
    let mut count = 0;
    for key in ["podSelector", "namespaceSelector"] {
        if peer.has(key) {
            count += 1;
            check::label_selector(errors, peer.at(key), &path.child(key));
        }
    }
    if peer.has("ipBlock") {
        if count > 0 {
            errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
        }
        count += 1;
        block(errors, peer.at("ipBlock"), &path.child("ipBlock"));
    }
    if count == 0 {
        errors.push(FieldError::required(path, "must specify a peer"));
    }
}

fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    Some((address.parse().ok()?, bits.parse().ok()?))
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// Whether `inner` is a strict subset of `outer`.
fn within(outer: (IpAddr, u8), inner: (IpAddr, u8)) -> bool {
    let ((outer_bits, family), (inner_bits, inner_family)) = (bits(outer.0), bits(inner.0));
    let prefix = |value: u128| value.checked_shr(128 - u32::from(outer.1)).unwrap_or(0);
    family == inner_family && inner.1 > outer.1 && prefix(outer_bits) == prefix(inner_bits)
}

fn block(errors: &mut Errors, block: &Value, path: &Path) {
    if !check::required(errors, block, path, "cidr") {
        return;
    }
    let before = errors.len();
    check::cidr(errors, &path.child("cidr"), block.text("cidr"));
    if errors.len() > before {
        return;
    }
    let Some(outer) = parse_cidr(block.text("cidr")) else { return };
    for (index, except) in block.items("except").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("except").index(index);
        let before = errors.len();
        check::cidr(errors, &path, except);
        if errors.len() == before && parse_cidr(except).is_some_and(|inner| !within(outer, inner)) {
            errors.push(FieldError::invalid(&path, except, "must be a strict subset of `cidr`"));
        }
    }
}

/// ValidateNetworkPolicyUpdate.
pub(super) fn policy_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    policy(new, context)
}

/// Names of IPAddresses are addresses in canonical form.
pub(super) fn address_name(name: &str, _: bool) -> Vec<String> {
    match name.parse::<IpAddr>() {
        Ok(address) if address.to_string() == name => Vec::new(),
        _ => vec!["must be a valid IP address in canonical form".to_owned()],
    }
}

/// ValidateIPAddress.
pub(super) fn address(address: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let parent = address.at("spec.parentRef");
    let path = Path::new("spec.parentRef");
    if parent.is_null() {
        errors.push(FieldError::required(&path, ""));
        return errors;
    }
    if !parent.text("group").is_empty() {
        check::dns_subdomain(&mut errors, &path.child("group"), parent.text("group"));
    }
    for key in ["resource", "name"] {
        if check::required(&mut errors, parent, &path, key) {
            let text = parent.text(key);
            check::each(&mut errors, &path.child(key), text, names::is_path_segment_name(text));
        }
    }
    errors
}

/// ValidateIPAddressUpdate.
pub(super) fn address_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec.parentRef");
    check::immutable(&mut errors, new.at("spec.parentRef"), old.at("spec.parentRef"), &path);
    errors
}

/// ValidateServiceCIDR.
pub(super) fn service_cidr(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec.cidrs");
    let list: Vec<&str> = object.items("spec.cidrs").iter().filter_map(Value::as_str).collect();
    if list.is_empty() {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
        return errors;
    }
    if list.len() > 2 {
        errors.push(FieldError::invalid(&path, object.at("spec").clone(), "may only hold up to 2 values"));
        return errors;
    }
    for (index, range) in list.iter().enumerate() {
        check::cidr(&mut errors, &path.index(index), range);
    }
    if list.len() == 2 && list[0].contains(':') == list[1].contains(':') {
        errors.push(FieldError::invalid(
            &path,
            object.at("spec").clone(),
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        ));
    }
    errors
}

/// ValidateServiceCIDRUpdate.
pub(super) fn service_cidr_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if !same(new.at("spec.cidrs"), old.at("spec.cidrs")) {
        check::immutable(&mut errors, new.at("spec.cidrs"), old.at("spec.cidrs"), &Path::new("spec.cidrs"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::networking::{INGRESSES, NETWORK_POLICIES};

    fn context() -> Context<'static> {
        Context { resource: &INGRESSES, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn ingresses() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&ingress(&json!({ "spec": spec }), &context())), expected);
        }
        check(json!({}), &[r#"spec: Invalid value: "null": either `defaultBackend` or `rules` must be specified"#]);
        check(
            json!({"rules": [{"host": "1.2.3.4", "http": {"paths": [{"path": "x", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {}}}}, {"path": "/", "backend": {}}]}}]}),
            &[
                r#"spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address"#,
                r#"spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path"#,
                "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
                "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified",
                r#"spec.rules[0].http.paths[1].backend: Invalid value: "": resource or service backend is required"#,
            ],
        );
    }

    #[test]
    fn policies() {
        let mut object = json!({"spec": {"ingress": [{"from": [{}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "11.0.0.0/16"]}, "podSelector": {}}], "ports": [{"port": 80, "endPort": 70}]}]}});
        (NETWORK_POLICIES.default)(&mut object);
        assert_eq!(object["spec"]["policyTypes"], json!(["Ingress"]));
        assert_eq!(
            texts(&policy(&object, &context())),
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
                "spec.ingress[0].from[0]: Required value: must specify a peer",
                "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
                r#"spec.ingress[0].from[1].ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`"#,
            ]
        );
    }
}
