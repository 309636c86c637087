//! Ownership as upstream keeps it.

use serde_json::json;

use super::*;
use crate::meta::Gvk;
use crate::schema::table;

const NOW: &str = "2026-11-21T08:00:00Z";

fn deployment_type() -> Type<'static> {
    table().by_gvk(&Gvk::new("apps", "v1", "Deployment")).unwrap()
}

fn writer<'a>(manager: &'a str) -> Writer<'a> {
    Writer { manager, subresource: "", api_version: "apps/v1", now: NOW, reset_fields: &["status"] }
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": spec})
}

/// Manager, operation and fields of every entry.
fn owners(object: &Value) -> Value {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows = list.iter().map(|e| {
        (format!("{}/{}", e["manager"].as_str().unwrap(), e["operation"].as_str().unwrap()), e["fieldsV1"].clone())
    });
    Value::Object(rows.collect())
}

/// Applies and gives the object a uid as the server would.
#[track_caller]
fn applied(live: &Value, patch: Value, manager: &str, force: bool) -> Value {
    let mut out = apply(live, &patch, writer(manager), force, deployment_type()).unwrap();
    meta::set_meta(&mut out, "uid", "u");
    out
}

fn blank() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}})
}

#[test]
fn a_create_is_owned_as_upstream_writes_it() {
    let mut new = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"app": "d"}, "uid": "u", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {}, "ports": [{"containerPort": 80}]}]}}}});
    update(None, &mut new, writer("kubectl-create"), deployment_type()).unwrap();
    assert_eq!(
        new["metadata"]["managedFields"],
        json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:selector": {}, "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:image": {}, "f:resources": {},
                    "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}}])
    );
}

#[test]
fn an_update_takes_what_it_changes() {
    let mut live = deployment(json!({"replicas": 1, "paused": true}));
    update(None, &mut live, writer("a"), deployment_type()).unwrap();
    let mut new = live.clone();
    new["spec"] = json!({"replicas": 2});
    let later = Writer { now: "2026-11-21T09:00:00Z", ..writer("b") };
    update(Some(&live), &mut new, later, deployment_type()).unwrap();
    assert_eq!(owners(&new), json!({"b/Update": {"f:spec": {"f:replicas": {}}}}));
    // The status is not this endpoint's.
    let mut status = new.clone();
    status["status"] = json!({"replicas": 1});
    update(Some(&new), &mut status, writer("b"), deployment_type()).unwrap();
    assert_eq!(owners(&status), owners(&new));
    let through_status = Writer { subresource: "status", reset_fields: &["spec"], ..writer("c") };
    update(Some(&new), &mut status, through_status, deployment_type()).unwrap();
    assert_eq!(
        owners(&status),
        json!({"b/Update": {"f:spec": {"f:replicas": {}}}, "c/Update": {"f:status": {"f:replicas": {}}}})
    );
}

#[test]
fn clients_may_leave_out_or_reset_managed_fields() {
    let mut live = deployment(json!({"replicas": 1}));
    update(None, &mut live, writer("a"), deployment_type()).unwrap();
    let mut new = without_managed_fields(&live);
    update(Some(&live), &mut new, writer("b"), deployment_type()).unwrap();
    assert_eq!(owners(&new), owners(&live));
    new["metadata"]["managedFields"] = json!([{}]);
    update(Some(&live), &mut new, writer("b"), deployment_type()).unwrap();
    assert_eq!(new["metadata"].get("managedFields"), None);
}

#[test]
fn update_managers_are_capped() {
    let mut live = deployment(json!({"replicas": 0}));
    update(None, &mut live, writer("m0"), deployment_type()).unwrap();
    for i in 1..15 {
        let mut new = live.clone();
        new["metadata"]["annotations"][format!("a{i}")] = "x".into();
        let (name, now) = (format!("m{i}"), format!("2026-11-21T08:00:{i:02}Z"));
        update(Some(&live), &mut new, Writer { manager: &name, now: &now, ..writer("") }, deployment_type()).unwrap();
        live = new;
    }
    let owners = owners(&live);
    assert_eq!(owners.as_object().map(Map::len), Some(10));
    assert_eq!(owners["ancient-changes/Update"]["f:spec"], json!({"f:replicas": {}}));
}

#[test]
fn apply_creates_changes_and_removes() {
    let live = applied(
        &blank(),
        deployment(
            json!({"replicas": 3, "minReadySeconds": 5, "template": {"spec": {"containers": [{"name": "c", "image": "1"}]}}}),
        ),
        "m",
        false,
    );
    assert_eq!(
        owners(&live),
        json!({"m/Apply": {"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}, "f:template": {"f:spec": {"f:containers": {
            "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}})
    );
    let next = applied(
        &live,
        deployment(json!({"replicas": 4, "template": {"spec": {"containers": [{"name": "d", "image": "2"}]}}})),
        "m",
        false,
    );
    assert_eq!(
        next["spec"],
        json!({"replicas": 4, "template": {"spec": {"containers": [{"name": "d", "image": "2"}]}}})
    );
    // What others own stays when this manager lets go of it.
    let shared = applied(&next, deployment(json!({"replicas": 4})), "other", false);
    let left = applied(&shared, deployment(json!({"template": {"spec": {"containers": [{"name": "d"}]}}})), "m", false);
    assert_eq!(left["spec"], json!({"replicas": 4, "template": {"spec": {"containers": [{"name": "d"}]}}}));
    // Unless it was shared with no one.
    let gone =
        applied(&left, deployment(json!({"template": {"spec": {"containers": [{"name": "d"}]}}})), "other", false);
    assert_eq!(gone["spec"], json!({"template": {"spec": {"containers": [{"name": "d"}]}}}));
}

#[test]
fn lists_merge_by_their_keys() {
    let ports =
        |ports: Value| deployment(json!({"template": {"spec": {"containers": [{"name": "c", "ports": ports}]}}}));
    let live =
        applied(&blank(), ports(json!([{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}])), "a", false);
    let both =
        applied(&live, ports(json!([{"containerPort": 443}, {"containerPort": 53, "protocol": "TCP"}])), "b", false);
    assert_eq!(
        both["spec"]["template"]["spec"]["containers"][0]["ports"],
        json!([{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 443}, {"containerPort": 53, "protocol": "TCP"}])
    );
    let finalizers = |list: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "finalizers": list}});
    let live = applied(&blank(), finalizers(json!(["a/1", "b/2"])), "a", false);
    let live = applied(&live, finalizers(json!(["c/3"])), "b", false);
    assert_eq!(live["metadata"]["finalizers"], json!(["a/1", "b/2", "c/3"]));
    let live = applied(&live, finalizers(json!(["b/2"])), "a", false);
    assert_eq!(live["metadata"]["finalizers"], json!(["b/2", "c/3"]));
}

#[test]
fn conflicts_are_named_and_can_be_forced() {
    let mut live = deployment(json!({"replicas": 1, "paused": true}));
    update(None, &mut live, writer("kubectl"), deployment_type()).unwrap();
    meta::set_meta(&mut live, "uid", "u");
    let patch = deployment(json!({"replicas": 2}));
    let error = apply(&live, &patch, writer("m"), false, deployment_type()).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (409, "Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas")
    );
    assert_eq!(
        serde_json::to_value(error.details.unwrap().causes).unwrap(),
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\" using apps/v1", "field": ".spec.replicas"}])
    );
    let two = apply(&live, &deployment(json!({"replicas": 2, "paused": false})), writer("m"), false, deployment_type())
        .unwrap_err();
    assert_eq!(
        two.message,
        "Apply failed with 2 conflicts: conflicts with \"kubectl\" using apps/v1:\n- .spec.paused\n- .spec.replicas"
    );
    let forced = apply(&live, &patch, writer("m"), true, deployment_type()).unwrap();
    assert_eq!(
        owners(&forced),
        json!({"kubectl/Update": {"f:spec": {"f:paused": {}}}, "m/Apply": {"f:spec": {"f:replicas": {}}}})
    );
    // The same value is shared, not contested.
    let shared = apply(&live, &deployment(json!({"replicas": 1})), writer("m"), false, deployment_type()).unwrap();
    assert_eq!(
        owners(&shared),
        json!({"kubectl/Update": {"f:spec": {"f:paused": {}, "f:replicas": {}}}, "m/Apply": {"f:spec": {"f:replicas": {}}}})
    );
}

#[test]
fn fields_before_the_first_apply_can_conflict() {
    let mut live = deployment(json!({"replicas": 1}));
    meta::set_meta(&mut live, "uid", "u");
    let error = apply(&live, &deployment(json!({"replicas": 2})), writer("m"), false, deployment_type()).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn kubectl_takes_over_from_client_side_apply() {
    let mut live = deployment(json!({"replicas": 1}));
    live["metadata"]["annotations"] = json!({LAST_APPLIED: deployment(json!({"replicas": 1})).to_string()});
    update(None, &mut live, writer("kubectl-client-side-apply"), deployment_type()).unwrap();
    meta::set_meta(&mut live, "uid", "u");
    let patch = deployment(json!({"replicas": 5}));
    assert!(apply(&live, &patch, writer("other"), false, deployment_type()).is_err());
    let out = apply(&live, &patch, writer("kubectl"), false, deployment_type()).unwrap();
    assert_eq!(out["spec"]["replicas"], 5);
    let recorded: Value = serde_json::from_str(meta::annotation(&out, LAST_APPLIED).unwrap()).unwrap();
    assert_eq!(recorded["spec"]["replicas"], 5);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for (patch, code, message) in [
        (
            deployment(json!({"foo": 1})),
            500,
            "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema",
        ),
        (
            deployment(json!({"replicas": "3"})),
            500,
            "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
        ),
        (
            deployment(json!({"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}})),
            500,
            "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]",
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": [{}]}}),
            400,
            "metadata.managedFields must be nil",
        ),
    ] {
        let error = apply(&blank(), &patch, writer("m"), false, deployment_type()).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message));
    }
}

#[test]
fn an_apply_that_changes_nothing_changes_nothing() {
    let patch = deployment(json!({"replicas": 3}));
    let live = applied(&blank(), patch.clone(), "m", false);
    let later = Writer { now: "2027-01-01T00:00:00Z", ..writer("m") };
    assert_eq!(apply(&live, &patch, later, false, deployment_type()), Ok(live));
}
