//! Validation of EndpointSlices.

use std::net::IpAddr;

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors, PROTOCOLS};
use crate::registry::value::Read as _;
use crate::row::Context;

/// ValidateEndpointSlice.
pub(super) fn create(slice: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let kind = slice.text("addressType");
    if kind.is_empty() {
        errors.push(FieldError::required(&Path::new("addressType"), ""));
    } else if !matches!(kind, "FQDN" | "IPv4" | "IPv6") {
        errors.push(FieldError::not_supported(&Path::new("addressType"), kind, &["FQDN", "IPv4", "IPv6"]));
    }
    let endpoints = slice.items("endpoints");
    if endpoints.len() > 1000 {
        errors.push(FieldError::too_many(&Path::new("endpoints"), endpoints.len(), 1000));
        return errors;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        self::endpoint(&mut errors, endpoint, kind, &Path::new("endpoints").index(index));
    }
    ports(&mut errors, slice);
    errors
}

fn endpoint(errors: &mut Errors, endpoint: &Value, kind: &str, path: &Path) {
    let addresses: Vec<&str> = endpoint.items("addresses").iter().filter_map(Value::as_str).collect();
    let own = path.child("addresses");
    if addresses.is_empty() {
        errors.push(FieldError::required(&own, "must contain at least 1 address"));
    } else if addresses.len() > 100 {
        errors.push(FieldError::too_many(&own, addresses.len(), 100));
    }
    for (index, address) in addresses.iter().enumerate() {
        let path = own.index(index);
        match kind {
            "IPv4" | "IPv6" => {
                let parsed = address.parse::<IpAddr>();
                let fits = parsed.is_ok_and(|parsed| parsed.is_ipv4() == (kind == "IPv4"));
                if !fits {
                    let article = format!("must be an {kind} address");
                    errors.push(FieldError::invalid(&path, *address, article));
                }
                check::non_special_ip(errors, &path, address);
            }
            "FQDN" => check::dns_subdomain(errors, &path, address.strip_suffix('.').unwrap_or(address)),
            _ => {}
        }
    }
    if let Some(node) = endpoint.at("nodeName").as_str() {
        check::dns_subdomain(errors, &path.child("nodeName"), node);
    }
    let topology = endpoint.strings("deprecatedTopology");
    if topology.len() > 16 {
        errors.push(FieldError::too_many(&path.child("deprecatedTopology"), topology.len(), 16));
    }
    if let Some(name) = endpoint.at("hostname").as_str() {
        check::dns_label(errors, &path.child("hostname"), name);
    }
    let zones = endpoint.items("hints.forZones");
    if zones.len() > 8 {
        errors.push(FieldError::too_many(&path.child("hints.forZones"), zones.len(), 8));
    }
}

fn ports(errors: &mut Errors, slice: &Value) {
    let ports = slice.items("ports");
    if ports.len() > 20000 {
        errors.push(FieldError::too_many(&Path::new("ports"), ports.len(), 20000));
        return;
    }
    let mut seen = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = Path::new("ports").index(index);
        let name = port.text("name");
        if !name.is_empty() {
            check::dns_label(errors, &path.child("name"), name);
        }
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        seen.push(name);
        check::one_of(errors, port, &path, "protocol", PROTOCOLS);
        if let Some(number) = port.int("port") {
            check::port_number(errors, &path.child("port"), number);
        }
        if let Some(protocol) = port.at("appProtocol").as_str() {
            check::qualified_name(errors, &path.child("appProtocol"), protocol);
        }
    }
}

/// ValidateEndpointSliceUpdate.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = create(new, context);
    check::immutable(&mut errors, new.at("addressType"), old.at("addressType"), &Path::new("addressType"));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::discovery::ENDPOINT_SLICES;

    #[test]
    fn slices() {
        let context =
            Context { resource: &ENDPOINT_SLICES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut object = json!({"addressType": "IPv4", "endpoints": [{"addresses": []}, {"addresses": ["fd00::1"]}], "ports": [{"port": 80}, {"port": 81}]});
        (ENDPOINT_SLICES.default)(&mut object);
        assert_eq!(object["ports"][0], json!({"port": 80, "name": "", "protocol": "TCP"}));
        assert_eq!(
            texts(&create(&object, &context)),
            [
                "endpoints[0].addresses: Required value: must contain at least 1 address",
                r#"endpoints[1].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address"#,
                r#"ports[1].name: Duplicate value: """#,
            ]
        );
    }
}
