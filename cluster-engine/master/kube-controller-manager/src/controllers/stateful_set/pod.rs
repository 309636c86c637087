//! The pods and claims of a stateful set: names, identity, storage.

use drydock_client::Object;
use drydock_client::types::Pod;
use serde_json::{Value, json};

use crate::controllers::owned::{controller_reference, from_template};
use crate::controllers::revisions::REVISION_LABEL;
use crate::kinds::{Claim, StatefulSet};

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

pub(super) fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.name())
}

/// The number in a pod's name, if the name is one of the set's.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let number = pod.name().strip_prefix(set.name())?.strip_prefix('-')?;
    // "web-01" is not a name that the set gives.
    number.parse().ok().filter(|ordinal: &i32| ordinal.to_string() == number)
}

fn templates(set: &StatefulSet) -> impl Iterator<Item = (String, Value)> + '_ {
    set.spec.volume_claim_templates.iter().map(|template| {
        let template = template.value();
        let name = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        (name, template)
    })
}

fn claim_name(set: &StatefulSet, template: &str, ordinal: i32) -> String {
    format!("{template}-{}-{ordinal}", set.name())
}

/// A pod of the set.
pub(super) fn new_pod(set: &StatefulSet, template: &Value, ordinal: i32, revision: &str) -> Value {
    let mut body = from_template(template, &controller_reference::<StatefulSet>(&set.metadata), set.namespace());
    let name = pod_name(set, ordinal);
    body["metadata"]["name"] = name.as_str().into();
    body["metadata"]["labels"][POD_NAME] = name.as_str().into();
    body["metadata"]["labels"][POD_INDEX] = ordinal.to_string().into();
    body["metadata"]["labels"][REVISION_LABEL] = revision.into();
    body["spec"]["hostname"] = name.as_str().into();
    body["spec"]["subdomain"] = set.spec.service_name.as_str().into();
    let mut volumes = body.pointer("/spec/volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    for (template, _) in templates(set) {
        volumes.retain(|volume| volume["name"] != template.as_str());
        volumes.push(json!({
            "name": template,
            "persistentVolumeClaim": {"claimName": claim_name(set, &template, ordinal)},
        }));
    }
    if !volumes.is_empty() {
        body["spec"]["volumes"] = volumes.into();
    }
    body
}

/// The names of the claims that a pod of the set mounts.
pub(super) fn claim_names(set: &StatefulSet, ordinal: i32) -> Vec<String> {
    templates(set).map(|(template, _)| claim_name(set, &template, ordinal)).collect()
}

/// Makes the owners of a claim what they should be; whether that changed it.
pub(super) fn set_owners(body: &mut Value, set: &StatefulSet, pod: &Pod, wanted: (bool, bool)) -> bool {
    let mut owners = body.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = owners.clone();
    let sides = [
        (wanted.0, "apps/v1", StatefulSet::KIND, set.name(), set.uid()),
        (wanted.1, "v1", Pod::KIND, pod.name(), pod.uid()),
    ];
    for (is_wanted, api_version, kind, name, uid) in sides {
        // A namesake's reference would let the claim go with the wrong one.
        owners.retain(|owner| !(owner["kind"] == kind && owner["name"] == name && (owner["uid"] != uid || !is_wanted)));
        if is_wanted && !owners.iter().any(|owner| owner["uid"] == uid) {
            owners.push(json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}));
        }
    }
    let changed = owners != before;
    if changed {
        body["metadata"]["ownerReferences"] = owners.into();
    }
    changed
}

/// Whether a claim's owners are what they should be.
pub(super) fn has_owners(claim: &Claim, set: &StatefulSet, pod: &Pod, wanted: (bool, bool)) -> bool {
    let owned = |kind: &str, uid: &str, name: &str| {
        let of_kind = claim.metadata.owner_references.iter().filter(|owner| owner.kind == kind && owner.name == name);
        let mut found = of_kind.map(|owner| owner.uid == uid);
        found.next()
    };
    let is_right = |found: Option<bool>, wanted: bool| found == wanted.then_some(true);
    is_right(owned(StatefulSet::KIND, set.uid(), set.name()), wanted.0)
        && is_right(owned(Pod::KIND, pod.uid(), pod.name()), wanted.1)
}

/// The claims that a pod of the set mounts.
pub(super) fn claims_for(set: &StatefulSet, ordinal: i32) -> Vec<Value> {
    let retention = set.spec.persistent_volume_claim_retention_policy.clone().unwrap_or_default();
    templates(set)
        .map(|(name, template)| {
            let mut metadata = template["metadata"].clone();
            metadata["name"] = claim_name(set, &name, ordinal).into();
            metadata["namespace"] = set.namespace().into();
            // The claims are found again by the set's selector.
            for (key, value) in &set.spec.selector.match_labels {
                metadata["labels"][key] = value.as_str().into();
            }
            if retention.when_deleted == "Delete" {
                let owner = json!({
                    "apiVersion": "apps/v1", "kind": "StatefulSet",
                    "name": set.name(), "uid": set.uid(),
                });
                metadata["ownerReferences"] = json!([owner]);
            }
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": template["spec"],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_identity_and_storage() {
        let mut set = StatefulSet::default();
        set.metadata.name = "db".into();
        set.metadata.namespace = "x".into();
        set.spec.service_name = "dbs".into();
        set.spec.selector.match_labels.insert("app".into(), "db".into());
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        set.spec.volume_claim_templates.push((&claim).into());
        let pod = new_pod(&set, &json!({"metadata": {"labels": {"app": "db"}}, "spec": {}}), 2, "db-1");
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(
            (pod.metadata.name.as_str(), pod.spec.hostname.as_str(), pod.spec.subdomain.as_str()),
            ("db-2", "db-2", "dbs")
        );
        assert_eq!(pod.spec.volumes[0].persistent_volume_claim.as_ref().unwrap().claim_name, "data-db-2");
        assert_eq!(ordinal(&set, &pod), Some(2));
        for stranger in ["db-02", "db-x", "other-1", "db"] {
            let mut pod = pod.clone();
            pod.metadata.name = stranger.into();
            assert_eq!(ordinal(&set, &pod), None, "{stranger}");
        }
        assert_eq!(claim_names(&set, 2), ["data-db-2"]);
        set.metadata.uid = "s".into();
        let mut body =
            json!({"metadata": {"ownerReferences": [{"kind": "StatefulSet", "name": "db", "uid": "before"}]}});
        let read = |body: &Value| -> Claim { serde_json::from_value(body.clone()).unwrap() };
        for wanted in [(true, false), (false, true), (false, false)] {
            assert!(!has_owners(&read(&body), &set, &pod, wanted));
            assert!(set_owners(&mut body, &set, &pod, wanted));
            assert!(has_owners(&read(&body), &set, &pod, wanted));
            assert!(!set_owners(&mut body, &set, &pod, wanted));
        }
        let claims = claims_for(&set, 2);
        assert_eq!(claims[0]["metadata"], json!({"name": "data-db-2", "namespace": "x", "labels": {"app": "db"}}));
    }
}
