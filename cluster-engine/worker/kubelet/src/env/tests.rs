//! Environments as tables.

use super::*;
use crate::pod::tests::pod;

fn sources() -> Sources {
    let object = |yaml: &str| serde_saphyr::from_str::<serde_json::Value>(yaml).unwrap();
    let map: ConfigMap = serde_json::from_value(object("{metadata: {name: cm}, data: {k: v, other: w}}")).unwrap();
    let secret: Secret = serde_json::from_value(object("{metadata: {name: s}, data: {k: aGlkZGVu}}")).unwrap();
    let service = |text: &str| Arc::new(serde_json::from_value::<Service>(object(text)).unwrap());
    Sources {
        config_maps: [("cm".to_owned(), Arc::new(map))].into(),
        secrets: [("s".to_owned(), Arc::new(secret))].into(),
        services: vec![
            service(
                "{metadata: {name: kubernetes, namespace: default}, spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443}]}}",
            ),
            service(
                "{metadata: {name: my-db, namespace: ns}, spec: {clusterIP: 10.96.0.7, ports: [{port: 53, protocol: UDP}]}}",
            ),
            service("{metadata: {name: headless, namespace: ns}, spec: {clusterIP: None, ports: [{port: 1}]}}"),
        ],
        host_ip: "10.20.0.3".into(),
        pod_ip: "10.244.1.5".into(),
        node_name: "worker-1".into(),
        files: [
            (("v".to_owned(), "env".to_owned()), files::EnvFile::Text("A='one'\nEMPTY=''\n".to_owned())),
            (("v".to_owned(), "none".to_owned()), files::EnvFile::Missing),
        ]
        .into(),
        allocatable: [("cpu".to_owned(), "2".parse().unwrap())].into(),
    }
}

fn environment(container: &str) -> Result<Vec<(String, String)>, String> {
    let yaml = format!(
        "{{metadata: {{name: p, namespace: ns, uid: u, labels: {{app: web}}}}, spec: {{serviceAccountName: sa, containers: [{{name: c, {container}}}]}}}}"
    );
    let pod = pod(&yaml);
    build(&pod, &pod.spec.containers[0], &sources())
}

#[track_caller]
fn check(container: &str, expected: &[(&str, &str)]) {
    let found = environment(container).unwrap();
    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(&found[..expected.len()], expected);
}

#[test]
fn values_and_references() {
    check("env: [{name: A, value: x}, {name: B, value: $(A)y}, {name: A, value: z}]", &[("A", "z"), ("B", "xy")]);
    check("env: [{name: A, value: $(MY_DB_SERVICE_HOST)}]", &[("A", "10.96.0.7")]);
    check("env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k}}}]", &[("A", "v")]);
    check("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]", &[("A", "hidden")]);
    check("envFrom: [{prefix: P_, configMapRef: {name: cm}}]", &[("P_k", "v"), ("P_other", "w")]);
    check("envFrom: [{secretRef: {name: s}}], env: [{name: k, value: mine}]", &[("k", "mine")]);
}

#[test]
fn files_on_volumes() {
    let variable = |rest: &str| format!("env: [{{name: X, valueFrom: {{fileKeyRef: {{volumeName: v, {rest}}}}}}}]");
    check(&variable("path: env, key: A"), &[("X", "one")]);
    for rest in ["path: env, key: OTHER, optional: true", "path: none, key: A, optional: true"] {
        assert!(environment(&variable(rest)).unwrap().iter().all(|(name, _)| name != "X"), "{rest}");
    }
    for (rest, expected) in [
        ("path: env, key: OTHER", "environment variable key \"OTHER\" not found in file \"env\""),
        ("path: env, key: EMPTY", "environment variable key \"EMPTY\" not found in file \"env\""),
        ("path: none, key: A", "couldn't parse env file"),
        ("path: other, key: A", "cannot find the volume \"v\" referenced by FileKeyRef"),
    ] {
        assert_eq!(environment(&variable(rest)).unwrap_err(), expected, "{rest}");
    }
}

#[test]
fn the_downward_api() {
    for (path, value) in [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "web"),
        ("spec.nodeName", "worker-1"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "10.244.1.5"),
        ("status.hostIP", "10.20.0.3"),
    ] {
        check(&format!("env: [{{name: A, valueFrom: {{fieldRef: {{fieldPath: \"{path}\"}}}}}}]"), &[("A", value)]);
    }
    let with = |reference: &str| {
        format!(
            "resources: {{requests: {{cpu: 250m}}, limits: {{memory: 64Mi}}}}, env: [{{name: A, valueFrom: {{resourceFieldRef: {{{reference}}}}}}}]"
        )
    };
    check(&with("resource: limits.memory"), &[("A", "67108864")]);
    check(&with("resource: limits.memory, divisor: 1Mi"), &[("A", "64")]);
    check(&with("resource: requests.cpu"), &[("A", "1")]);
    check(&with("resource: requests.cpu, divisor: 1m"), &[("A", "250")]);
    check(&with("resource: limits.cpu"), &[("A", "2")]);
}

#[test]
fn services_are_variables() {
    let found = environment("env: []").unwrap();
    let get = |name: &str| found.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(get("KUBERNETES_SERVICE_HOST"), Some("10.96.0.1"));
    assert_eq!(get("KUBERNETES_SERVICE_PORT_HTTPS"), Some("443"));
    assert_eq!(get("KUBERNETES_PORT"), Some("tcp://10.96.0.1:443"));
    assert_eq!(get("MY_DB_PORT_53_UDP_ADDR"), Some("10.96.0.7"));
    assert_eq!(get("HEADLESS_SERVICE_HOST"), None);
    let without = pod("{metadata: {namespace: ns}, spec: {enableServiceLinks: false, containers: [{name: c}]}}");
    let found = build(&without, &without.spec.containers[0], &sources()).unwrap();
    assert!(found.iter().all(|(name, _)| !name.starts_with("MY_DB")));
    assert!(found.iter().any(|(name, _)| name == "KUBERNETES_SERVICE_HOST"));
}

#[test]
fn missing_objects_and_keys_are_told_as_upstream_does() {
    for (container, expected) in [
        ("envFrom: [{configMapRef: {name: nope}}]", "configmap \"nope\" not found"),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: nope, key: k}}}]", "secret \"nope\" not found"),
        (
            "env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: nope}}}]",
            "couldn't find key nope in ConfigMap ns/cm",
        ),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: nope}}}]", "couldn't find key nope in Secret ns/s"),
    ] {
        assert_eq!(environment(container).unwrap_err(), expected);
    }
    let optional = environment("env: [{name: A, valueFrom: {configMapKeyRef: {name: nope, key: k, optional: true}}}]");
    assert!(optional.unwrap().iter().all(|(name, _)| name != "A"));
}
