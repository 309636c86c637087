//! The restricted level: today's good practice for hardening pods.

use serde_json::Value;

use super::containers::{all, containers, named, plural, quote, sorted};
use super::{Policy, Violation};
use crate::registry::Read as _;

const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// The rules broken, in the order of their ids.
pub(super) fn check(policy: Policy, spec: &Value) -> Vec<Violation> {
    // Windows has none of these.
    let windows = policy.since(25) && spec.text("os.name") == "windows";
    [
        if windows { None } else { escalation(spec) },
        if windows || !policy.since(22) { None } else { capabilities(spec) },
        volumes(spec),
        non_root(spec),
        if policy.since(23) { root_user(spec) } else { None },
        if windows || !policy.since(19) { None } else { seccomp(spec) },
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn escalation(spec: &Value) -> Option<Violation> {
    let names =
        named(spec, |container| container.at("securityContext.allowPrivilegeEscalation").as_bool() != Some(false));
    (!names.is_empty()).then(|| {
        Violation::new(
            "allowPrivilegeEscalation != false",
            format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names)),
        )
    })
}

fn capabilities(spec: &Value) -> Option<Violation> {
    let has_dropped =
        |container: &Value| container.items("securityContext.capabilities.drop").iter().any(|name| name == "ALL");
    let added = |container: &Value| -> Vec<String> {
        let list = container.items("securityContext.capabilities.add").iter().filter_map(Value::as_str);
        list.filter(|name| *name != "NET_BIND_SERVICE").map(str::to_owned).collect()
    };
    let keeping = named(spec, |container| !has_dropped(container));
    let adding = named(spec, |container| !added(container).is_empty());
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        let extra = sorted(all(spec).flat_map(added).collect());
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&adding),
            quote(extra.iter().map(String::as_str))
        ));
    }
    (!details.is_empty()).then(|| Violation::new("unrestricted capabilities", details.join("; ")))
}

fn volumes(spec: &Value) -> Option<Violation> {
    let kind = |volume: &Value| -> String {
        let fields = volume.as_object().into_iter().flatten();
        fields.map(|(key, _)| key.as_str()).find(|key| *key != "name").unwrap_or("unknown").to_owned()
    };
    let bad: Vec<&Value> =
        spec.items("volumes").iter().filter(|volume| !VOLUMES.contains(&kind(volume).as_str())).collect();
    let kinds = sorted(bad.iter().map(|volume| kind(volume)).collect());
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {} {}",
            plural("volume", "volumes", bad.len()),
            quote(bad.iter().map(|volume| volume.text("name"))),
            plural("uses", "use", bad.len()),
            plural("restricted volume type", "restricted volume types", kinds.len()),
            quote(kinds.iter().map(String::as_str))
        );
        Violation::new("restricted volume types", detail)
    })
}

fn non_root(spec: &Value) -> Option<Violation> {
    let said = |holder: &Value| holder.at("securityContext.runAsNonRoot").as_bool();
    let mut setters = Vec::new();
    if said(spec) == Some(false) {
        setters.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
    }
    let explicit = named(spec, |container| said(container) == Some(false));
    if !explicit.is_empty() {
        setters.push(format!("{} must not set securityContext.runAsNonRoot=false", containers(&explicit)));
    }
    if !setters.is_empty() {
        return Some(Violation::new("runAsNonRoot != true", setters.join("; ")));
    }
    let implicit = named(spec, |container| said(container).is_none() && said(spec) != Some(true));
    (!implicit.is_empty()).then(|| {
        let detail = format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&implicit));
        Violation::new("runAsNonRoot != true", detail)
    })
}

fn root_user(spec: &Value) -> Option<Violation> {
    let root = |holder: &Value| holder.int("securityContext.runAsUser") == Some(0);
    let names = named(spec, root);
    let mut setters = Vec::new();
    if root(spec) {
        setters.push("pod".to_owned());
    }
    if !names.is_empty() {
        setters.push(containers(&names));
    }
    (!setters.is_empty())
        .then(|| Violation::new("runAsUser=0", format!("{} must not set runAsUser=0", setters.join(" and "))))
}

fn seccomp(spec: &Value) -> Option<Violation> {
    let kind = |holder: &Value| holder.text("securityContext.seccompProfile.type").to_owned();
    let fine = |holder: &Value| matches!(kind(holder).as_str(), "RuntimeDefault" | "Localhost");
    let bad = |holder: &Value| !kind(holder).is_empty() && !fine(holder);
    let explicit = named(spec, bad);
    let mut setters = Vec::new();
    let mut values = Vec::new();
    if bad(spec) {
        setters.push("pod".to_owned());
        values.push(kind(spec));
    }
    if !explicit.is_empty() {
        setters.push(containers(&explicit));
        values.extend(all(spec).filter(|one| bad(one)).map(kind));
    }
    if !setters.is_empty() {
        let values = sorted(values);
        let detail = format!(
            "{} must not set securityContext.seccompProfile.type to {}",
            setters.join(" and "),
            quote(values.iter().map(String::as_str))
        );
        return Some(Violation::new("seccompProfile", detail));
    }
    let implicit = named(spec, |container| kind(container).is_empty() && !fine(spec));
    (!implicit.is_empty()).then(|| {
        let detail = format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            containers(&implicit)
        );
        Violation::new("seccompProfile", detail)
    })
}
