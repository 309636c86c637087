//! Whether an APIService can be used: from its Service and endpoints to the condition `Available`. Pure.

use drydock_api::meta;
use serde_json::{Value, json};

use crate::custom::definition::set;
use crate::registry::Read as _;

/// What the condition shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    available: bool,
    reason: &'static str,
    message: String,
}

impl Finding {
    pub(super) fn local() -> Self {
        Self { available: true, reason: "Local", message: "Local APIServices are always available".to_owned() }
    }

    pub(super) fn passed() -> Self {
        Self { available: true, reason: "Passed", message: "all checks passed".to_owned() }
    }

    pub(super) fn failed(reason: &'static str, message: String) -> Self {
        Self { available: false, reason, message }
    }
}

/// The APIService with its condition, if that is another.
pub(super) fn with_condition(object: &Value, finding: &Finding, now: &str) -> Option<Value> {
    let mut new = object.clone();
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    let status = if finding.available { "True" } else { "False" };
    set(&mut new["status"], "Available", status, finding.reason, &finding.message, now);
    (new["status"] != object["status"]).then_some(new)
}

/// An address that answers for a Service's port.
///
/// # Errors
/// What upstream's condition says when there is none.
pub(super) fn endpoint(
    service: Option<&Value>,
    slices: &[Value],
    (namespace, name, port): (&str, &str, u16),
    pick: usize,
) -> Result<(String, u16), Finding> {
    let quoted = drydock_api::go_quote(namespace);
    let service = service
        .ok_or_else(|| Finding::failed("ServiceNotFound", format!("service/{name} in {quoted} is not present")))?;
    let ports = service.items("spec.ports");
    let found = ports.iter().find(|own| own.int("port") == Some(i64::from(port)));
    let found = found.ok_or_else(|| {
        Finding::failed("ServicePortError", format!("service/{name} in {quoted} is not listening on port {port}"))
    })?;
    let port_name = found.text("name");
    let own: Vec<&Value> =
        slices.iter().filter(|slice| meta::label(slice, "kubernetes.io/service-name") == Some(name)).collect();
    if own.is_empty() {
        let text = format!("cannot find endpointslices for service/{name} in {quoted}");
        return Err(Finding::failed("EndpointsNotFound", text));
    }
    let mut addresses = Vec::new();
    for slice in own {
        let port =
            slice.items("ports").iter().find(|own| own.text("name") == port_name).and_then(|own| own.int("port"));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        for endpoint in slice.items("endpoints") {
            let ready = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
            if let (true, Some(address)) = (ready, endpoint["addresses"][0].as_str()) {
                addresses.push((address.to_owned(), port));
            }
        }
    }
    if addresses.is_empty() {
        let text = format!(
            "endpoints for service/{name} in {quoted} have no addresses with port name {}",
            drydock_api::go_quote(port_name)
        );
        return Err(Finding::failed("MissingEndpoints", text));
    }
    let index = pick % addresses.len();
    Ok(addresses.swap_remove(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(service: Option<Value>, slices: &[Value], expected: Result<(&str, u16), &str>) {
        let found = endpoint(service.as_ref(), slices, ("n", "s", 443), 0);
        let found = found.map_err(|finding| format!("{}: {}", finding.reason, finding.message));
        assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port)).map_err(str::to_owned));
    }

    #[test]
    fn a_service_leads_to_its_endpoints() {
        let service = || Some(json!({"spec": {"ports": [{"name": "https", "port": 443}]}}));
        let slice = |ready: bool| {
            json!({"metadata": {"labels": {"kubernetes.io/service-name": "s"}}, "ports": [{"name": "https", "port": 8443}],
                "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]})
        };
        check(None, &[], Err("ServiceNotFound: service/s in \"n\" is not present"));
        check(
            Some(json!({"spec": {"ports": []}})),
            &[],
            Err("ServicePortError: service/s in \"n\" is not listening on port 443"),
        );
        check(service(), &[], Err("EndpointsNotFound: cannot find endpointslices for service/s in \"n\""));
        check(
            service(),
            &[slice(false)],
            Err("MissingEndpoints: endpoints for service/s in \"n\" have no addresses with port name \"https\""),
        );
        check(service(), &[slice(true)], Ok(("10.0.0.1", 8443)));
    }

    #[test]
    fn a_condition_is_written_once() {
        let object = json!({"metadata": {"name": "v1.g"}, "spec": {}});
        let first = with_condition(&object, &Finding::local(), "now").expect("changed");
        assert_eq!(first["status"]["conditions"][0]["reason"], "Local");
        assert_eq!(with_condition(&first, &Finding::local(), "later"), None);
    }
}
