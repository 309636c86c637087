//! Security contexts of pods and containers.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

fn id(errors: &mut Errors, value: Option<i64>, path: &Path) {
    if let Some(value) = value
        && !(0..=i64::from(i32::MAX)).contains(&value)
    {
        errors.push(FieldError::invalid(path, value, "must be between 0 and 2147483647, inclusive"));
    }
}

/// `spec.securityContext` of a pod spec.
pub(super) fn pod(errors: &mut Errors, spec: &Value, path: &Path) {
    let context = spec.at("securityContext");
    if context.is_null() {
        return;
    }
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(errors, context.int(key), &path.child(key));
    }
    for (index, group) in context.items("supplementalGroups").iter().enumerate() {
        id(errors, group.as_i64(), &path.child("supplementalGroups").index(index));
    }
    if spec.flag("shareProcessNamespace") && spec.flag("hostPID") {
        errors.push(FieldError::invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ));
    }
    sysctls(errors, spec, &path.child("sysctls"));
    check::maybe_one_of(errors, context, path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    seccomp(errors, context.at("seccompProfile"), &path.child("seccompProfile"));
    app_armor(errors, context.at("appArmorProfile"), &path.child("appArmorProfile"));
    check::maybe_one_of(errors, context, path, "supplementalGroupsPolicy", &["Merge", "Strict"]);
    check::maybe_one_of(errors, context, path, "seLinuxChangePolicy", &["MountOption", "Recursive"]);
}

fn sysctls(errors: &mut Errors, spec: &Value, path: &Path) {
    const REGEX: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut seen = Vec::new();
    for (index, sysctl) in spec.items("securityContext.sysctls").iter().enumerate() {
        let path = path.index(index).child("name");
        let name = sysctl.text("name");
        let segment = |part: &str| {
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            edge(part.chars().next())
                && edge(part.chars().next_back())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        };
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if name.len() > 253 || !name.split(['.', '/']).all(segment) {
            errors.push(FieldError::invalid(
                &path,
                name,
                format!("must have at most 253 characters and match regex {REGEX}"),
            ));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        let dotted = name.replace('/', ".");
        if spec.flag("hostNetwork") && dotted.starts_with("net.") {
            errors.push(FieldError::invalid(&path, name, "may not be specified when 'hostNetwork' is true"));
        } else if spec.flag("hostIPC")
            && (dotted.starts_with("kernel.shm")
                || dotted.starts_with("kernel.msg")
                || dotted.starts_with("fs.mqueue.")
                || dotted == "kernel.sem")
        {
            errors.push(FieldError::invalid(&path, name, "may not be specified when 'hostIPC' is true"));
        }
        seen.push(name);
    }
}

fn seccomp(errors: &mut Errors, profile: &Value, path: &Path) {
    if profile.is_null() {
        return;
    }
    match profile.text("type") {
        "" => errors.push(FieldError::required(&path.child("type"), "type is required when seccompProfile is set")),
        kind if !PROFILES.contains(&kind) => {
            errors.push(FieldError::not_supported(&path.child("type"), kind, PROFILES))
        }
        _ => {}
    }
    let local = path.child("localhostProfile");
    match (profile.text("type"), profile.at("localhostProfile").as_str()) {
        ("Localhost", None) => errors.push(FieldError::required(&local, "must be set when seccomp type is Localhost")),
        ("Localhost", Some(file)) => check::descending_path(errors, &local, file),
        (_, Some(_)) => {
            errors.push(FieldError::invalid(&local, profile.clone(), "can only be set when seccomp type is Localhost"));
        }
        _ => {}
    }
}

fn app_armor(errors: &mut Errors, profile: &Value, path: &Path) {
    if profile.is_null() {
        return;
    }
    let local = path.child("localhostProfile");
    match (profile.text("type"), profile.at("localhostProfile").as_str()) {
        ("Localhost", None | Some("")) => {
            errors.push(FieldError::required(&local, "must be set when AppArmor type is Localhost"));
        }
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errors.push(FieldError::invalid(&local, name, "must not be padded with whitespace"));
            }
            if name.len() > 4095 {
                errors.push(FieldError::too_long(&local, 4095));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            errors.push(FieldError::invalid(&local, name, "can only be set when AppArmor type is Localhost"));
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            errors.push(FieldError::required(&path.child("type"), "type is required when appArmorProfile is set"))
        }
        (kind, _) => errors.push(FieldError::not_supported(&path.child("type"), kind, PROFILES)),
    }
}

/// `securityContext` of a container.
pub(super) fn container(errors: &mut Errors, context: &Value, path: &Path, host_users: bool) {
    if context.is_null() {
        return;
    }
    for key in ["runAsUser", "runAsGroup"] {
        id(errors, context.int(key), &path.child(key));
    }
    if let Some(mount) = context.at("procMount").as_str() {
        let path = path.child("procMount");
        if !matches!(mount, "Default" | "Unmasked") {
            errors.push(FieldError::not_supported(&path, mount, &["Default", "Unmasked"]));
        }
        if host_users && mount == "Unmasked" {
            errors.push(FieldError::invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(errors, context.at("seccompProfile"), &path.child("seccompProfile"));
    if context.at("allowPrivilegeEscalation") == &Value::Bool(false) {
        if context.flag("privileged") {
            errors.push(FieldError::invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ));
        }
        if context.items("capabilities.add").iter().any(|cap| cap == "CAP_SYS_ADMIN") {
            errors.push(FieldError::invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ));
        }
    }
    app_armor(errors, context.at("appArmorProfile"), &path.child("appArmorProfile"));
}
