//! Objects survive protobuf, and what Go's encoder writes reads as Go's JSON would have said it.

use serde_json::{Value, json};

use super::wire::{put_bytes, put_int};
use super::*;
use crate::meta::Gvk;

#[track_caller]
fn round_trip(object: Value) {
    let bytes = encode_protobuf(&object).unwrap();
    assert!(bytes.starts_with(PROTOBUF_MAGIC));
    let (gvk, back) = decode_protobuf(&bytes, None).unwrap();
    assert_eq!(gvk, crate::meta::gvk(&object));
    assert_eq!(back, object);
}

#[test]
fn objects_round_trip() {
    round_trip(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aGVsbG8="}, "type": "Opaque"}),
    );
    round_trip(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}, "creationTimestamp": "2026-11-21T08:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]},
        "spec": {
            "volumes": [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "cm", "defaultMode": 420, "items": [{"key": "k", "path": "p"}]}}],
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}},
                "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": false}}}],
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 10},
                "readinessProbe": {"exec": {"command": ["true"]}},
                "securityContext": {"runAsUser": 0, "runAsNonRoot": false}}],
            "ephemeralContainers": [{"name": "d", "image": "i", "targetContainerName": "c"}],
            "terminationGracePeriodSeconds": 0
        },
        "status": {"startTime": "2026-11-21T08:00:00Z", "phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}
    }));
    round_trip(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}, {"port": 81, "targetPort": "web"}], "selector": {"a": "b"}}}));
    round_trip(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "a"}]}}}}));
    round_trip(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "h", "renewTime": "2026-11-21T08:00:00.123456Z", "leaseDurationSeconds": 40}}));
    round_trip(json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": "u", "groups": ["g"], "extra": {"k": ["v", "w"]}}}));
    round_trip(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"rules": [{"host": "h", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}));
    round_trip(json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": {"resourceVersion": "5"},
        "items": [{"metadata": {"name": "d"}}]}));
    round_trip(
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "w"},
        "webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://x"},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}]}]}),
    );
    round_trip(
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x.y.z"},
        "spec": {"group": "y.z", "scope": "Namespaced", "names": {"plural": "x", "kind": "X"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"a": {"type": "integer", "default": 1, "minimum": 0.0}, "b": {"type": "object", "additionalProperties": {"type": "string"}},
                    "c": {"type": "object", "additionalProperties": true}, "d": {"type": "array", "items": {"type": "string"}}}}}}]}}),
    );
}

#[test]
fn every_type_reads_its_own_empty_message() {
    for ty in crate::schema::table().types() {
        assert_eq!(decode_message(&[], ty), Ok(json!({})), "{ty:?}");
    }
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let (mut meta, mut out) = (Vec::new(), PROTOBUF_MAGIC.to_vec());
    put_bytes(&mut meta, 1, api_version.as_bytes());
    put_bytes(&mut meta, 2, kind.as_bytes());
    put_bytes(&mut out, 1, &meta);
    put_bytes(&mut out, 2, raw);
    out
}

#[test]
fn zeros_that_go_always_writes_are_dropped() {
    // A Deployment spec as client-go writes it: replicas nil, minReadySeconds 0, paused false.
    let mut spec = Vec::new();
    put_int(&mut spec, 5, 0);
    put_int(&mut spec, 7, 0);
    let mut meta = Vec::new();
    put_bytes(&mut meta, 1, b"d");
    put_bytes(&mut meta, 2, b"");
    put_int(&mut meta, 7, 0);
    put_bytes(&mut meta, 8, b"");
    let mut raw = Vec::new();
    put_bytes(&mut raw, 1, &meta);
    put_bytes(&mut raw, 2, &spec);
    let (_, value) = decode_protobuf(&envelope("apps/v1", "Deployment", &raw), None).unwrap();
    assert_eq!(value, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}));
}

#[test]
fn delete_options_come_in_any_group() {
    let mut raw = Vec::new();
    put_int(&mut raw, 1, 0);
    put_bytes(&mut raw, 4, b"Background");
    let (gvk, value) = decode_protobuf(&envelope("apps/v1", "DeleteOptions", &raw), None).unwrap();
    assert_eq!(gvk, Gvk::new("apps", "v1", "DeleteOptions"));
    assert_eq!(
        value,
        json!({"apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    );
}

#[test]
fn broken_bodies_are_refused() {
    for (body, want) in [
        (b"{}".to_vec(), "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (envelope("v1", "Nope", b""), "no kind \"Nope\" is registered for version \"v1\""),
        (envelope("v1", "Pod", &[0x0a, 0x05, 1]), "unexpected EOF"),
        (envelope("v1", "Pod", &[0x08, 0x05]), "proto: wrong wireType"),
        (envelope("v1", "Pod", &[0xff; 12]), "proto: integer overflow"),
    ] {
        assert_eq!(decode_protobuf(&body, None).map_err(|e| e.to_string()), Err(want.to_owned()));
    }
}

#[test]
fn an_envelope_without_a_kind_takes_the_default() {
    let gvk = Gvk::new("", "v1", "Namespace");
    assert_eq!(decode_protobuf(&envelope("", "", b""), Some(&gvk)).map(|(gvk, _)| gvk), Ok(gvk));
}
