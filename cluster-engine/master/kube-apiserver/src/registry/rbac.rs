//! `rbac.authorization.k8s.io`: roles and bindings.

mod validate;

use serde_json::Value;

use super::value::{Read as _, at_mut, default_text, items_mut};
use crate::row::{Column, Hook, Resource, path_segment_name};

const BASE: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    name: path_segment_name,
    create_on_update: true,
    hook: Hook::RbacEscalation,
    ..Resource::BASE
};

/// Roles have no printer of their own upstream: the default table shows when they were made.
const ROLE_COLUMNS: &[Column] = &[
    Column::NAME,
    Column {
        kind: "date",
        ..Column::string("Created At", |object, _| object.at("metadata.creationTimestamp").clone())
            .describe("CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata")
    },
];

const BINDING_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::string("Role", |binding, _| {
        Value::String(format!("{}/{}", binding.text("roleRef.kind"), binding.text("roleRef.name")))
    }),
    Column::AGE,
    Column::string("Users", |binding, _| Value::String(subjects(binding, "User"))).wide(),
    Column::string("Groups", |binding, _| Value::String(subjects(binding, "Group"))).wide(),
    Column::string("ServiceAccounts", |binding, _| Value::String(subjects(binding, "ServiceAccount"))).wide(),
];

pub(super) static ROLES: Resource = Resource {
    kind: "Role",
    plural: "roles",
    singular: "role",
    columns: ROLE_COLUMNS,
    validate: validate::role,
    validate_update: validate::role_update,
    storage: "/registry/roles",
    ..BASE
};

pub(super) static CLUSTER_ROLES: Resource = Resource {
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    namespaced: false,
    columns: ROLE_COLUMNS,
    validate: validate::cluster_role,
    validate_update: validate::cluster_role_update,
    storage: "/registry/clusterroles",
    ..BASE
};

pub(super) static ROLE_BINDINGS: Resource = Resource {
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    columns: BINDING_COLUMNS,
    default: default_binding,
    validate: validate::binding,
    validate_update: validate::binding_update,
    storage: "/registry/rolebindings",
    ..BASE
};

pub(super) static CLUSTER_ROLE_BINDINGS: Resource = Resource {
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    namespaced: false,
    columns: BINDING_COLUMNS,
    default: default_binding,
    validate: validate::binding,
    validate_update: validate::binding_update,
    storage: "/registry/clusterrolebindings",
    ..BASE
};

/// SetDefaults of bindings: the API groups of role and subjects.
fn default_binding(binding: &mut Value) {
    if let Some(reference) = at_mut(binding, "roleRef") {
        default_text(reference, "apiGroup", "rbac.authorization.k8s.io");
    }
    for subject in items_mut(binding, "subjects") {
        if matches!(subject.text("kind"), "User" | "Group") {
            default_text(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

fn subjects(binding: &Value, kind: &str) -> String {
    binding
        .items("subjects")
        .iter()
        .filter(|subject| subject.text("kind") == kind)
        .map(|subject| {
            if kind == "ServiceAccount" && !subject.text("namespace").is_empty() {
                format!("{}/{}", subject.text("namespace"), subject.text("name"))
            } else {
                subject.text("name").to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}
