//! `namespaces`.

use serde_json::{Value, json};

use super::print::text;
use super::value::{Read as _, child};
use crate::row::{Column, Context, Resource, Subresource, Verbs, label_name};

pub(super) static NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    verbs: Verbs::NO_COLLECTION,
    subresources: &[Subresource::Finalize, Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Status", |object, _| text(object, "status.phase")).describe("The status of the namespace"),
        Column::AGE,
    ],
    fields: &[("status.phase", |namespace| namespace.text("status.phase").to_owned())],
    default,
    prepare_create,
    prepare_update: keep_finalizers,
    prepare_subresource,
    name: label_name,
    held: Some(|namespace| !namespace.items("spec.finalizers").is_empty()),
    begin_delete: Some(|namespace| {
        if let Some(status) = child(namespace, "status") {
            status["phase"] = json!("Terminating");
        }
    }),
    storage: "/registry/namespaces",
    ..Resource::BASE
};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// SetDefaults_Namespace: the label with the namespace's own name.
fn default(namespace: &mut Value) {
    let name = namespace.text("metadata.name").to_owned();
    if !name.is_empty()
        && let Some(labels) = child(namespace, "metadata").and_then(|metadata| child(metadata, "labels"))
        && let Some(labels) = labels.as_object_mut()
    {
        labels.insert(NAME_LABEL.to_owned(), Value::String(name));
    }
    child(namespace, "spec");
    child(namespace, "status");
}

fn prepare_create(namespace: &mut Value, _: &Context<'_>) {
    namespace["status"] = json!({ "phase": "Active" });
    if let Some(spec) = child(namespace, "spec") {
        let has = spec.items("finalizers").iter().any(|finalizer| finalizer == "kubernetes");
        if !has {
            let mut finalizers = spec.items("finalizers").to_vec();
            finalizers.push(json!("kubernetes"));
            spec["finalizers"] = Value::Array(finalizers);
        }
    }
    // A generated name is known only now.
    default(namespace);
}

fn keep_finalizers(new: &mut Value, old: &Value, _: &Context<'_>) {
    super::value::restore(new, old, "spec");
    super::value::restore(new, old, "status");
}

fn prepare_subresource(new: &mut Value, old: &Value, context: &Context<'_>) {
    if context.subresource == Some(Subresource::Finalize) {
        super::value::restore(new, old, "status");
    } else {
        super::value::restore(new, old, "spec");
    }
}
