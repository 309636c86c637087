//! Who controls whom: taking orphans in that match, letting go of those that no longer do
//! (upstream: `ControllerRefManager`).

use std::sync::Arc;

use drydock_api::meta::{ObjectMeta, OwnerReference};
use drydock_api::selector::Selector;
use drydock_client::{Api, Client, Error, Object, Patch};
use serde_json::{Value, json};

use crate::work::unless_gone;

/// What is to be done about the objects of a controller's namespace.
#[derive(Debug)]
pub(super) struct Claims<K> {
    /// Controlled already, and matching.
    pub(super) owned: Vec<Arc<K>>,
    /// Orphans that match.
    pub(super) adopt: Vec<Arc<K>>,
    /// Controlled, but no longer matching.
    pub(super) release: Vec<Arc<K>>,
}

/// Sorts `objects` by whose they are.
pub(super) fn claim<K: Object>(owner: &ObjectMeta, selector: &Selector, objects: Vec<Arc<K>>) -> Claims<K> {
    let mut claims = Claims { owned: Vec::new(), adopt: Vec::new(), release: Vec::new() };
    for object in objects {
        let matches = selector.matches_map(&object.meta().labels);
        match object.meta().controller() {
            Some(controller) if controller.uid != owner.uid => {}
            Some(_) if matches => claims.owned.push(object),
            Some(_) if !owner.is_deleting() && !object.meta().is_deleting() => claims.release.push(object),
            Some(_) => {}
            None if matches && !owner.is_deleting() && !object.meta().is_deleting() => claims.adopt.push(object),
            None => {}
        }
    }
    claims
}

/// A reference that makes `owner` the controller.
pub(super) fn controller_reference<K: Object>(owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: K::resource().api_version(),
        kind: K::KIND.to_owned(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Adopts and releases; the objects that are `Owner`'s afterwards.
///
/// Before anything is adopted the owner is read once more: adopting for an owner that is being
/// deleted would keep the orphan from whoever comes next.
pub(super) async fn settle<Owner: Object, K: Object>(
    client: &Client,
    owner: &Owner,
    claims: Claims<K>,
) -> Result<Vec<Arc<K>>, Error> {
    let Claims { mut owned, adopt, release } = claims;
    if !adopt.is_empty() {
        let api = Api::<Owner>::namespaced(client.clone(), owner.namespace());
        let fresh = api.get_opt(owner.name()).await?;
        if fresh.is_some_and(|fresh| fresh.uid() == owner.uid() && !fresh.meta().is_deleting()) {
            for object in adopt {
                let reference = controller_reference::<Owner>(owner.meta());
                let patch = json!({"metadata": {"ownerReferences": [reference], "uid": object.uid()}});
                let api = Api::<K>::namespaced(client.clone(), object.namespace());
                if let Some(adopted) = unless_gone(api.patch(object.name(), Patch::Strategic, &patch).await)? {
                    owned.push(Arc::new(adopted));
                }
            }
        }
    }
    for object in release {
        let patch = json!({"metadata": {
            "ownerReferences": [{"$patch": "delete", "uid": owner.uid()}],
            "uid": object.uid(),
        }});
        let api = Api::<K>::namespaced(client.clone(), object.namespace());
        match api.patch(object.name(), Patch::Strategic, &patch).await {
            // Gone, or no longer what we saw: nothing to release.
            Err(error) if error.is_not_found() || error.is_invalid() => {}
            result => drop(result?),
        }
    }
    Ok(owned)
}

/// A pod as its template says, for `owner`.
pub(super) fn from_template(template: &Value, owner: &OwnerReference, namespace: &str) -> Value {
    let mut metadata = serde_json::Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("namespace".to_owned(), namespace.into());
    metadata.insert("ownerReferences".to_owned(), json!([owner]));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::PartialObject;

    #[test]
    fn who_is_whose() {
        let owner = ObjectMeta { uid: "me".into(), ..ObjectMeta::default() };
        let object = |name: &str, label: &str, controller: &str, deleting: bool| {
            let mut object = PartialObject::default();
            object.metadata.name = name.into();
            object.metadata.labels.insert("app".into(), label.into());
            if !controller.is_empty() {
                object.metadata.owner_references.push(OwnerReference {
                    uid: controller.into(),
                    controller: Some(true),
                    ..OwnerReference::default()
                });
            }
            object.metadata.deletion_timestamp = deleting.then(|| "T".into());
            Arc::new(object)
        };
        let objects = vec![
            object("mine", "web", "me", false),
            object("mine-leaving", "web", "me", true),
            object("changed", "db", "me", false),
            object("orphan", "web", "", false),
            object("dying-orphan", "web", "", true),
            object("other", "web", "you", false),
            object("stranger", "db", "", false),
        ];
        let selector = Selector::parse("app=web").unwrap();
        let names = |list: &[Arc<PartialObject>]| list.iter().map(|o| o.metadata.name.clone()).collect::<Vec<_>>();
        let claims = claim(&owner, &selector, objects.clone());
        assert_eq!(names(&claims.owned), ["mine", "mine-leaving"]);
        assert_eq!(names(&claims.adopt), ["orphan"]);
        assert_eq!(names(&claims.release), ["changed"]);
        let dying = ObjectMeta { deletion_timestamp: Some("T".into()), ..owner };
        let claims = claim(&dying, &selector, objects);
        assert!(claims.adopt.is_empty() && claims.release.is_empty());
    }
}
