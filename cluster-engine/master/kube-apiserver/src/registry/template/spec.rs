//! The pod spec as a whole.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use super::containers::{self, Around};
use super::{resources, scheduling, security, volumes};
use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;

/// Whether the spec is that of a pod, and what the pod is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum PodName<'a> {
    /// Of a pod.
    Pod(&'a str),
    /// Of a template.
    Template,
}

/// ValidatePodSpec.
pub(in crate::registry) fn pod_spec(errors: &mut Errors, spec: &Value, path: &Path, pod: PodName<'_>) {
    let grace = spec.int("terminationGracePeriodSeconds");
    if grace.is_none() {
        errors.push(FieldError::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let host_users = spec.at("hostUsers") != &Value::Bool(false);
    let good = volumes::volumes(errors, spec, path, pod);
    let claims: Vec<&str> =
        spec.items("resourceClaims").iter().map(|claim| claim.text("name")).filter(|name| !name.is_empty()).collect();
    resource_claims(errors, spec, &path.child("resourceClaims"));
    let around =
        Around { volumes: &good, claims: &claims, grace, restart_policy: spec.text("restartPolicy"), host_users };
    containers::regular(errors, spec, path, &around);
    containers::init(errors, spec, path, &around);
    containers::ephemeral(errors, spec, path, &around);
    resources::pod_level(errors, spec, &path.child("resources"), &claims);
    host_network_ports(errors, spec, path, pod);
    check::one_of(errors, spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    check::one_of(errors, spec, path, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    check::labels(errors, spec.at("nodeSelector"), &path.child("nodeSelector"));
    security::pod(errors, spec, &path.child("securityContext"));
    scheduling::affinity(errors, spec.at("affinity"), &path.child("affinity"));
    dns_config(errors, spec, &path.child("dnsConfig"));
    scheduling::gates(errors, spec, path);
    scheduling::spread(errors, spec.items("topologySpreadConstraints"), &path.child("topologySpreadConstraints"));
    if !host_users {
        for (key, name) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
            if spec.flag(key) {
                errors.push(FieldError::forbidden(&path.child(name), "when `pod.Spec.HostUsers` is false"));
            }
        }
    }
    names_and_numbers(errors, spec, path);
    scheduling::tolerations(errors, spec.items("tolerations"), &path.child("tolerations"));
    for (index, alias) in spec.items("hostAliases").iter().enumerate() {
        let path = path.child("hostAliases").index(index);
        check::ip(errors, &path.child("ip"), alias.text("ip"));
        for (index, name) in alias.items("hostnames").iter().filter_map(Value::as_str).enumerate() {
            check::dns_subdomain(errors, &path.child("hostnames").index(index), name);
        }
    }
    for key in ["priorityClassName", "runtimeClassName"] {
        if !spec.text(key).is_empty() {
            check::dns_subdomain(errors, &path.child(key), spec.text(key));
        }
    }
    if spec.has("preemptionPolicy") {
        check::one_of(errors, spec, path, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    }
    for (name, value) in spec.entries("overhead") {
        let path = path.child("overhead").child("limits").key(name);
        resources::container_resource_name(errors, &path, name);
        resources::amount(errors, &path, name, value);
    }
    if spec.has("os") {
        let path = path.child("os");
        match spec.text("os.name") {
            "" => errors.push(FieldError::required(&path.child("name"), "cannot be empty")),
            "linux" | "windows" => {}
            other => errors.push(FieldError::not_supported(&path, other, &["linux", "windows"])),
        }
    }
}

fn names_and_numbers(errors: &mut Errors, spec: &Value, path: &Path) {
    for key in ["serviceAccountName", "nodeName"] {
        if !spec.text(key).is_empty() {
            check::dns_subdomain(errors, &path.child(key), spec.text(key));
        }
    }
    if let Some(seconds) = spec.int("activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let message = names::inclusive_range_error(1, i64::from(i32::MAX));
        errors.push(FieldError::invalid(&path.child("activeDeadlineSeconds"), seconds, message));
    }
    for key in ["hostname", "subdomain"] {
        if !spec.text(key).is_empty() {
            check::dns_label(errors, &path.child(key), spec.text(key));
        }
    }
}

fn resource_claims(errors: &mut Errors, spec: &Value, path: &Path) {
    let mut seen = Vec::new();
    for (index, claim) in spec.items("resourceClaims").iter().enumerate() {
        let path = path.index(index);
        let name = claim.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        } else {
            check::dns_label(errors, &path.child("name"), name);
            seen.push(name);
        }
        match (claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")) {
            (true, true) => errors.push(FieldError::invalid(
                &path,
                claim.clone(),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            )),
            (false, false) => errors.push(FieldError::invalid(
                &path,
                claim.clone(),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            )),
            _ => {}
        }
        for key in ["resourceClaimName", "resourceClaimTemplateName"] {
            if claim.has(key) {
                check::dns_subdomain(errors, &path.child(key), claim.text(key));
            }
        }
    }
}

fn host_network_ports(errors: &mut Errors, spec: &Value, path: &Path, pod: PodName<'_>) {
    if !spec.flag("hostNetwork") {
        return;
    }
    for (index, container) in spec.items("containers").iter().enumerate() {
        for (port_index, port) in container.items("ports").iter().enumerate() {
            let host = port.int("hostPort").unwrap_or(0);
            let is_pod = pod != PodName::Template;
            if (is_pod || host != 0) && host != port.int("containerPort").unwrap_or(0) {
                let path = path.child("containers").index(index).child("ports").index(port_index).child("hostPort");
                errors.push(FieldError::invalid(&path, host, "must match `containerPort` when `hostNetwork` is true"));
            }
        }
    }
}

fn dns_config(errors: &mut Errors, spec: &Value, path: &Path) {
    let config = spec.at("dnsConfig");
    if spec.text("dnsPolicy") == "None" {
        if config.is_null() {
            errors.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if config.items("nameservers").is_empty() {
            errors.push(FieldError::required(
                &path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ));
            return;
        }
    }
    let servers = config.items("nameservers");
    if servers.len() > 3 {
        errors.push(FieldError::invalid(
            &path.child("nameservers"),
            config.at("nameservers").clone(),
            "must not have more than 3 nameservers",
        ));
    }
    for (index, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        check::ip(errors, &path.child("nameservers").index(index), server);
    }
    let searches: Vec<&str> = config.items("searches").iter().filter_map(Value::as_str).collect();
    let searches_path = path.child("searches");
    if searches.len() > 32 {
        errors.push(FieldError::invalid(
            &searches_path,
            config.at("searches").clone(),
            "must not have more than 32 search paths",
        ));
    }
    if searches.join(" ").len() > 2048 {
        errors.push(FieldError::invalid(
            &searches_path,
            config.at("searches").clone(),
            "must not have more than 2048 characters (including spaces) in the search list",
        ));
    }
    for (index, search) in searches.iter().enumerate() {
        if *search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            let plain = search.replace('_', "-");
            let relaxed = plain.trim_start_matches('-');
            if !names::is_dns1123_subdomain(relaxed).is_empty() {
                check::dns_subdomain(errors, &searches_path.index(index), search);
            }
        }
    }
    for (index, option) in config.items("options").iter().enumerate() {
        if option.text("name").is_empty() {
            errors.push(FieldError::required(&path.child("options").index(index), "must not be empty"));
        }
    }
}

/// What is checked in pods but not in templates.
pub(in crate::registry) fn only_pods(errors: &mut Errors, spec: &Value, path: &Path) {
    if spec.text("serviceAccountName").is_empty() {
        for (index, volume) in spec.items("volumes").iter().enumerate() {
            for (source_index, source) in volume.items("projected.sources").iter().enumerate() {
                if source.has("serviceAccountToken") {
                    let path = path.child("volumes").index(index).child("projected.sources").index(source_index);
                    errors.push(FieldError::forbidden(
                        &path.child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set",
                    ));
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            containers::trimmed_image(errors, container, &path.child(list).index(index));
        }
    }
}
