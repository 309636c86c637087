//! PodSecurity: the levels `privileged`, `baseline` and `restricted`, chosen by labels of the namespace.
//!
//! `enforce` refuses pods; `audit` and `warn` only tell, of pods and of what makes pods.

mod baseline;
mod containers;
mod restricted;

use std::collections::BTreeMap;

use drydock_api::field::{FieldError, Path};
use drydock_api::{Status, go_quote, meta};
use serde_json::Value;

use super::{Attempt, Operation, rules};
use crate::registry::Read as _;

const PREFIX: &str = "pod-security.kubernetes.io/";
/// Upstream looks at no more pods than this when a namespace becomes stricter.
const PODS_AT_MOST: usize = 3000;

/// How much a pod may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A level as one release of Kubernetes understood it; none is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy {
    level: Level,
    minor: Option<u32>,
}

impl Policy {
    /// Whether a rule that came with `minor` is part of it.
    fn since(self, minor: u32) -> bool {
        self.minor.is_none_or(|own| own >= minor)
    }

    /// From the labels of a namespace; what cannot be read is as strict as can be.
    fn of(namespace: &Value, mode: &str) -> Self {
        let label = |suffix: &str| meta::label(namespace, &format!("{PREFIX}{mode}{suffix}"));
        let level = match label("") {
            None => Level::Privileged,
            Some(text) => {
                Level::parse(text).unwrap_or(if mode == "enforce" { Level::Restricted } else { Level::Privileged })
            }
        };
        Self { level, minor: label("-version").and_then(minor) }
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.minor {
            None => write!(f, "{}:latest", self.level.name()),
            Some(minor) => write!(f, "{}:v1.{minor}", self.level.name()),
        }
    }
}

fn minor(text: &str) -> Option<u32> {
    text.strip_prefix("v1.")?.parse().ok()
}

/// One rule that a pod breaks.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    reason: String,
    detail: String,
}

impl Violation {
    fn new(reason: &str, detail: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), detail: detail.into() }
    }
}

/// The rules that a pod breaks: those of the baseline first, each group in the order of the rules' ids.
fn evaluate(policy: Policy, metadata: &Value, spec: &Value) -> Vec<Violation> {
    match policy.level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::check(policy, metadata, spec, false),
        Level::Restricted => {
            let mut all = baseline::check(policy, metadata, spec, true);
            all.extend(restricted::check(policy, spec));
            all
        }
    }
}

/// `reason (detail), reason`.
fn details(violations: &[Violation]) -> String {
    let texts = violations.iter().map(|violation| {
        if violation.detail.is_empty() {
            violation.reason.clone()
        } else {
            format!("{} ({})", violation.reason, violation.detail)
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Checks pods, what makes pods, and namespaces whose labels say how strict they are.
///
/// # Errors
/// 403 for a pod below the enforced level, 422 for labels that are none.
pub(super) fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object.filter(|_| matches!(attempt.operation, Operation::Create | Operation::Update)) else {
        return Ok(());
    };
    let row = attempt.row;
    match (row.group, row.plural, attempt.subresource_name()) {
        ("", "namespaces", "") => namespace(attempt, object),
        ("", "pods", "" | "ephemeralcontainers") => pod(attempt, object),
        ("", "replicationcontrollers", "")
        | ("apps", "deployments" | "daemonsets" | "replicasets" | "statefulsets", "")
        | ("batch", "jobs", "") => {
            tell(attempt, object.at("spec.template.metadata"), object.at("spec.template.spec"), true);
            Ok(())
        }
        ("", "podtemplates", "") => {
            tell(attempt, object.at("template.metadata"), object.at("template.spec"), true);
            Ok(())
        }
        ("batch", "cronjobs", "") => {
            let template = object.at("spec.jobTemplate.spec.template");
            tell(attempt, template.at("metadata"), template.at("spec"), true);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn pod(attempt: &Attempt<'_>, pod: &Value) -> Result<(), Status> {
    if attempt.old.is_some_and(|old| !is_significant(pod, old)) {
        return Ok(());
    }
    let Some(namespace) = rules::namespace_object(attempt) else { return Ok(()) };
    let policy = Policy::of(&namespace, "enforce");
    let (metadata, spec) = (pod.at("metadata"), pod.at("spec"));
    let notes = &attempt.exchange.notes;
    notes.annotate(&format!("{PREFIX}enforce-policy"), policy.to_string());
    let violations = evaluate(policy, metadata, spec);
    tell(attempt, metadata, spec, violations.is_empty());
    if violations.is_empty() {
        return Ok(());
    }
    let why = format!("violates PodSecurity {}: {}", go_quote(&policy.to_string()), details(&violations));
    Err(attempt.forbidden(attempt.shown_name(Some(pod)), why))
}

/// Audits and warns as the namespace's labels ask for.
fn tell(attempt: &Attempt<'_>, metadata: &Value, spec: &Value, allowed: bool) {
    if spec.is_null() {
        return;
    }
    let Some(namespace) = rules::namespace_object(attempt) else { return };
    let text = |mode: &str| {
        let policy = Policy::of(&namespace, mode);
        let violations = evaluate(policy, metadata, spec);
        (!violations.is_empty())
            .then(|| format!("would violate PodSecurity {}: {}", go_quote(&policy.to_string()), details(&violations)))
    };
    if let Some(text) = text("audit") {
        attempt.exchange.notes.annotate(&format!("{PREFIX}audit-violations"), text);
    }
    if let Some(text) = text("warn").filter(|_| allowed) {
        attempt.exchange.warn(text);
    }
}

/// Whether an update can change what a pod may do.
fn is_significant(new: &Value, old: &Value) -> bool {
    let bare = |pod: &Value| {
        let mut spec = pod.at("spec").clone();
        if let Some(fields) = spec.as_object_mut() {
            for key in
                ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates"]
            {
                fields.remove(key);
            }
        }
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if let Some(fields) = container.as_object_mut() {
                    fields.remove("image");
                    fields.remove("resources");
                }
            }
        }
        spec
    };
    bare(new) != bare(old)
}

/// The labels of a namespace must be readable; making it stricter warns of the pods that are not up to it.
fn namespace(attempt: &Attempt<'_>, namespace: &Value) -> Result<(), Status> {
    let mut errors = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let path = Path::new("metadata.labels");
        let key = format!("{PREFIX}{mode}");
        if let Some(text) = meta::label(namespace, &key).filter(|text| Level::parse(text).is_none()) {
            let why = "must be one of privileged, baseline, restricted";
            errors.push(FieldError::invalid(&path.key(&key), text, why));
        }
        let key = format!("{key}-version");
        if let Some(text) = meta::label(namespace, &key).filter(|text| *text != "latest" && minor(text).is_none()) {
            errors.push(FieldError::invalid(&path.key(&key), text, "must be \"latest\" or \"v1.x\""));
        }
    }
    if !errors.is_empty() {
        // What was wrong before does not keep others from changing the namespace.
        let before = attempt.old.map(meta::labels);
        if before != Some(meta::labels(namespace)) {
            return Err(Status::invalid("", "Namespace", meta::name(namespace), errors));
        }
        return Ok(());
    }
    let Some(old) = attempt.old else { return Ok(()) };
    let (before, after) = (Policy::of(old, "enforce"), Policy::of(namespace, "enforce"));
    if after.level == Level::Privileged
        || before == after
        || (after.level < before.level && after.minor == before.minor)
    {
        return Ok(());
    }
    let name = meta::name(namespace);
    let mut pods: Vec<Value> = attempt.server.objects("/registry/pods", name);
    pods.truncate(PODS_AT_MOST);
    let lines = violators(after, &pods);
    if !lines.is_empty() {
        attempt.exchange.warn(format!(
            "existing pods in namespace {} violate the new PodSecurity enforce level {}",
            go_quote(name),
            go_quote(&after.to_string())
        ));
        lines.into_iter().for_each(|line| attempt.exchange.warn(line));
    }
    Ok(())
}

/// `pod (and 2 other pods): reasons`, one line for each set of reasons.
fn violators(policy: Policy, pods: &[Value]) -> Vec<String> {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for pod in pods {
        let broken = evaluate(policy, pod.at("metadata"), pod.at("spec"));
        if !broken.is_empty() {
            let reasons: Vec<_> = broken.into_iter().map(|violation| violation.reason).collect();
            by_reason.entry(reasons.join(", ")).or_default().push(meta::name(pod));
        }
    }
    let mut lines: Vec<String> = by_reason
        .into_iter()
        .map(|(reasons, mut names)| {
            names.sort_unstable();
            match names.len() - 1 {
                0 => format!("{}: {reasons}", names[0]),
                1 => format!("{} (and 1 other pod): {reasons}", names[0]),
                more => format!("{} (and {more} other pods): {reasons}", names[0]),
            }
        })
        .collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(level: Level, spec: Value, expected: &str) {
        let policy = Policy { level, minor: None };
        assert_eq!(details(&evaluate(policy, &Value::Null, &spec)), expected);
    }

    #[test]
    fn a_plain_pod_is_not_restricted() {
        let spec = json!({"containers": [{"name": "c"}]});
        check(Level::Baseline, spec.clone(), "");
        check(
            Level::Restricted,
            spec,
            r#"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#,
        );
        check(
            Level::Restricted,
            json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}),
            "",
        );
    }

    #[test]
    fn the_baseline_forbids_the_host() {
        check(
            Level::Baseline,
            json!({"hostNetwork": true, "hostPID": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
                "containers": [{"name": "a", "ports": [{"hostPort": 80}], "securityContext": {"privileged": true, "capabilities": {"add": ["NET_ADMIN", "KILL"]}}}, {"name": "b", "securityContext": {"privileged": true}}]}),
            r#"non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume "v"), hostPort (container "a" uses hostPort 80), privileged (containers "a", "b" must not set securityContext.privileged=true)"#,
        );
    }

    #[test]
    fn volumes_of_the_restricted_level() {
        let violations = restricted::check(
            Policy { level: Level::Restricted, minor: None },
            &json!({"volumes": [{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}, {"name": "x", "emptyDir": {}}]}),
        );
        assert_eq!(
            details(&violations),
            r#"restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")"#
        );
    }

    #[test]
    fn labels_name_level_and_version() {
        let namespace = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.24"}}});
        let policy = Policy::of(&namespace, "enforce");
        assert_eq!((policy.to_string().as_str(), policy.since(25), policy.since(24)), ("baseline:v1.24", false, true));
        assert_eq!(Policy::of(&namespace, "warn").to_string(), "privileged:latest");
        let pods = [
            json!({"metadata": {"name": "a"}, "spec": {"hostPID": true}}),
            json!({"metadata": {"name": "b"}, "spec": {"hostPID": true}}),
        ];
        assert_eq!(violators(policy, &pods), ["a (and 1 other pod): host namespaces"]);
    }
}
