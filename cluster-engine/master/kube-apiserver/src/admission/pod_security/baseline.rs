//! The baseline: nothing that is known to lead out of a pod (`pod-security-admission/policy/check_*.go`).

use serde_json::Value;

use super::containers::{all, containers, named, plural, quote, sorted};
use super::{Policy, Violation};
use crate::registry::Read as _;

const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// The rules broken; `stricter` leaves out those that the restricted level has a stricter form of.
pub(super) fn check(policy: Policy, metadata: &Value, spec: &Value, stricter: bool) -> Vec<Violation> {
    let restricted_capabilities = stricter && policy.since(22);
    let restricted_seccomp = stricter && policy.since(19);
    [
        app_armor(metadata, spec),
        if restricted_capabilities { None } else { capabilities(spec) },
        host_namespaces(spec),
        if stricter { None } else { host_paths(spec) },
        host_ports(spec),
        if policy.since(34) { host_probes(spec) } else { None },
        privileged(spec),
        proc_mount(spec),
        selinux(spec),
        if restricted_seccomp || !policy.since(19) { None } else { seccomp(spec) },
        sysctls(spec),
        host_process(spec),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `pod and container "a"`.
fn setters(pod: bool, names: &[&str]) -> String {
    let mut parts = Vec::new();
    if pod {
        parts.push("pod".to_owned());
    }
    if !names.is_empty() {
        parts.push(containers(names));
    }
    parts.join(" and ")
}

fn app_armor(metadata: &Value, spec: &Value) -> Option<Violation> {
    let forbidden = |holder: &Value| {
        let kind = holder.text("securityContext.appArmorProfile.type");
        !matches!(kind, "" | "RuntimeDefault" | "Localhost")
    };
    let names = named(spec, forbidden);
    let mut setters: Vec<String> = Vec::new();
    let mut values: Vec<String> = Vec::new();
    if forbidden(spec) {
        setters.push("pod".to_owned());
        values.push(spec.text("securityContext.appArmorProfile.type").to_owned());
    }
    if !names.is_empty() {
        setters.push(containers(&names));
        values.extend(
            all(spec)
                .filter(|one| forbidden(one))
                .map(|one| one.text("securityContext.appArmorProfile.type").to_owned()),
        );
    }
    let annotations: Vec<String> = metadata
        .strings("annotations")
        .into_iter()
        .filter(|(key, value)| {
            key.starts_with("container.apparmor.security.beta.kubernetes.io/")
                && !value.is_empty()
                && *value != "runtime/default"
                && !value.starts_with("localhost/")
        })
        .map(|(key, value)| format!("{key}={}", drydock_api::go_quote(value)))
        .collect();
    let mut details = Vec::new();
    if !setters.is_empty() {
        let values = sorted(values);
        details.push(format!(
            "{} must not set AppArmor profile type to {}",
            setters.join(" and "),
            quote(values.iter().map(String::as_str))
        ));
    }
    if !annotations.is_empty() {
        details.push(format!("{} {}", plural("annotation", "annotations", annotations.len()), annotations.join(", ")));
    }
    let count = setters.len() + annotations.len();
    (count > 0).then(|| {
        Violation::new(plural("forbidden AppArmor profile", "forbidden AppArmor profiles", count), details.join("; "))
    })
}

fn capabilities(spec: &Value) -> Option<Violation> {
    let added = |container: &Value| -> Vec<String> {
        let list = container.items("securityContext.capabilities.add").iter().filter_map(Value::as_str);
        list.filter(|name| !DEFAULT_CAPABILITIES.contains(name)).map(str::to_owned).collect()
    };
    let names = named(spec, |container| !added(container).is_empty());
    let extra = sorted(all(spec).flat_map(added).collect());
    (!names.is_empty()).then(|| {
        Violation::new(
            "non-default capabilities",
            format!(
                "{} must not include {} in securityContext.capabilities.add",
                containers(&names),
                quote(extra.iter().map(String::as_str))
            ),
        )
    })
}

fn host_namespaces(spec: &Value) -> Option<Violation> {
    let set: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|key| spec.flag(key))
        .map(|key| format!("{key}=true"))
        .collect();
    (!set.is_empty()).then(|| Violation::new("host namespaces", set.join(", ")))
}

fn host_paths(spec: &Value) -> Option<Violation> {
    let names: Vec<&str> = spec
        .items("volumes")
        .iter()
        .filter(|volume| volume.has("hostPath"))
        .map(|volume| volume.text("name"))
        .collect();
    (!names.is_empty()).then(|| {
        let detail = format!("{} {}", plural("volume", "volumes", names.len()), quote(names.iter().copied()));
        Violation::new("hostPath volumes", detail)
    })
}

fn host_ports(spec: &Value) -> Option<Violation> {
    let ports = |container: &Value| -> Vec<i64> {
        container.items("ports").iter().filter_map(|port| port.int("hostPort")).filter(|port| *port != 0).collect()
    };
    let names = named(spec, |container| !ports(container).is_empty());
    let mut all_ports: Vec<i64> = all(spec).flat_map(ports).collect();
    all_ports.sort_unstable();
    all_ports.dedup();
    (!names.is_empty()).then(|| {
        let texts: Vec<_> = all_ports.iter().map(ToString::to_string).collect();
        let detail = format!(
            "{} {} {} {}",
            containers(&names),
            plural("uses", "use", names.len()),
            plural("hostPort", "hostPorts", texts.len()),
            texts.join(", ")
        );
        Violation::new("hostPort", detail)
    })
}

fn host_probes(spec: &Value) -> Option<Violation> {
    const HANDLERS: [&str; 5] =
        ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"];
    let hosts = |container: &Value| -> Vec<String> {
        let handlers = HANDLERS.iter().map(|path| container.at(path));
        handlers
            .flat_map(|handler| ["httpGet.host", "tcpSocket.host"].map(|path| handler.text(path).to_owned()))
            .filter(|host| !host.is_empty())
            .collect()
    };
    let names = named(spec, |container| !hosts(container).is_empty());
    let found = sorted(all(spec).flat_map(hosts).collect());
    (!names.is_empty()).then(|| {
        let detail = format!(
            "{} {} probe or lifecycle {} {}",
            containers(&names),
            plural("uses", "use", names.len()),
            plural("host", "hosts", found.len()),
            quote(found.iter().map(String::as_str))
        );
        Violation::new("probe or lifecycle host", detail)
    })
}

fn privileged(spec: &Value) -> Option<Violation> {
    let names = named(spec, |container| container.flag("securityContext.privileged"));
    (!names.is_empty()).then(|| {
        Violation::new("privileged", format!("{} must not set securityContext.privileged=true", containers(&names)))
    })
}

fn proc_mount(spec: &Value) -> Option<Violation> {
    let forbidden = |container: &Value| !matches!(container.text("securityContext.procMount"), "" | "Default");
    let names = named(spec, forbidden);
    let values = sorted(
        all(spec).filter(|one| forbidden(one)).map(|one| one.text("securityContext.procMount").to_owned()).collect(),
    );
    (!names.is_empty()).then(|| {
        let detail = format!(
            "{} must not set securityContext.procMount to {}",
            containers(&names),
            quote(values.iter().map(String::as_str))
        );
        Violation::new("procMount", detail)
    })
}

fn selinux(spec: &Value) -> Option<Violation> {
    let forbidden = |holder: &Value| {
        let options = holder.at("securityContext.seLinuxOptions");
        !SELINUX_TYPES.contains(&options.text("type"))
            || !options.text("user").is_empty()
            || !options.text("role").is_empty()
    };
    let names = named(spec, forbidden);
    let pod = forbidden(spec);
    if !pod && names.is_empty() {
        return None;
    }
    let holders = || std::iter::once(spec).chain(all(spec)).map(|holder| holder.at("securityContext.seLinuxOptions"));
    let types = sorted(
        holders()
            .map(|options| options.text("type").to_owned())
            .filter(|kind| !SELINUX_TYPES.contains(&kind.as_str()))
            .collect(),
    );
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!("{} {}", plural("type", "types", types.len()), quote(types.iter().map(String::as_str))));
    }
    for key in ["user", "role"] {
        if holders().any(|options| !options.text(key).is_empty()) {
            data.push(format!("{key} may not be set"));
        }
    }
    let detail = format!("{} set forbidden securityContext.seLinuxOptions: {}", setters(pod, &names), data.join("; "));
    Some(Violation::new("seLinuxOptions", detail))
}

fn seccomp(spec: &Value) -> Option<Violation> {
    let forbidden = |holder: &Value| holder.text("securityContext.seccompProfile.type") == "Unconfined";
    let names = named(spec, forbidden);
    let pod = forbidden(spec);
    (pod || !names.is_empty()).then(|| {
        let detail =
            format!("{} must not set securityContext.seccompProfile.type to \"Unconfined\"", setters(pod, &names));
        Violation::new("seccompProfile", detail)
    })
}

fn sysctls(spec: &Value) -> Option<Violation> {
    let names: Vec<String> = spec
        .items("securityContext.sysctls")
        .iter()
        .map(|sysctl| sysctl.text("name").to_owned())
        .filter(|name| !SAFE_SYSCTLS.contains(&name.as_str()))
        .collect();
    (!names.is_empty()).then(|| Violation::new("forbidden sysctls", names.join(", ")))
}

fn host_process(spec: &Value) -> Option<Violation> {
    let forbidden = |holder: &Value| holder.flag("securityContext.windowsOptions.hostProcess");
    let names = named(spec, forbidden);
    let pod = forbidden(spec);
    (pod || !names.is_empty()).then(|| {
        let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters(pod, &names));
        Violation::new("hostProcess", detail)
    })
}
