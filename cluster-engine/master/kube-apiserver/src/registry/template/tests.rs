//! Table of pod specs and what is wrong with them.

use drydock_api::field::Path;
use serde_json::{Value, json};

use super::{PodName, defaults, pod_spec};
use crate::registry::check::{Errors, texts};
use crate::registry::value::Read as _;

/// Defaults the spec, then checks it as that of a pod called `pod`.
#[track_caller]
fn check(mut spec: Value, expected: &[&str]) {
    if !spec.has("containers") {
        spec["containers"] = json!([{"name": "c", "image": "i"}]);
    }
    defaults::pod_spec(&mut spec);
    let mut errors = Errors::new();
    pod_spec(&mut errors, &spec, &Path::new("spec"), PodName::Pod("pod"));
    assert_eq!(texts(&errors), expected);
}

/// One container with these fields beside name and image.
fn container(fields: Value) -> Value {
    let mut container = json!({"name": "c", "image": "i"});
    for (key, value) in fields.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!({ "containers": [container] })
}

#[test]
fn containers() {
    check(json!({}), &[]);
    check(json!({"containers": []}), &["spec.containers: Required value"]);
    check(
        json!({"containers": [{"name": "A_b"}, {"name": "x", "image": "i"}, {"name": "x", "image": "i"}]}),
        &[
            r#"spec.containers[0].name: Invalid value: "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"#,
            "spec.containers[0].image: Required value",
            r#"spec.containers[2].name: Duplicate value: "x""#,
        ],
    );
    check(
        container(json!({"imagePullPolicy": "Sometimes", "terminationMessagePolicy": "x"})),
        &[
            r#"spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: "File", "FallbackToLogsOnError""#,
            r#"spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never""#,
        ],
    );
    check(
        json!({"initContainers": [{"name": "c", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}}}]}),
        &[
            r#"spec.initContainers[0].name: Duplicate value: "c""#,
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ],
    );
}

#[test]
fn ports() {
    check(
        container(
            json!({"ports": [{"containerPort": 0}, {"containerPort": 70000, "protocol": "ICMP"}, {"containerPort": 80, "name": "Web!"}]}),
        ),
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            r#"spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP""#,
            r#"spec.containers[0].ports[2].name: Invalid value: "Web!": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
        ],
    );
    check(
        container(json!({"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]})),
        &[r#"spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80""#],
    );
    check(
        json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 81}]}]}),
        &[
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        ],
    );
}

#[test]
fn probes() {
    check(
        container(
            json!({"livenessProbe": {"httpGet": {"port": 80, "scheme": "ftp"}, "tcpSocket": {"port": "x"}, "successThreshold": 2},
            "readinessProbe": {"periodSeconds": -1}}),
        ),
        &[
            r#"spec.containers[0].livenessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS""#,
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
            "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check(
        container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}})),
        &[
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 60: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ],
    );
}

#[test]
fn environment() {
    check(
        container(
            json!({"env": [{"name": ""}, {"name": "a=b"}, {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s"}}},
            {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]}),
        ),
        &[
            "spec.containers[0].env[0].name: Required value",
            r#"spec.containers[0].env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='"#,
            r#"spec.containers[0].env[2].valueFrom: Invalid value: "": may not be specified when `value` is not empty"#,
            r#"spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope"#,
            "spec.containers[0].env[4].valueFrom.secretKeyRef.key: Required value",
            r#"spec.containers[0].env[5].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory""#,
        ],
    );
    check(
        container(json!({"envFrom": [{}, {"configMapRef": {"name": "a"}}]})),
        &[r#"spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`"#],
    );
}

#[test]
fn resources() {
    check(
        container(
            json!({"resources": {"limits": {"cpu": "1", "bogus": "1"}, "requests": {"cpu": "2", "memory": "-1", "example.com/gpu": "1"}}}),
        ),
        &[
            r#"spec.containers[0].resources.limits[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified"#,
            r#"spec.containers[0].resources.limits[bogus]: Invalid value: "bogus": must be a standard resource for containers"#,
            r#"spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#,
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            r#"spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0"#,
        ],
    );
}

#[test]
fn volumes() {
    check(
        json!({"volumes": [{"name": "a", "secret": {}}, {"name": "b", "emptyDir": {}, "hostPath": {"path": "/x"}}, {"name": "", "configMap": {"name": "c"}},
            {"name": "d", "configMap": {"name": "c", "defaultMode": 4095, "items": [{"key": "k", "path": "../x"}]}}, {"name": "e"}, {"name": "e"}],
            "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "zz", "mountPath": "/a"}, {"name": "e", "mountPath": "/a"}]}]}),
        &[
            "spec.volumes[0].secret.secretName: Required value",
            "spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[2].name: Required value",
            "spec.volumes[3].configMap.defaultMode: Invalid value: 4095: must be a number between 0 and 0777 (octal), both inclusive",
            r#"spec.volumes[3].configMap.items[0].path: Invalid value: "../x": must not contain '..'"#,
            r#"spec.volumes[5].name: Duplicate value: "e""#,
            r#"spec.containers[0].volumeMounts[0].name: Not found: "zz""#,
            r#"spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique"#,
        ],
    );
}

#[test]
fn security() {
    check(
        json!({"securityContext": {"runAsUser": -1, "seccompProfile": {"type": "Localhost"}, "sysctls": [{"name": "net.X"}]}, "hostUsers": false, "hostPID": true}),
        &[
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            r#"spec.securityContext.sysctls[0].name: Invalid value: "net.X": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"#,
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false",
        ],
    );
    check(
        container(json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}})),
        &[
            r#"spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"#,
        ],
    );
}

#[test]
fn scheduling() {
    check(
        json!({"tolerations": [{"operator": "Equal"}, {"key": "a", "operator": "Exists", "value": "x", "effect": "Boo", "tolerationSeconds": 1}],
            "nodeSelector": {"a b": "c"},
            "topologySpreadConstraints": [{"maxSkew": 0, "whenUnsatisfiable": "Never"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}, "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}}}),
        &[
            r#"spec.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"#,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            r#"spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Never": supported values: "DoNotSchedule", "ScheduleAnyway""#,
            r#"spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys""#,
            r#"spec.tolerations[1].effect: Invalid value: "Boo": effect must be 'NoExecute' when `tolerationSeconds` is set"#,
            r#"spec.tolerations[1].operator: Invalid value: "x": value must be empty when `operator` is 'Exists'"#,
            r#"spec.tolerations[1].effect: Unsupported value: "Boo": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#,
        ],
    );
}

#[test]
fn the_rest() {
    check(
        json!({"restartPolicy": "Maybe", "dnsPolicy": "None", "activeDeadlineSeconds": 0, "hostname": "a.b", "os": {"name": "beos"}, "nodeName": "N"}),
        &[
            r#"spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never""#,
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            r#"spec.nodeName: Invalid value: "N": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"#,
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            r#"spec.hostname: Invalid value: "a.b": must not contain dots"#,
            r#"spec.os: Unsupported value: "beos": supported values: "linux", "windows""#,
        ],
    );
}
