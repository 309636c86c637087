//! `endpoints`.

mod validate;

use serde_json::Value;

use super::print::with_more;
use super::value::{Read as _, default_text, items_mut};
use crate::row::{Column, Resource};

pub(super) static ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    columns: &[Column::NAME, Column::string("Endpoints", |object, _| Value::String(addresses(object))), Column::AGE],
    default: |endpoints| {
        for subset in items_mut(endpoints, "subsets") {
            for port in items_mut(subset, "ports") {
                default_text(port, "protocol", "TCP");
            }
        }
    },
    validate: validate::create,
    validate_update: validate::update,
    warnings: |_, _| vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()],
    create_on_update: true,
    storage: "/registry/services/endpoints",
    ..Resource::BASE
};

/// Up to three `ip:port`, and how many more there are.
fn addresses(endpoints: &Value) -> String {
    let subsets = endpoints.items("subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let ips = subset.items("addresses").iter().map(|address| address.text("ip"));
        let ports = subset.items("ports");
        if ports.is_empty() {
            all.extend(ips.clone().map(str::to_owned));
        }
        for port in ports {
            let port = port.int("port").unwrap_or(0);
            all.extend(
                ips.clone().map(|ip| if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }),
            );
        }
    }
    let total = all.len();
    all.truncate(3);
    with_more(&all, total, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn three_are_shown() {
        #[track_caller]
        fn check(subsets: Value, expected: &str) {
            assert_eq!(addresses(&json!({ "subsets": subsets })), expected);
        }
        check(json!(null), "<none>");
        check(json!([{"addresses": [{"ip": "10.0.0.1"}]}]), "10.0.0.1");
        check(json!([{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]), "");
        check(
            json!([{"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 81}]}]),
            "10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 1 more...",
        );
    }
}
