//! Environment of containers.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, quantity};

/// Fields of a pod that an environment variable may hold.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of a pod that a downward API file may hold.
pub(super) const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Resources of a container that a variable or file may hold.
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// `env`.
pub(super) fn env(errors: &mut Errors, variables: &[Value], path: &Path) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        if check::required(errors, variable, &path, "name") {
            let name = variable.text("name");
            check::each(errors, &path.child("name"), name, names::is_relaxed_env_var_name(name));
        }
        if variable.has("valueFrom") {
            value_from(errors, variable, &path.child("valueFrom"));
        }
    }
}

fn value_from(errors: &mut Errors, variable: &Value, path: &Path) {
    let source = variable.at("valueFrom");
    let mut count = 0;
    if source.has("fieldRef") {
        count += 1;
        field_ref(errors, source.at("fieldRef"), &path.child("fieldRef"), ENV_FIELDS);
    }
    if source.has("resourceFieldRef") {
        count += 1;
        resource_ref(errors, source.at("resourceFieldRef"), &path.child("resourceFieldRef"), false);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if source.has(key) {
            count += 1;
            let (source, path) = (source.at(key), path.child(key));
            check::dns_subdomain(errors, &path.child("name"), source.text("name"));
            if check::required(errors, source, &path, "key") {
                let name = source.text("key");
                check::each(errors, &path.child("key"), name, names::is_config_map_key(name));
            }
        }
    }
    if source.has("fileKeyRef") {
        count += 1;
        let (source, path) = (source.at("fileKeyRef"), path.child("fileKeyRef"));
        check::required(errors, source, &path, "key");
        check::required(errors, source, &path, "volumeName");
        if check::required(errors, source, &path, "path") {
            check::local_path(errors, &path.child("path"), source.text("path"));
        }
    }
    if count == 0 {
        errors.push(FieldError::invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ));
    } else if !variable.text("value").is_empty() {
        errors.push(FieldError::invalid(path, "", "may not be specified when `value` is not empty"));
    } else if count > 1 {
        errors.push(FieldError::invalid(path, "", "may not have more than one field specified at a time"));
    }
}

/// An ObjectFieldSelector.
pub(super) fn field_ref(errors: &mut Errors, reference: &Value, path: &Path, allowed: &[&str]) {
    if !check::required(errors, reference, path, "apiVersion") || !check::required(errors, reference, path, "fieldPath")
    {
        return;
    }
    let field = reference.text("fieldPath");
    if reference.text("apiVersion") != "v1" {
        errors.push(FieldError::invalid(
            &path.child("fieldPath"),
            field,
            format!("error converting fieldPath: unsupported pod version: {}", reference.text("apiVersion")),
        ));
        return;
    }
    match field.strip_suffix("']").and_then(|rest| rest.split_once("['")) {
        Some(("metadata.annotations", key)) => check::qualified_name(errors, path, &key.to_lowercase()),
        Some(("metadata.labels", key)) => check::qualified_name(errors, path, key),
        Some((other, _)) => errors.push(FieldError::invalid(
            &path.child("fieldPath"),
            field,
            format!("error converting fieldPath: field label does not support subscript: {other}"),
        )),
        None => {
            const KNOWN: &[&str] = &["metadata.annotations", "metadata.labels"];
            if !ENV_FIELDS.contains(&field) && !KNOWN.contains(&field) {
                errors.push(FieldError::invalid(
                    &path.child("fieldPath"),
                    field,
                    format!("error converting fieldPath: field label not supported: {field}"),
                ));
            } else if !allowed.contains(&field) {
                errors.push(FieldError::not_supported(&path.child("fieldPath"), field, allowed));
            }
        }
    }
}

/// A ResourceFieldSelector; in a volume the container must be named.
pub(super) fn resource_ref(errors: &mut Errors, reference: &Value, path: &Path, volume: bool) {
    let resource = reference.text("resource");
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if volume && reference.text("containerName").is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.push(FieldError::not_supported(&path.child("resource"), resource, RESOURCES));
    }
    let Some(divisor) = quantity(reference.at("divisor")).filter(|divisor| !divisor.is_zero()) else { return };
    const SIZES: &str = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    let divisor = divisor.to_string();
    let (allowed, what) = match resource {
        "limits.cpu" | "requests.cpu" => {
            (matches!(divisor.as_str(), "1" | "1m"), "1m and 1 are supported with the cpu resource".to_owned())
        }
        "limits.memory" | "requests.memory" => {
            (SIZES.split(", ").any(|size| size == divisor), format!("{SIZES} are supported with the memory resource"))
        }
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (
            SIZES.split(", ").any(|size| size == divisor),
            format!("{SIZES} are supported with the local ephemeral storage resource"),
        ),
        _ if huge => (
            SIZES.split(", ").any(|size| size == divisor),
            format!("{SIZES} are supported with the hugepages resource"),
        ),
        _ => (true, String::new()),
    };
    if !allowed {
        errors.push(FieldError::invalid(&path.child("divisor"), resource, format!("only divisor's values {what}")));
    }
}

/// `envFrom`.
pub(super) fn env_from(errors: &mut Errors, sources: &[Value], path: &Path) {
    for (index, source) in sources.iter().enumerate() {
        let own = path.index(index);
        let prefix = source.text("prefix");
        if !prefix.is_empty() {
            check::each(errors, &own.child("prefix"), prefix, names::is_relaxed_env_var_name(prefix));
        }
        let given: Vec<&str> = ["configMapRef", "secretRef"].into_iter().filter(|key| source.has(key)).collect();
        for key in &given {
            let (reference, path) = (source.at(key), own.child(key));
            if check::required(errors, reference, &path, "name") {
                let name = reference.text("name");
                check::each(errors, &path.child("name"), name, crate::row::subdomain_name(name, true));
            }
        }
        match given.len() {
            0 => errors.push(FieldError::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => errors.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
        }
    }
}
