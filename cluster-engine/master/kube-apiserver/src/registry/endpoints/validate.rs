//! Validation of Endpoints.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors, PROTOCOLS};
use crate::registry::value::Read as _;
use crate::row::Context;

/// ValidateEndpoints.
pub(super) fn create(endpoints: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for (index, subset) in endpoints.items("subsets").iter().enumerate() {
        let path = Path::new("subsets").index(index);
        if subset.items("addresses").is_empty() && subset.items("notReadyAddresses").is_empty() {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (index, address) in subset.items(list).iter().enumerate() {
                self::address(&mut errors, address, &path.child(list).index(index));
            }
        }
        let ports = subset.items("ports");
        for (index, port) in ports.iter().enumerate() {
            let path = path.child("ports").index(index);
            match port.text("name") {
                "" if ports.len() > 1 => errors.push(FieldError::required(&path.child("name"), "")),
                "" => {}
                name => check::dns_label(&mut errors, &path.child("name"), name),
            }
            check::port_number(&mut errors, &path.child("port"), port.int("port").unwrap_or(0));
            check::one_of(&mut errors, port, &path, "protocol", PROTOCOLS);
            if let Some(protocol) = port.at("appProtocol").as_str() {
                check::qualified_name(&mut errors, &path.child("appProtocol"), protocol);
            }
        }
    }
    errors
}

fn address(errors: &mut Errors, address: &Value, path: &Path) {
    let ip = address.text("ip");
    check::ip(errors, &path.child("ip"), ip);
    if !address.text("hostname").is_empty() {
        check::dns_label(errors, &path.child("hostname"), address.text("hostname"));
    }
    if let Some(node) = address.at("nodeName").as_str() {
        check::dns_subdomain(errors, &path.child("nodeName"), node);
    }
    check::non_special_ip(errors, &path.child("ip"), ip);
}

/// ValidateEndpointsUpdate.
pub(super) fn update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    create(new, context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::endpoints::ENDPOINTS;

    #[test]
    fn subsets() {
        let context =
            Context { resource: &ENDPOINTS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let object = json!({"subsets": [{}, {"addresses": [{"ip": "169.254.1.1"}], "ports": [{"port": 1, "protocol": "TCP"}, {"name": "a", "port": 2, "protocol": "TCP"}]}]});
        assert_eq!(
            texts(&create(&object, &context)),
            [
                "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
                r#"subsets[1].addresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)"#,
                "subsets[1].ports[0].name: Required value",
            ]
        );
    }
}
