//! Bodies as upstream's decoder takes them.

use serde_json::json;

use super::*;
use crate::meta::Gvk;

fn ty(group: &str, version: &str, kind: &str) -> Type<'static> {
    table().by_gvk(&Gvk::new(group, version, kind)).unwrap()
}

#[test]
fn objects_without_a_type_have_metadata_all_the_same() {
    let json = br#"{"metadata":{"name":"a","nam":"b","labels":{"x":"y"}},"spec":{"a":1,"a":2}}"#;
    let checked = check_object_json(json).unwrap();
    assert_eq!(checked.strict, ["duplicate field \"spec.a\"", "unknown field \"metadata.nam\""]);
    assert_eq!(checked.value["metadata"]["labels"]["x"], "y");
    assert!(check_object_json(br#"{"metadata":{"labels":{"x":1}}}"#).is_err());
}

#[test]
fn unknown_and_duplicate_fields_are_named_in_order() {
    let body = br#"{"kind":"Deployment","foo":1,"spec":{"replicas":1,"replicas":2,"bar":{"x":1},
        "template":{"metadata":{"labels":{"a":"1","a":"2"}},"spec":{"containers":[{"name":"a"},{"name":"b","imagee":"x"}]}}}}"#;
    let checked = check_json(body, ty("apps", "v1", "Deployment")).unwrap();
    assert_eq!(
        checked.strict,
        [
            r#"unknown field "foo""#,
            r#"duplicate field "spec.replicas""#,
            r#"unknown field "spec.bar""#,
            r#"duplicate field "spec.template.metadata.labels.a""#,
            r#"unknown field "spec.template.spec.containers[1].imagee""#
        ]
    );
    assert_eq!(
        checked.value,
        json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"metadata": {"labels": {"a": "2"}}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}})
    );
    assert!(
        checked.strict_error().unwrap().starts_with("strict decoding error: unknown field \"foo\", duplicate field")
    );
}

#[test]
fn type_errors_read_as_gos() {
    for (kind, body, want) in [
        (
            "Deployment",
            r#"{"spec":{"replicas":"3"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "Deployment",
            r#"{"spec":{"replicas":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "Deployment",
            r#"{"spec":{"replicas":3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "Deployment",
            r#"{"spec":[]}"#,
            "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
        ),
        (
            "Deployment",
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "Deployment",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":1}]}}}}"#,
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string",
        ),
        (
            "Deployment",
            r#"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        ("Deployment", r#"[]"#, "json: cannot unmarshal array into Go value of type v1.Deployment"),
        (
            "Deployment",
            r#"{"metadata":{"creationTimestamp":"x"}}"#,
            r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#,
        ),
        (
            "Deployment",
            r#"{"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"1x"}}}]}}}}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("Deployment", r#"{"spec": x}"#, "invalid character 'x' looking for beginning of value"),
        ("Deployment", r#"{"spec": {"#, "unexpected end of JSON input"),
    ] {
        assert_eq!(check_json(body.as_bytes(), ty("apps", "v1", kind)), Err(DecodeError(want.to_owned())), "{body}");
    }
}

#[test]
fn values_are_normalised_and_nulls_go() {
    let body = br#"{"metadata":{"name":"a","creationTimestamp":null,"labels":{},"finalizers":[]},
        "spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":0.5,"memory":"1024Mi"}},"args":[null,"x"]}],
        "volumes":[{"name":"v","emptyDir":{}}],"activeDeadlineSeconds":9007199254740993},"status":{"startTime":"2026-11-21T10:00:00+02:00"}}"#;
    let checked = check_json(body, ty("", "v1", "Pod")).unwrap();
    assert_eq!(checked.strict, [""; 0]);
    assert_eq!(
        checked.value,
        json!({"metadata": {"name": "a"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}, "args": ["", "x"]}],
                "volumes": [{"name": "v", "emptyDir": {}}], "activeDeadlineSeconds": 9007199254740993i64},
            "status": {"startTime": "2026-11-21T08:00:00Z"}})
    );
    assert_eq!(check_value(checked.value.clone(), ty("", "v1", "Pod")), Ok(checked));
}

#[test]
fn free_form_parts_stay_as_they_are() {
    let crd = json!({"spec": {"versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"a": {"default": {"x": null}, "items": {"type": "string"}, "additionalProperties": false}}}}}]}});
    let ty = ty("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    assert_eq!(check_value(crd.clone(), ty).map(|c| c.value), Ok(crd));
}

#[test]
fn secrets_keep_proper_base64() {
    let secret = ty("", "v1", "Secret");
    assert_eq!(
        check_json(br#"{"data":{"a":"aGVs\nbG8="}}"#, secret).map(|c| c.value),
        Ok(json!({"data": {"a": "aGVsbG8="}}))
    );
    assert_eq!(
        check_json(br#"{"data":{"a":"a*b"}}"#, secret),
        Err(DecodeError("illegal base64 data at input byte 1".to_owned()))
    );
}
