//! What clients look for in the documents.

use serde_json::json;

use super::*;

fn spec(group: &str, kind: &str, plural: &str, subresource: &str, verbs: &[&str]) -> PathSpec {
    PathSpec {
        gvk: Gvk::new(group, "v1", kind),
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        subresource: subresource.to_owned(),
        namespaced: true,
        verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
        schema: None,
    }
}

const ALL: [&str; 8] = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"];

fn specs() -> Vec<PathSpec> {
    let scale = PathSpec {
        gvk: Gvk::new("autoscaling", "v1", "Scale"),
        ..spec("apps", "Deployment", "deployments", "scale", &["get", "patch", "update"])
    };
    let crd = PathSpec {
        schema: Some(
            json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer", "nullable": true, "default": 1}}}}}),
        ),
        ..spec("example.com", "Cron", "crons", "", &ALL)
    };
    vec![
        spec("apps", "Deployment", "deployments", "", &ALL),
        scale,
        spec("", "Pod", "pods", "", &ALL),
        spec("", "Pod", "pods", "exec", &["connect"]),
        crd,
    ]
}

/// Every reference leads to a schema.
#[track_caller]
fn check_references(document: &Value, schemas: &str, value: &Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if let ("$ref", Some(target)) = (key.as_str(), value.as_str()) {
                    let name = target.rsplit('/').next().unwrap();
                    assert!(document.pointer(schemas).unwrap().get(name).is_some(), "{target}");
                }
                check_references(document, schemas, value);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| check_references(document, schemas, value)),
        _ => {}
    }
}

#[test]
fn v3_has_what_kubectl_apply_looks_for() {
    let document = v3("apps", "v1", &specs());
    check_references(&document, "/components/schemas", &document);
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    assert!(
        patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation" && p["in"] == "query")
    );
    assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some());
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "kind": "Deployment", "version": "v1"}])
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(
        (
            &containers["x-kubernetes-patch-merge-key"],
            &containers["x-kubernetes-patch-strategy"],
            &containers["x-kubernetes-list-map-keys"]
        ),
        (&json!("name"), &json!("merge"), &json!(["name"]))
    );
    assert_eq!(
        schemas["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"
    );
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"];
    assert_eq!(
        (&scale["operationId"], &scale["x-kubernetes-group-version-kind"]["kind"]),
        (&json!("readAppsV1NamespacedDeploymentScale"), &json!("Scale"))
    );
}

#[test]
fn v3_of_the_core_group_and_of_custom_kinds() {
    let core = v3("", "v1", &specs());
    check_references(&core, "/components/schemas", &core);
    assert_eq!(core["paths"]["/api/v1/pods"]["get"]["x-kubernetes-action"], "list");
    assert_eq!(
        core["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["post"]["x-kubernetes-action"],
        "connect"
    );
    assert_eq!(
        core["components"]["schemas"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"],
        "int-or-string"
    );
    let custom = v3("example.com", "v1", &specs());
    check_references(&custom, "/components/schemas", &custom);
    let cron = &custom["components"]["schemas"]["com.example.v1.Cron"];
    assert_eq!(cron["properties"]["spec"]["properties"]["n"]["default"], 1);
    assert_eq!(cron["x-kubernetes-group-version-kind"][0]["kind"], "Cron");
    let patch = &custom["paths"]["/apis/example.com/v1/namespaces/{namespace}/crons/{name}"]["patch"];
    assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_none());
}

#[test]
fn v2_says_what_swagger_can_say() {
    let document = v2(&specs());
    check_references(&document, "/definitions", &document);
    assert_eq!(document["swagger"], "2.0");
    assert_eq!(document["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"], "string");
    let n = &document["definitions"]["com.example.v1.Cron"]["properties"]["spec"]["properties"]["n"];
    assert_eq!(n, &json!({}));
    let post = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"];
    assert_eq!(post["parameters"][0]["schema"]["$ref"], "#/definitions/io.k8s.api.apps.v1.Deployment");
}

#[test]
fn the_protobuf_form_says_the_same() {
    use crate::codec::wire::{Reader, Wire};
    fn field(message: &[u8], wanted: u32) -> Vec<&[u8]> {
        let (mut reader, mut out) = (Reader::new(message), Vec::new());
        while let Some((tag, wire)) = reader.next().unwrap() {
            if let (true, Wire::Bytes(bytes)) = (tag == wanted, wire) {
                out.push(bytes);
            }
        }
        out
    }
    fn entry<'a>(parts: &[&'a [u8]], tag: u32, name: &str) -> &'a [u8] {
        let mut entries = parts.iter().flat_map(|part| field(part, tag));
        let found = entries.find(|entry| field(entry, 1) == [name.as_bytes()]);
        field(found.unwrap_or_else(|| panic!("no {name}")), 2)[0]
    }
    let mut out = Vec::new();
    write_v2_protobuf(&mut out, &specs(), Vec::new()).unwrap();
    assert_eq!(field(&out, 1), [b"2.0"]);
    let document = v2(&specs());
    let paths = field(&out, 8);
    assert_eq!(paths.len() + 3, document["paths"].as_object().unwrap().len(), "all but the three of discovery");
    let patch = field(entry(&paths, 2, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"), 8)[0];
    let names: Vec<&[u8]> = field(patch, 8)
        .into_iter()
        .flat_map(|item| field(field(item, 1)[0], 2))
        .map(|other| field(field(other, 3)[0], 4)[0])
        .collect();
    assert!(names.contains(&&b"dryRun"[..]) && names.contains(&&b"fieldValidation"[..]));
    let definitions = field(&out, 9);
    assert_eq!(definitions.len(), document["definitions"].as_object().unwrap().len());
    let spec = entry(&definitions, 1, "io.k8s.api.apps.v1.DeploymentSpec");
    let strategy = entry(&field(spec, 25), 1, "strategy");
    assert_eq!(field(strategy, 1), [b"#/definitions/io.k8s.api.apps.v1.DeploymentStrategy"]);
    let extension = entry(&[strategy], 31, "x-kubernetes-patch-strategy");
    assert_eq!(field(extension, 2), [b"\"retainKeys\""]);
}
