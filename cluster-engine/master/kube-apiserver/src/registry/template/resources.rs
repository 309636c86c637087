//! Names and amounts of resources, and the requirements of containers and pods.

use drydock_api::field::{FieldError, Path};
use drydock_api::quantity::Quantity;
use serde_json::Value;

use crate::registry::check::{Errors, NEGATIVE, dns_label, qualified_name};
use crate::registry::quota_math::container_requests;
use crate::registry::value::{Read as _, quantity, quantity_text};

const STANDARD_CONTAINER: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// `hugepages-2Mi` and the like.
pub(in crate::registry) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    if is_native(name) || name.starts_with("requests.") {
        return false;
    }
    drydock_api::names::is_qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether more may be promised than there is.
pub(in crate::registry) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

fn is_standard(name: &str) -> bool {
    const STANDARD: &[&str] = &[
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    ];
    STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

fn is_integer(name: &str) -> bool {
    const INTEGER: &[&str] = &[
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    INTEGER.contains(&name) || is_extended(name)
}

/// A resource's name.
pub(in crate::registry) fn resource_name(errors: &mut Errors, path: &Path, name: &str) -> bool {
    let before = errors.len();
    qualified_name(errors, path, name);
    if errors.len() == before && !name.contains('/') && !is_standard(name) {
        errors.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
    }
    errors.len() == before
}

/// A name that a container may ask for.
pub(in crate::registry) fn container_resource_name(errors: &mut Errors, path: &Path, name: &str) {
    resource_name(errors, path, name);
    if !name.contains('/') {
        if !STANDARD_CONTAINER.contains(&name) && !is_huge_page(name) {
            errors.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// A name that a quota may count.
pub(in crate::registry) fn quota_resource_name(errors: &mut Errors, path: &Path, name: &str) {
    const OTHER: &[&str] = &["storage"];
    resource_name(errors, path, name);
    if !name.contains('/') && (!is_standard(name) || OTHER.contains(&name)) {
        errors.push(FieldError::invalid(path, name, "must be a standard resource for quota"));
    }
}

/// An amount of a resource: not negative, whole where only whole things can be counted.
pub(in crate::registry) fn amount(errors: &mut Errors, path: &Path, name: &str, value: &Value) -> Option<Quantity> {
    let amount = quantity(value)?;
    if amount.signum() < 0 {
        errors.push(FieldError::invalid(path, amount.to_string(), NEGATIVE));
    }
    if is_integer(name) && amount.milli_value() % 1000 != 0 {
        errors.push(FieldError::invalid(path, amount.to_string(), "must be an integer"));
    }
    Some(amount)
}

fn huge_page(errors: &mut Errors, path: &Path, name: &str, amount: Quantity) {
    let size: Option<Quantity> = name.strip_prefix("hugepages-").and_then(|size| size.parse().ok());
    let divisible =
        size.is_some_and(|size| size.signum() > 0 && amount.signum() > 0 && amount.value() % size.value() == 0);
    if !divisible {
        errors.push(FieldError::invalid(
            path,
            amount.to_string(),
            format!("{amount} is not positive integer multiple of {name}"),
        ));
    }
}

/// ResourceRequirements of a container. `claims` are the names in `spec.resourceClaims`; None where there are none to refer to.
pub(in crate::registry) fn requirements(errors: &mut Errors, resources: &Value, path: &Path, claims: &[&str]) {
    check(errors, resources, path, claims, container_resource_name);
}

fn check(
    errors: &mut Errors,
    resources: &Value,
    path: &Path,
    claims: &[&str],
    name_check: fn(&mut Errors, &Path, &str),
) {
    let mut huge = false;
    let mut compute = false;
    for (name, value) in resources.entries("limits") {
        let path = path.child("limits").key(name);
        name_check(errors, &path, name);
        let amount = amount(errors, &path, name, value);
        if is_huge_page(name) {
            huge = true;
            if let Some(amount) = amount {
                huge_page(errors, &path, name, amount);
            }
        }
        compute |= matches!(name, "cpu" | "memory");
    }
    for (name, value) in resources.entries("requests") {
        let own = path.child("requests").key(name);
        name_check(errors, &own, name);
        let Some(request) = amount(errors, &own, name, value) else { continue };
        match resources.at("limits").get(name).and_then(quantity) {
            Some(limit) if request != limit && !may_overcommit(name) => errors.push(FieldError::invalid(
                &path.child("requests"),
                request.to_string(),
                format!("must be equal to {name} limit of {limit}"),
            )),
            Some(limit) if request > limit => errors.push(FieldError::invalid(
                &path.child("requests"),
                request.to_string(),
                format!("must be less than or equal to {name} limit of {limit}"),
            )),
            None if !may_overcommit(name) => errors.push(FieldError::required(
                &path.child("limits"),
                "Limit must be set for non overcommitable resources",
            )),
            _ => {}
        }
        if is_huge_page(name) {
            huge = true;
            huge_page(errors, &own, name, request);
        }
        compute |= matches!(name, "cpu" | "memory");
    }
    if huge && !compute {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
    claim_names(errors, resources, &path.child("claims"), claims);
}

fn claim_names(errors: &mut Errors, resources: &Value, path: &Path, known: &[&str]) {
    let mut seen: Vec<String> = Vec::new();
    for (index, claim) in resources.items("claims").iter().enumerate() {
        let path = path.index(index);
        let name = claim.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let request = claim.text("request");
        if seen.iter().any(|entry| entry == name) {
            errors.push(FieldError::duplicate(&path, name));
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                dns_label(errors, &path.child("request"), request);
                key = format!("{name}/{request}");
            }
            let overlaps = request.is_empty() && seen.iter().any(|entry| entry.split('/').next() == Some(name));
            if seen.contains(&key) || overlaps {
                errors.push(FieldError::duplicate(&path, key.clone()));
            }
            seen.push(key);
        }
        if !known.contains(&name) {
            let mut sorted = known.to_vec();
            sorted.sort_unstable();
            let mut error = FieldError::not_found(&path, name);
            error.detail = if sorted.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                format!("must be one of the names in pod.spec.resourceClaims: {}", sorted.join(", "))
            };
            errors.push(error);
        }
    }
}

/// Requirements of the whole pod.
pub(super) fn pod_level(errors: &mut Errors, spec: &Value, path: &Path, claims: &[&str]) {
    let resources = spec.at("resources");
    if resources.is_null() {
        return;
    }
    if resources.has("claims") {
        errors.push(FieldError::forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level"));
    }
    check(errors, resources, path, claims, |errors, path, name| {
        if resource_name(errors, path, name) && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
            errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
        }
    });
    for name in ["cpu", "memory"] {
        let Some(sum) = container_requests(spec, name) else { continue };
        let own = resources.at("requests").get(name);
        let request = own.and_then(quantity).unwrap_or_default();
        if sum > request {
            errors.push(FieldError::invalid(
                &path.child("requests").key(name),
                request.to_string(),
                format!("must be greater than or equal to aggregate container requests of {sum}"),
            ));
        }
    }
    for (index, container) in spec.items("containers").iter().enumerate() {
        for (name, value) in container.entries("resources.limits") {
            let Some(limit) = resources.at("limits").get(name).and_then(quantity) else { continue };
            if quantity(value).is_some_and(|own| own > limit) {
                errors.push(FieldError::invalid(
                    &path.child("containers").index(index).key(name).child("limits"),
                    quantity_text(value),
                    format!("must be less than or equal to pod limits of {limit}"),
                ));
            }
        }
    }
}
