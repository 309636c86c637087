//! Warnings about pods and pod templates that are allowed but are seldom meant (`pkg/api/pod/warnings.go`).

use std::collections::HashMap;

use drydock_api::field::Path;
use serde_json::Value;

use crate::registry::value::{Read as _, annotation, quantity};

/// Labels of nodes that have new names.
const NODE_LABELS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#),
    ("beta.kubernetes.io/instance-type", r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#),
    ("beta.kubernetes.io/os", r#"deprecated since v1.14; use "kubernetes.io/os" instead"#),
    (
        "failure-domain.beta.kubernetes.io/region",
        r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#,
    ),
    ("failure-domain.beta.kubernetes.io/zone", r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#),
];

/// Annotations that nothing reads any more.
const ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    ("security.alpha.kubernetes.io/unsafe-sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
];

/// Volume sources that are going or gone.
pub(in crate::registry) const VOLUMES: &[(&str, &str)] = &[
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const SECCOMP: &str = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
const APP_ARMOR: &str = r#"deprecated since v1.30; use the "appArmorProfile" field instead"#;

/// Warnings about the `metadata` and `spec` of `pod`, which stands at `path` (the root for a Pod itself).
pub(in crate::registry) fn pod(pod: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = pod.at("spec");
    let at = path.child("spec");
    node_labels(&mut warnings, spec, &at);
    spread(&mut warnings, spec, &at);
    let annotations = path.child("metadata.annotations");
    for (key, text) in ANNOTATIONS {
        if annotation(pod, key).is_some() {
            warnings.push(format!("{}: {text}", annotations.key(key)));
        }
    }
    volumes(&mut warnings, spec, &at.child("volumes"));
    lists(&mut warnings, spec, &at);
    for resource in ["memory", "ephemeral-storage"] {
        fraction(&mut warnings, spec.at("overhead"), &at.child("overhead"), resource);
    }
    profiles(&mut warnings, pod, spec, path);
    for (container, at) in containers(spec, &at) {
        of_container(&mut warnings, container, &at);
    }
    ports(&mut warnings, spec, &at);
    if spec.int("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            at.child("terminationGracePeriodSeconds")
        ));
    }
    affinity(&mut warnings, spec, &at.child("affinity"));
    warnings
}

/// Warns when a resource that counts bytes is given as a fraction of one.
pub(in crate::registry) fn fraction(warnings: &mut Vec<String>, list: &Value, path: &Path, resource: &str) {
    if let Some(amount) = quantity(list.get(resource).unwrap_or(&Value::Null))
        && amount.milli_value() % 1000 != 0
    {
        warnings.push(format!(
            "{}: fractional byte value {:?} is invalid, must be an integer",
            path.key(resource),
            amount.to_string()
        ));
    }
}

/// Warns of old names of node labels among the keys of a node selector term.
pub(in crate::registry) fn node_selector_term(warnings: &mut Vec<String>, term: &Value, path: &Path) {
    for (index, expression) in term.items("matchExpressions").iter().enumerate() {
        if let Some(text) = node_label(expression.text("key")) {
            let path = path.child("matchExpressions").index(index).child("key");
            warnings.push(format!("{path}: {} is {text}", expression.text("key")));
        }
    }
}

/// What is wrong with a node label's name.
pub(in crate::registry) fn node_label(key: &str) -> Option<&'static str> {
    NODE_LABELS.iter().find(|(old, _)| *old == key).map(|(_, text)| *text)
}

/// All containers with their paths, in the order in which upstream visits them.
fn containers<'a>(spec: &'a Value, path: &Path) -> Vec<(&'a Value, Path)> {
    let mut all = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            all.push((container, path.child(list).index(index)));
        }
    }
    all
}

fn node_labels(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for (key, _) in spec.entries("nodeSelector") {
        if let Some(text) = node_label(key) {
            warnings.push(format!("{}: {text}", path.child("nodeSelector").key(key)));
        }
    }
    let path = path.child("affinity.nodeAffinity");
    let required = path.child("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    let terms = spec.items("affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    for (index, term) in terms.iter().enumerate() {
        node_selector_term(warnings, term, &required.index(index));
    }
    let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    let terms = spec.items("affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in terms.iter().enumerate() {
        node_selector_term(warnings, term.at("preference"), &preferred.index(index).child("preference"));
    }
}

const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

fn spread(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for (index, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let path = path.child("topologySpreadConstraints").index(index);
        let key = constraint.text("topologyKey");
        if let Some(text) = node_label(key) {
            warnings.push(format!("{}: {key} is {text}", path.child("topologyKey")));
        }
        if !constraint.has("labelSelector") {
            warnings.push(format!("{}: {NO_SELECTOR}", path.child("labelSelector")));
        }
    }
}

fn affinity(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (list, term) in [
            ("requiredDuringSchedulingIgnoredDuringExecution", ""),
            ("preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm."),
        ] {
            for (index, item) in spec.items(&format!("affinity.{kind}.{list}")).iter().enumerate() {
                let selector = format!("{term}labelSelector");
                if !item.has(&selector) {
                    let path = path.child(kind).child(list).index(index).child(&selector);
                    warnings.push(format!("{path}: {NO_SELECTOR}"));
                }
            }
        }
    }
}

fn volumes(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let volumes = spec.items("volumes");
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        for (source, text) in VOLUMES {
            if volume.has(source) {
                warnings.push(format!("{}: {text}", path.child(source)));
            }
        }
        let requests = "ephemeral.volumeClaimTemplate.spec.resources.requests";
        fraction(warnings, volume.at(requests), &path.child(requests), "storage");
    }
    for volume in volumes {
        overlaps(warnings, volume);
    }
}

/// Files of one volume that would lie over one another.
fn overlaps(warnings: &mut Vec<String>, volume: &Value) {
    let name = volume.text("name");
    let paths = |source: &Value| -> Vec<String> {
        source.items("items").iter().map(|item| item.text("path").to_owned()).collect()
    };
    if volume.has("configMap.items") {
        let what = format!("volume {name:?} (ConfigMap {:?}): overlapping paths", volume.text("configMap.name"));
        overlap(warnings, &paths(volume.at("configMap")), &what);
    }
    if volume.has("secret.items") {
        let what = format!("volume {name:?} (Secret {:?}): overlapping paths", volume.text("secret.secretName"));
        overlap(warnings, &paths(volume.at("secret")), &what);
    }
    if volume.has("downwardAPI.items") {
        overlap(
            warnings,
            &paths(volume.at("downwardAPI")),
            &format!("volume {name:?} (DownwardAPI): overlapping paths"),
        );
    }
    let mut all: Vec<String> = Vec::new();
    for source in volume.items("projected.sources") {
        if source.as_object().is_none_or(serde_json::Map::is_empty) {
            warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
            continue;
        }
        let (own, what) = if source.has("configMap.items") {
            (paths(source.at("configMap")), format!("ConfigMap {:?}", source.text("configMap.name")))
        } else if source.has("secret.items") {
            (paths(source.at("secret")), format!("Secret {:?}", source.text("secret.name")))
        } else if source.has("downwardAPI.items") {
            (paths(source.at("downwardAPI")), "DownwardAPI".to_owned())
        } else if source.has("serviceAccountToken") {
            (vec![source.text("serviceAccountToken.path").to_owned()], "ServiceAccountToken".to_owned())
        } else if source.has("clusterTrustBundle") {
            let bundle = source.at("clusterTrustBundle");
            let name = if bundle.has("name") { bundle.text("name") } else { bundle.text("signerName") };
            (vec![bundle.text("path").to_owned()], format!("ClusterTrustBundle {name:?}"))
        } else {
            continue;
        };
        let what = format!("volume {name:?} (Projected {what}): overlapping paths");
        overlap(warnings, &own, &what);
        let mut unique = own;
        unique.sort();
        unique.dedup();
        let mut together = unique.clone();
        together.extend(all.iter().cloned());
        together.sort();
        overlap(warnings, &together, &what);
        all.extend(unique);
        all.sort();
        all.dedup();
    }
}

fn overlap(warnings: &mut Vec<String>, paths: &[String], what: &str) {
    let mut seen: Vec<&str> = Vec::new();
    for path in paths {
        let path = path.trim_end_matches('/');
        let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let collides = |other: &str| {
            !other.is_empty() && !path.is_empty() && (other == path || within(other, path) || within(path, other))
        };
        if let Some(other) = seen.iter().copied().find(|other| collides(other)) {
            warnings.push(format!("{what}: {path:?} with {other:?}"));
        }
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
}

/// Repeated or empty entries of lists that merge by a key.
fn lists(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for (list, key) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen: Vec<&str> = Vec::new();
        for (index, item) in spec.items(list).iter().enumerate() {
            let value = item.text(key);
            if seen.contains(&value) {
                warnings.push(format!("{}: duplicate {key} {value:?}", path.child(list).index(index).child(key)));
            }
            seen.push(value);
        }
    }
    for (index, item) in spec.items("imagePullSecrets").iter().enumerate() {
        if item.text("name").is_empty() {
            warnings.push(format!(
                "{}: invalid empty name {:?}",
                path.child("imagePullSecrets").index(index).child("name"),
                ""
            ));
        }
    }
}

/// Annotations that stood for the profiles of seccomp and AppArmor.
fn profiles(warnings: &mut Vec<String>, pod: &Value, spec: &Value, path: &Path) {
    let annotations = path.child("metadata.annotations");
    let key = "seccomp.security.alpha.kubernetes.io/pod";
    if !spec.has("securityContext.seccompProfile") && annotation(pod, key).is_some() {
        warnings.push(format!("{}: {SECCOMP}", annotations.key(key)));
    }
    let template = !path.as_str().is_empty();
    for (container, _) in containers(spec, path) {
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{}", container.text("name"));
        if !container.has("securityContext.seccompProfile") && annotation(pod, &key).is_some() {
            warnings.push(format!("{}: {SECCOMP}", annotations.key(&key)));
        }
        let key = format!("container.apparmor.security.beta.kubernetes.io/{}", container.text("name"));
        let profile = spec.has("securityContext.appArmorProfile") || container.has("securityContext.appArmorProfile");
        if template && !profile && annotation(pod, &key).is_some() {
            warnings.push(format!("{}: {APP_ARMOR}", annotations.key(&key)));
        }
    }
}

fn of_container(warnings: &mut Vec<String>, container: &Value, path: &Path) {
    for resource in ["memory", "ephemeral-storage"] {
        for list in ["resources.limits", "resources.requests"] {
            fraction(warnings, container.at(list), &path.child(list), resource);
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, variable) in container.items("env").iter().enumerate() {
        let name = variable.text("name");
        if !seen.contains(&name) {
            seen.push(name);
            continue;
        }
        // `A=$(A)b` builds on the earlier value and is fine.
        let (value, reference) = (variable.text("value"), format!("$({name})"));
        if variable.has("valueFrom") || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                path.child("env").index(index)
            ));
        }
    }
}

/// Ports of all containers that are the same or may be.
fn ports(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let mut all: HashMap<(i64, &str), Vec<(Path, &Value)>> = HashMap::new();
    for (container, path) in containers(spec, path) {
        for (index, port) in container.items("ports").iter().enumerate() {
            let path = path.child("ports").index(index);
            let address = |port: &Value| (port.text("hostIP").to_owned(), port.int("hostPort").unwrap_or(0));
            let (ip, host) = address(port);
            if !ip.is_empty() && host == 0 {
                warnings.push(format!(
                    "{path}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{ip}}}",
                    port.text("name"),
                    port.int("containerPort").unwrap_or(0),
                    port.text("protocol"),
                ));
            }
            let others = all.entry((port.int("containerPort").unwrap_or(0), port.text("protocol"))).or_default();
            for (at, other) in others.iter() {
                let (other_ip, other_host) = address(other);
                let how = if ip == other_ip && host == other_host {
                    "duplicate"
                } else if host == 0 || other_host == 0 {
                    "overlapping"
                } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{path}: {how} port definition with {at}"));
            }
            others.push((path, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts() {
        let cases: &[(Value, &[&str])] = &[
            (json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}), &[]),
            (
                json!({"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}, "terminationGracePeriodSeconds": -1}}),
                &[
                    r#"spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead"#,
                    "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
                ],
            ),
            (
                json!({"spec": {"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}]}]}}),
                &[
                    r#"spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply"#,
                ],
            ),
            (
                json!({"spec": {"containers": [{"ports": [{"containerPort": 80, "protocol": "TCP"}]},
                    {"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP", "hostPort": 8080}]}]}}),
                &[
                    "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]",
                    "spec.containers[1].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
                    "spec.containers[1].ports[1]: overlapping port definition with spec.containers[1].ports[0]",
                ],
            ),
            (
                json!({"spec": {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}], "containers": [{"resources": {"requests": {"memory": "100m"}}}]}}),
                &[
                    r#"spec.imagePullSecrets[1].name: duplicate name "a""#,
                    r#"spec.imagePullSecrets[2].name: invalid empty name """#,
                    r#"spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer"#,
                ],
            ),
            (
                json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}, {"key": "c", "path": "xy"}]}}]}}),
                &[r#"volume "v" (ConfigMap "m"): overlapping paths: "x/y" with "x""#],
            ),
            (
                json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}]}}),
                &[
                    r#"spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#,
                    "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
                ],
            ),
        ];
        for (object, expected) in cases {
            assert_eq!(&pod(object, &Path::root()), expected, "{object}");
        }
        let template = json!({"spec": {"terminationGracePeriodSeconds": -1}});
        assert!(
            pod(&template, &Path::new("spec.template"))[0]
                .starts_with("spec.template.spec.terminationGracePeriodSeconds")
        );
    }
}
