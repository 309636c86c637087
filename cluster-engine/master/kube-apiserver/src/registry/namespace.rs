//! `namespaces`.

use drydock_api::field::{FieldError, Path};
use serde_json::{Value, json};

use super::check::{self, Errors};
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
    validate,
    validate_subresource,
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

fn validate(namespace: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for name in namespace.items("spec.finalizers").iter().filter_map(Value::as_str) {
        check::finalizer(&mut errors, &Path::new("spec.finalizers"), name);
    }
    errors
}

fn validate_subresource(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if context.subresource == Some(Subresource::Finalize) {
        for (index, name) in new.items("spec.finalizers").iter().filter_map(Value::as_str).enumerate() {
            check::finalizer(&mut errors, &Path::new("spec.finalizers").index(index), name);
        }
        return errors;
    }
    let phase = new.text("status.phase");
    let (wanted, when) = if new.has("metadata.deletionTimestamp") {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase != wanted {
        errors.push(FieldError::invalid(&Path::new("status.Phase"), phase, when));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_gives_label_finalizer_and_phase() {
        let context =
            Context { resource: &NAMESPACES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut namespace = json!({"metadata": {"name": "dev"}, "status": {"phase": "Terminating"}});
        default(&mut namespace);
        prepare_create(&mut namespace, &context);
        assert_eq!(
            namespace,
            json!({"metadata": {"name": "dev", "labels": {"kubernetes.io/metadata.name": "dev"}}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        );
        if let Some(begin) = NAMESPACES.begin_delete {
            begin(&mut namespace);
        }
        assert_eq!(namespace["status"]["phase"], "Terminating");
    }

    #[test]
    fn phases_follow_deletion() {
        let context = Context {
            resource: &NAMESPACES,
            namespace: "",
            user: "",
            groups: &[],
            subresource: Some(Subresource::Status),
            now: "",
        };
        let namespace = json!({"status": {"phase": "Terminating"}});
        assert_eq!(
            check::texts(&validate_subresource(&namespace, &namespace, &context)),
            [r#"status.Phase: Invalid value: "Terminating": may only be 'Active' if `deletionTimestamp` is empty"#]
        );
    }
}
