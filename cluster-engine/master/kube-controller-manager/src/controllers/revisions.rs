//! Controller revisions: the templates that a daemon set or stateful set has had.

use std::sync::Arc;

use drydock_api::meta::ObjectMeta;
use drydock_api::selector::Selector;
use drydock_client::types::StringMap;
use drydock_client::{Api, Client, DeleteOptions, Error, Object, Reflector};
use serde_json::{Value, json};

use super::deployment::template_hash;
use super::owned::{claim, controller_reference, settle};
use crate::kinds::{ControllerRevision, Raw};
use crate::work::unless_gone;

/// The label that says which revision a pod is of.
pub(super) const REVISION_LABEL: &str = "controller-revision-hash";

/// A controller's revisions, oldest first, the one of the present template among them.
pub(super) struct History {
    pub(super) all: Vec<Arc<ControllerRevision>>,
    /// The revision of the present template.
    pub(super) update: Arc<ControllerRevision>,
    /// How often a revision's name was found taken, this time included.
    pub(super) collisions: i32,
}

/// What is remembered of a template: a patch that puts it back.
fn data(template: &Raw) -> Value {
    let mut template = template.value();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The owner's revisions; one is made for the present template if there is none, and one that was
/// had before becomes the newest again.
pub(super) async fn history<Owner: Object>(
    client: &Client,
    revisions: &Reflector<ControllerRevision>,
    owner: &Owner,
    selector: &Selector,
    template: &Raw,
    labels: StringMap,
    mut collisions: i32,
) -> Result<History, Error> {
    let claims = claim(owner.meta(), selector, revisions.list_in(owner.namespace()));
    let mut all = settle(client, owner, claims).await?;
    all.sort_by_key(|revision| (revision.revision, revision.name().to_owned()));
    let wanted = data(template);
    let next = all.last().map_or(0, |newest| newest.revision) + 1;
    let api = Api::<ControllerRevision>::namespaced(client.clone(), owner.namespace());
    let equal = all.iter().rposition(|revision| revision.data.value() == wanted);
    let update = match equal {
        Some(at) if at + 1 == all.len() => all[at].clone(),
        Some(at) => {
            // Rolled back to: it counts as new.
            let mut body: Value = api.get_as(all[at].name()).await?;
            body["revision"] = next.into();
            let renewed = Arc::new(api.replace(all[at].name(), &body).await?);
            all.remove(at);
            all.push(renewed.clone());
            renewed
        }
        None => {
            let reference = controller_reference::<Owner>(owner.meta());
            let made = loop {
                let hash = template_hash(template, (collisions > 0).then_some(collisions));
                let made = create(&api, owner.meta(), &hash, reference.clone(), &wanted, next, labels.clone()).await?;
                match made {
                    Some(made) => break made,
                    None => collisions += 1,
                }
            };
            let made = Arc::new(made);
            all.push(made.clone());
            made
        }
    };
    Ok(History { all, update, collisions })
}

/// Makes a revision; `None` if its name is taken by another.
async fn create(
    api: &Api<ControllerRevision>,
    owner: &ObjectMeta,
    hash: &str,
    reference: drydock_api::meta::OwnerReference,
    data: &Value,
    revision: i64,
    mut labels: StringMap,
) -> Result<Option<ControllerRevision>, Error> {
    let name = format!("{}-{hash}", owner.name);
    labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    let body = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels,
            "ownerReferences": [reference],
        },
        "data": data,
        "revision": revision,
    });
    match api.create(&body).await {
        // Made a moment ago: the watch has not shown it yet.
        Err(error) if error.is_already_exists() => match api.get_opt(&name).await? {
            Some(there) if there.data.value() == *data => Ok(Some(there)),
            Some(_) => Ok(None),
            None => Err(error),
        },
        result => result.map(Some),
    }
}

/// Deletes the oldest revisions that are beyond `limit` and that no pod is of.
pub(super) async fn truncate(client: &Client, history: &History, limit: i32, live: &[String]) -> Result<(), Error> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let idle: Vec<_> = history
        .all
        .iter()
        .filter(|revision| !live.iter().any(|name| name == revision.name()) && revision.name() != history.update.name())
        .collect();
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        let api = Api::<ControllerRevision>::namespaced(client.clone(), revision.namespace());
        unless_gone(api.delete(revision.name(), &DeleteOptions::of_uid(revision.uid())).await)?;
    }
    Ok(())
}

/// The hash in a revision's name, as pods carry it.
pub(super) fn hash_of(revision: &ControllerRevision) -> &str {
    revision.metadata.labels.get(REVISION_LABEL).map_or("", String::as_str)
}

/// The template that a revision remembers.
pub(super) fn template_of(revision: &ControllerRevision) -> Value {
    let mut data = revision.data.value();
    let mut template = data.pointer_mut("/spec/template").map(Value::take).unwrap_or_default();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_comes_back_as_it_was() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}});
        let remembered = data(&(&template).into());
        assert_eq!(remembered["spec"]["template"]["$patch"], "replace");
        let revision = ControllerRevision { data: (&remembered).into(), ..ControllerRevision::default() };
        assert_eq!(template_of(&revision), template);
    }
}
