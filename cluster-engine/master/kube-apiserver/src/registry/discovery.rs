//! `endpointslices`.

mod validate;

use serde_json::Value;

use super::print::{text, with_more};
use super::value::{Read as _, default, items_mut};
use crate::row::{Column, Resource};

pub(super) static ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    columns: &[
        Column::NAME,
        Column::string("AddressType", |slice, _| text(slice, "addressType")),
        Column::string("Ports", |slice, _| Value::String(ports(slice))),
        Column::string("Endpoints", |slice, _| Value::String(addresses(slice))),
        Column::AGE,
    ],
    default: |slice| {
        for port in items_mut(slice, "ports") {
            default(port, "name", "");
            default(port, "protocol", "TCP");
        }
    },
    validate: validate::create,
    validate_update: validate::update,
    warnings: |slice, _| {
        if slice.text("addressType") == "FQDN" {
            vec!["addressType: FQDN endpoints are deprecated".to_owned()]
        } else {
            Vec::new()
        }
    },
    generation: true,
    storage: "/registry/endpointslices",
    ..Resource::BASE
};

fn ports(slice: &Value) -> String {
    let ports = slice.items("ports");
    let shown: Vec<String> = ports
        .iter()
        .take(3)
        .map(|port| match (port.int("port"), port.at("name").as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "*".to_owned(),
        })
        .collect();
    with_more(&shown, ports.len(), "<unset>")
}

fn addresses(slice: &Value) -> String {
    let all: Vec<&str> = slice
        .items("endpoints")
        .iter()
        .flat_map(|endpoint| endpoint.items("addresses"))
        .filter_map(Value::as_str)
        .collect();
    let shown: Vec<String> = all.iter().take(3).map(|address| (*address).to_owned()).collect();
    with_more(&shown, all.len(), "<unset>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells() {
        let slice = json!({"ports": [{"port": 80}, {"name": "x"}, {}, {"port": 1}], "endpoints": [{"addresses": ["a", "b"]}, {"addresses": ["c"]}]});
        assert_eq!(ports(&slice), "80,x,* + 1 more...");
        assert_eq!(addresses(&slice), "a,b,c");
        assert_eq!(addresses(&json!({})), "<unset>");
    }
}
