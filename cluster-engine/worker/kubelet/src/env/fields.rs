//! The downward API: fields of the pod and resources of its containers as text.

use std::collections::BTreeMap;

use drydock_api::quantity::Quantity;

use super::Sources;
use crate::pod::{Container, Pod, ResourceFieldRef};

/// The value of a `fieldRef`.
///
/// # Errors
/// For a path that the downward API does not have.
pub(crate) fn field(pod: &Pod, path: &str, sources: &Sources) -> Result<String, String> {
    let metadata = &pod.metadata;
    if let Some((map, key)) = subscript(path) {
        return match map {
            "metadata.labels" => Ok(metadata.labels.get(key).cloned().unwrap_or_default()),
            "metadata.annotations" => Ok(metadata.annotations.get(key).cloned().unwrap_or_default()),
            _ => Err(format!("invalid fieldPath with subscript {path}")),
        };
    }
    Ok(match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "metadata.labels" => format_map(&metadata.labels),
        "metadata.annotations" => format_map(&metadata.annotations),
        "spec.nodeName" => sources.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone(),
        "status.hostIP" | "status.hostIPs" => sources.host_ip.clone(),
        "status.podIP" | "status.podIPs" => sources.pod_ip.clone(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `metadata.labels['a/b']` as map and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let inner = path.strip_suffix("']")?;
    inner.split_once("['")
}

/// `key="value"` lines in order of the keys, quoted as Go's `%q`.
fn format_map(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<_> = map.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef`: limits fall back on what the node has.
///
/// # Errors
/// When the container or the resource is unknown.
pub(crate) fn resource(
    pod: &Pod,
    own: Option<&Container>,
    reference: &ResourceFieldRef,
    sources: &Sources,
) -> Result<String, String> {
    let container = if reference.container_name.is_empty() {
        own
    } else {
        pod.container(&reference.container_name).map(|(_, container)| container)
    };
    let container = container.ok_or_else(|| format!("container {} not found", reference.container_name))?;
    let (list, name) = reference.resource.split_once('.').unwrap_or(("", ""));
    let resources = &container.resources;
    let quantity = match list {
        "limits" => resources.limits.get(name).or_else(|| sources.allocatable.get(name)),
        "requests" => resources.requests.get(name),
        _ => return Err(format!("unsupported container resource : {}", reference.resource)),
    };
    let quantity = quantity.copied().unwrap_or(Quantity::ZERO);
    let divisor = reference.divisor.filter(|divisor| !divisor.is_zero());
    let value = if name == "cpu" {
        let divisor = divisor.map_or(1000, |divisor| divisor.milli_value().max(1));
        (quantity.milli_value() + divisor - 1) / divisor
    } else {
        let divisor = divisor.map_or(1, |divisor| divisor.value().max(1));
        (quantity.value() + divisor - 1) / divisor
    };
    Ok(value.to_string())
}
