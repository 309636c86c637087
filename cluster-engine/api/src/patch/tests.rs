//! Patches as upstream applies them.

use serde_json::json;

use super::*;
use crate::meta::Gvk;
use crate::schema::table;

fn ty(group: &str, kind: &str) -> Type<'static> {
    table().by_gvk(&Gvk::new(group, "v1", kind)).unwrap()
}

#[test]
fn copies_cannot_grow_without_end() {
    let copies = |count: usize| -> Vec<_> {
        (0..count).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/c{i}")})).collect()
    };
    let original = json!({"a": {"b": "x".repeat(1000)}});
    assert!(json_patch(&original, json!(copies(8)).to_string().as_bytes()).is_ok());
    let refused = json_patch(&original, json!(copies(40)).to_string().as_bytes());
    assert_eq!(refused.map_err(|status| status.code), Err(422));
}

#[test]
fn json_patches() {
    let original = json!({"a": {"b": [1, 2, 3]}, "x/y": 1});
    for (patch, want) in [
        (json!([{"op": "add", "path": "/a/c", "value": 1}]), Some(json!({"a": {"b": [1, 2, 3], "c": 1}, "x/y": 1}))),
        (json!([{"op": "add", "path": "/a/b/1", "value": 9}]), Some(json!({"a": {"b": [1, 9, 2, 3]}, "x/y": 1}))),
        (json!([{"op": "add", "path": "/a/b/-", "value": 9}]), Some(json!({"a": {"b": [1, 2, 3, 9]}, "x/y": 1}))),
        (json!([{"op": "remove", "path": "/a/b/-1"}]), Some(json!({"a": {"b": [1, 2]}, "x/y": 1}))),
        (json!([{"op": "replace", "path": "/x~1y", "value": 2}]), Some(json!({"a": {"b": [1, 2, 3]}, "x/y": 2}))),
        (json!([{"op": "move", "from": "/x~1y", "path": "/z"}]), Some(json!({"a": {"b": [1, 2, 3]}, "z": 1}))),
        (
            json!([{"op": "copy", "from": "/a/b/0", "path": "/z"}]),
            Some(json!({"a": {"b": [1, 2, 3]}, "x/y": 1, "z": 1})),
        ),
        (json!([{"op": "test", "path": "/a/b/0", "value": 1.0}]), Some(original.clone())),
        (json!([{"op": "test", "path": "/gone", "value": null}]), Some(original.clone())),
        (json!([{"op": "test", "path": "/a/b/0", "value": 2}]), None),
        (json!([{"op": "remove", "path": "/gone"}]), None),
        (json!([{"op": "replace", "path": "/gone", "value": 1}]), None),
        (json!([{"op": "add", "path": "/gone/x", "value": 1}]), None),
        (json!([{"op": "add", "path": "/a/b/5", "value": 1}]), None),
        (json!([{"op": "nope", "path": "/a"}]), None),
    ] {
        let got = json_patch(&original, patch.to_string().as_bytes());
        match want {
            Some(want) => assert_eq!(got, Ok(want), "{patch}"),
            None => assert_eq!(got.map_err(|s| (s.code, s.reason)), Err((422, "Invalid".to_owned())), "{patch}"),
        }
    }
    assert_eq!(
        json_patch(&original, b"{}").map_err(|s| (s.code, s.message)),
        Err((400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch".to_owned()))
    );
    let long = Value::from(vec![json!({"op": "test", "path": "/gone"}); 10_001]).to_string();
    assert_eq!(json_patch(&original, long.as_bytes()).map_err(|s| s.code), Err(413));
}

#[test]
fn merge_patches() {
    for (original, patch, want) in [
        (json!({"a": 1, "b": {"c": 1}}), json!({"a": null, "b": {"d": 2}}), json!({"b": {"c": 1, "d": 2}})),
        (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
        (json!({}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
        (json!({"a": 1}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
    ] {
        assert_eq!(merge_patch(&original, &patch), Ok(want));
    }
    assert_eq!(merge_patch(&json!({}), &json!([])).map_err(|s| s.code), Err(400));
}

#[track_caller]
fn pod(original: Value, patch: Value, want: Value) {
    let wrap = |spec: Value| json!({"spec": spec});
    assert_eq!(strategic_merge(&wrap(original), &wrap(patch), ty("", "Pod")), Ok(wrap(want)));
}

#[test]
fn lists_merge_by_key() {
    pod(
        json!({"containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80, "name": "x"}]}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "image": "2", "ports": [{"containerPort": 81}]}]}),
        json!({"containers": [{"name": "a", "image": "2", "ports": [{"containerPort": 81}, {"containerPort": 80, "name": "x"}]}, {"name": "b"}]}),
    );
    pod(
        json!({"containers": [{"name": "a"}]}),
        json!({"containers": [{"name": "b"}]}),
        json!({"containers": [{"name": "b"}, {"name": "a"}]}),
    );
    pod(
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]}),
    );
    pod(
        json!({"nodeSelector": {"a": "1", "b": "2"}}),
        json!({"nodeSelector": {"a": null, "c": "3"}}),
        json!({"nodeSelector": {"b": "2", "c": "3"}}),
    );
    pod(json!({}), json!({"containers": [{"name": "a", "image": null}]}), json!({"containers": [{"name": "a"}]}));
}

#[test]
fn directives() {
    pod(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
        json!({"containers": [{"name": "b"}]}),
    );
    pod(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}),
        json!({"containers": [{"name": "c"}]}),
    );
    pod(
        json!({"securityContext": {"runAsUser": 1}}),
        json!({"securityContext": {"$patch": "replace", "fsGroup": 2}}),
        json!({"securityContext": {"fsGroup": 2}}),
    );
    pod(
        json!({"securityContext": {"runAsUser": 1}}),
        json!({"securityContext": {"$patch": "delete"}}),
        json!({"securityContext": {}}),
    );
    pod(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
    );
}

#[test]
fn element_order() {
    pod(
        json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "server"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "containers": [{"name": "c"}]}),
        json!({"containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}, {"name": "server"}]}),
    );
    pod(
        json!({"containers": [{"name": "a"}, {"name": "s"}, {"name": "b"}]}),
        json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"containers": [{"name": "a"}, {"name": "s"}, {"name": "b"}]}),
    );
}

#[test]
fn primitive_lists() {
    let wrap = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let run =
        |original: Value, patch: Value| strategic_merge(&wrap(original), &json!({ "metadata": patch }), ty("", "Pod"));
    assert_eq!(run(json!(["a", "b"]), json!({"finalizers": ["c"]})), Ok(wrap(json!(["c", "a", "b"]))));
    assert_eq!(run(json!(["a", "b"]), json!({"$deleteFromPrimitiveList/finalizers": ["a"]})), Ok(wrap(json!(["b"]))));
    assert_eq!(
        run(
            json!(["a", "b"]),
            json!({"$setElementOrder/finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]})
        ),
        Ok(wrap(json!(["b", "c"])))
    );
}

#[test]
fn a_strategy_replaced_as_kubectl_does() {
    let deployment = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(
        strategic_merge(&deployment, &patch, ty("apps", "Deployment")),
        Ok(json!({"spec": {"strategy": {"type": "Recreate"}}}))
    );
}

#[test]
fn a_selector_of_a_budget_is_replaced() {
    let budget = json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}});
    let patch = json!({"spec": {"selector": {"matchLabels": {"b": "1"}}}});
    assert_eq!(strategic_merge(&budget, &patch, ty("policy", "PodDisruptionBudget")), Ok(patch));
}

#[test]
fn bad_patches() {
    for (patch, code, message) in [
        (
            json!({"spec": {"containers": [{"image": "x"}]}}),
            500,
            "map: {\"image\":\"x\"} does not contain declared merge key: name",
        ),
        (json!({"spec": {"$patch": "nope"}}), 500, "unknown patch type: nope in map: {}"),
        (json!({"spec": {"$retainKeys": ["a"], "b": 1}}), 400, "invalid patch format of retainKeys"),
        (json!({"spec": {"$setElementOrder/containers": {}}}), 400, "invalid patch format of setElementOrder list"),
    ] {
        let original = json!({"spec": {"containers": [{"name": "a"}]}});
        assert_eq!(
            strategic_merge(&original, &patch, ty("", "Pod")).map_err(|s| (s.code, s.message)),
            Err((code, message.to_owned())),
            "{patch}"
        );
    }
}
