//! Containers of all three lists.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use super::{env, handlers, resources, security};
use crate::registry::check::{self, Errors, PROTOCOLS};
use crate::registry::value::Read as _;

/// What the rest of the pod says that matters to its containers.
pub(super) struct Around<'a> {
    /// Volumes that are all right, by name.
    pub(super) volumes: &'a [(&'a str, &'a Value)],
    /// Names in `spec.resourceClaims`.
    pub(super) claims: &'a [&'a str],
    /// `spec.terminationGracePeriodSeconds`.
    pub(super) grace: Option<i64>,
    /// `spec.restartPolicy`.
    pub(super) restart_policy: &'a str,
    /// Whether the pod shares the host's user namespace.
    pub(super) host_users: bool,
}

/// `spec.containers`.
pub(super) fn regular(errors: &mut Errors, spec: &Value, path: &Path, around: &Around<'_>) {
    let containers = spec.items("containers");
    let path = path.child("containers");
    if containers.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let mut seen = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(errors, container, &path, around);
        unique_name(errors, &mut seen, container, &path);
        handlers::all(errors, container, &path, around.grace);
        restart_rules(errors, container, &path);
    }
    host_ports(errors, containers, &path);
}

/// `spec.initContainers`.
pub(super) fn init(errors: &mut Errors, spec: &Value, path: &Path, around: &Around<'_>) {
    let mut seen: Vec<&str> = spec.items("containers").iter().map(|container| container.text("name")).collect();
    let list = path.child("initContainers");
    for (index, container) in spec.items("initContainers").iter().enumerate() {
        let path = list.index(index);
        common(errors, container, &path, around);
        let sidecar = container.text("restartPolicy") == "Always";
        restart_rules(errors, container, &path);
        unique_name(errors, &mut seen, container, &path);
        host_ports(errors, std::slice::from_ref(container), &list);
        if sidecar {
            handlers::all(errors, container, &path, around.grace);
        } else {
            for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.has(key) {
                    errors.push(FieldError::forbidden(
                        &path.child(key),
                        "may not be set for init containers without restartPolicy=Always",
                    ));
                }
            }
            if !container.items("resizePolicy").is_empty() {
                errors.push(FieldError::invalid(
                    &path.child("resizePolicy"),
                    container.at("resizePolicy").clone(),
                    "must not be set for init containers",
                ));
            }
        }
    }
}

/// `spec.ephemeralContainers`.
pub(super) fn ephemeral(errors: &mut Errors, spec: &Value, path: &Path, around: &Around<'_>) {
    const FORBIDDEN: &[&str] = &[
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    let other: Vec<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.items(list))
        .map(|container| container.text("name"))
        .collect();
    let mut seen = other.clone();
    for (index, container) in spec.items("ephemeralContainers").iter().enumerate() {
        let path = path.child("ephemeralContainers").index(index);
        common(errors, container, &path, around);
        trimmed_image(errors, container, &path);
        unique_name(errors, &mut seen, container, &path);
        let target = container.text("targetContainerName");
        if !target.is_empty() && !other.contains(&target) {
            errors.push(FieldError::not_found(&path.child("targetContainerName"), target));
        }
        for key in FORBIDDEN {
            let value = container.at(key);
            if !crate::registry::value::empty(value) {
                errors.push(FieldError::forbidden(&path.child(key), "cannot be set for an Ephemeral Container"));
            }
        }
        for (index, mount) in container.items("volumeMounts").iter().enumerate() {
            for key in ["subPath", "subPathExpr"] {
                if !mount.text(key).is_empty() {
                    let path = path.child("volumeMounts").index(index).child(key);
                    errors.push(FieldError::forbidden(&path, "cannot be set for an Ephemeral Container"));
                }
            }
        }
    }
}

/// In pods, not templates: an image has no blanks around it.
pub(super) fn trimmed_image(errors: &mut Errors, container: &Value, path: &Path) {
    let image = container.text("image");
    if image.trim() != image {
        errors.push(FieldError::invalid(&path.child("image"), image, "must not have leading or trailing whitespace"));
    }
}

fn unique_name<'a>(errors: &mut Errors, seen: &mut Vec<&'a str>, container: &'a Value, path: &Path) {
    let name = container.text("name");
    if seen.contains(&name) {
        errors.push(FieldError::duplicate(&path.child("name"), name));
    } else if !name.is_empty() {
        seen.push(name);
    }
}

fn restart_rules(errors: &mut Errors, container: &Value, path: &Path) {
    check::maybe_one_of(errors, container, path, "restartPolicy", &["Always", "Never", "OnFailure"]);
    let rules = container.items("restartPolicyRules");
    if !rules.is_empty() && !container.has("restartPolicy") {
        errors.push(FieldError::required(
            &path.child("restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.child("restartPolicyRules").index(index);
        check::one_of(errors, rule, &path, "action", &["Restart", "RestartAllContainers"]);
        if rule.has("exitCodes") {
            let (codes, path) = (rule.at("exitCodes"), path.child("exitCodes"));
            check::one_of(errors, codes, &path, "operator", &["In", "NotIn"]);
        } else {
            errors.push(FieldError::required(&path.child("exitCodes"), "must be specified"));
        }
    }
}

fn common(errors: &mut Errors, container: &Value, path: &Path, around: &Around<'_>) {
    if check::required(errors, container, path, "name") {
        check::dns_label(errors, &path.child("name"), container.text("name"));
    }
    check::required(errors, container, path, "image");
    check::one_of(errors, container, path, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]);
    ports(errors, container, &path.child("ports"));
    env::env(errors, container.items("env"), &path.child("env"));
    env::env_from(errors, container.items("envFrom"), &path.child("envFrom"));
    mounts(errors, container, &path.child("volumeMounts"), around);
    devices(errors, container, &path.child("volumeDevices"), around);
    check::one_of(errors, container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    resources::requirements(errors, container.at("resources"), &path.child("resources"), around.claims);
    resize_policy(errors, container, &path.child("resizePolicy"), around.restart_policy);
    security::container(errors, container.at("securityContext"), &path.child("securityContext"), around.host_users);
}

fn ports(errors: &mut Errors, container: &Value, path: &Path) {
    let mut seen = Vec::new();
    for (index, port) in container.items("ports").iter().enumerate() {
        let path = path.index(index);
        let name = port.text("name");
        if !name.is_empty() {
            let messages = names::is_port_name(name);
            if !messages.is_empty() {
                check::each(errors, &path.child("name"), name, messages);
            } else if seen.contains(&name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            } else {
                seen.push(name);
            }
        }
        match port.int("containerPort").unwrap_or(0) {
            0 => errors.push(FieldError::required(&path.child("containerPort"), "")),
            number => check::port_number(errors, &path.child("containerPort"), number),
        }
        match port.int("hostPort").unwrap_or(0) {
            0 => {}
            number => check::port_number(errors, &path.child("hostPort"), number),
        }
        check::one_of(errors, port, &path, "protocol", PROTOCOLS);
    }
}

fn host_ports(errors: &mut Errors, containers: &[Value], path: &Path) {
    let mut seen: Vec<String> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in container.items("ports").iter().enumerate() {
            let number = port.int("hostPort").unwrap_or(0);
            if number == 0 {
                continue;
            }
            let text = format!("{}/{}/{number}", port.text("protocol"), port.text("hostIP"));
            if seen.contains(&text) {
                let path = path.index(index).child("ports").index(port_index).child("hostPort");
                errors.push(FieldError::duplicate(&path, text));
            } else {
                seen.push(text);
            }
        }
    }
}

fn mounts(errors: &mut Errors, container: &Value, path: &Path, around: &Around<'_>) {
    let devices = container.items("volumeDevices");
    let mut seen = Vec::new();
    for (index, mount) in container.items("volumeMounts").iter().enumerate() {
        let own = path.index(index);
        let name = mount.text("name");
        check::required(errors, mount, &own, "name");
        let volume = around.volumes.iter().find(|(known, _)| *known == name).map(|(_, volume)| *volume);
        if volume.is_none() {
            errors.push(FieldError::not_found(&own.child("name"), name));
        }
        check::required(errors, mount, &own, "mountPath");
        let target = mount.text("mountPath");
        if seen.contains(&target) {
            errors.push(FieldError::invalid(&own.child("mountPath"), target, "must be unique"));
        }
        seen.push(target);
        if devices.iter().any(|device| device.text("name") == name) {
            errors.push(FieldError::invalid(&own.child("name"), name, "must not already exist in volumeDevices"));
        }
        if devices.iter().any(|device| device.text("devicePath") == target) {
            errors.push(FieldError::invalid(
                &own.child("mountPath"),
                target,
                "must not already exist as a path in volumeDevices",
            ));
        }
        if !mount.text("subPath").is_empty() {
            check::descending_path(errors, &path.child("subPath"), mount.text("subPath"));
        }
        let expression = mount.text("subPathExpr");
        if !expression.is_empty() {
            if !mount.text("subPath").is_empty() {
                errors.push(FieldError::invalid(
                    &own.child("subPathExpr"),
                    expression,
                    "subPathExpr and subPath are mutually exclusive",
                ));
            }
            check::descending_path(errors, &path.child("subPathExpr"), expression);
        }
        propagation(errors, mount, container, path);
    }
}

fn propagation(errors: &mut Errors, mount: &Value, container: &Value, path: &Path) {
    if let Some(mode) = mount.at("mountPropagation").as_str() {
        let path = path.child("mountPropagation");
        const MODES: &[&str] = &["Bidirectional", "HostToContainer", "None"];
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported(&path, mode, MODES));
        }
        if mode == "Bidirectional" && !container.flag("securityContext.privileged") {
            errors.push(FieldError::forbidden(
                &path,
                "Bidirectional mount propagation is available only to privileged containers",
            ));
        }
    }
    if let Some(mode) = mount.at("recursiveReadOnly").as_str() {
        let path = path.child("recursiveReadOnly");
        match mode {
            "Disabled" => {}
            "Enabled" | "IfPossible" => {
                if !mount.flag("readOnly") {
                    errors.push(FieldError::forbidden(&path, "may only be specified when readOnly is true"));
                }
                if !matches!(mount.text("mountPropagation"), "" | "None") {
                    errors.push(FieldError::forbidden(
                        &path,
                        "may only be specified when mountPropagation is None or not specified",
                    ));
                }
            }
            other => errors.push(FieldError::not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"])),
        }
    }
}

fn devices(errors: &mut Errors, container: &Value, path: &Path, around: &Around<'_>) {
    let mounts = container.items("volumeMounts");
    let mut names = Vec::new();
    let mut paths = Vec::new();
    for (index, device) in container.items("volumeDevices").iter().enumerate() {
        let own = path.index(index);
        let (name, target) = (device.text("name"), device.text("devicePath"));
        check::required(errors, device, &own, "name");
        if names.contains(&name) {
            errors.push(FieldError::invalid(&own.child("name"), name, "must be unique"));
        }
        match around.volumes.iter().find(|(known, _)| *known == name) {
            None => errors.push(FieldError::not_found(&own.child("name"), name)),
            Some((_, volume)) if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") => {
                errors.push(FieldError::invalid(
                    &own.child("name"),
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                ));
            }
            Some(_) => {}
        }
        check::required(errors, device, &own, "devicePath");
        if paths.contains(&target) {
            errors.push(FieldError::invalid(&own.child("devicePath"), target, "must be unique"));
        }
        if target.split('/').any(|part| part == "..") {
            errors.push(FieldError::invalid(&own.child("devicePath"), target, "can not contain backsteps ('..')"));
        } else {
            paths.push(target);
        }
        if mounts.iter().any(|mount| mount.text("name") == name) {
            errors.push(FieldError::invalid(&own.child("name"), name, "must not already exist in volumeMounts"));
        }
        if mounts.iter().any(|mount| mount.text("mountPath") == target) {
            errors.push(FieldError::invalid(
                &own.child("devicePath"),
                target,
                "must not already exist as a path in volumeMounts",
            ));
        }
        if !name.is_empty() {
            names.push(name);
        }
    }
}

fn resize_policy(errors: &mut Errors, container: &Value, path: &Path, restart_policy: &str) {
    let mut seen = Vec::new();
    for (index, policy) in container.items("resizePolicy").iter().enumerate() {
        let name = policy.text("resourceName");
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.index(index), name));
        }
        seen.push(name);
        match name {
            "cpu" | "memory" => {}
            "" => errors.push(FieldError::required(path, "")),
            other => errors.push(FieldError::not_supported(path, other, &["cpu", "memory"])),
        }
        let restart = policy.text("restartPolicy");
        match restart {
            "NotRequired" | "RestartContainer" => {}
            "" => errors.push(FieldError::required(path, "")),
            other => errors.push(FieldError::not_supported(path, other, &["NotRequired", "RestartContainer"])),
        }
        if restart_policy == "Never" && restart != "NotRequired" {
            errors.push(FieldError::invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
        }
    }
}
