//! Default Roles and RoleBindings of the system namespaces.

use super::{EVENTS, READ, Role, named, rule};

type Subjects = &'static [(&'static str, &'static str)];

/// Namespace and role.
pub(super) const ROLES: &[(&str, Role)] = &[
    (
        "kube-system",
        Role(
            "extension-apiserver-authentication-reader",
            &[],
            &[named(READ, "core", "configmaps", "extension-apiserver-authentication")],
        ),
    ),
    ("kube-system", Role("system:controller:bootstrap-signer", &[], &[rule(READ, "core", "secrets")])),
    (
        "kube-system",
        Role(
            "system:controller:cloud-provider",
            &[],
            &[rule("create get list watch", "core", "configmaps"), rule("update", "core", "configmaps")],
        ),
    ),
    (
        "kube-system",
        Role("system:controller:token-cleaner", &[], &[rule("delete get list watch", "core", "secrets"), EVENTS]),
    ),
    (
        "kube-system",
        Role(
            "system::leader-locking-kube-controller-manager",
            &[],
            &[
                rule("watch", "core", "configmaps"),
                named("get update", "core", "configmaps", "kube-controller-manager"),
            ],
        ),
    ),
    (
        "kube-system",
        Role(
            "system::leader-locking-kube-scheduler",
            &[],
            &[rule("watch", "core", "configmaps"), named("get update", "core", "configmaps", "kube-scheduler")],
        ),
    ),
    (
        "kube-public",
        Role(
            "system:controller:bootstrap-signer",
            &[],
            &[rule(READ, "core", "configmaps"), named("update", "core", "configmaps", "cluster-info"), EVENTS],
        ),
    ),
];

/// Namespace, name, role and subjects.
pub(super) const BINDINGS: &[(&str, &str, &str, Subjects)] = &[
    (
        "kube-system",
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        &[("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")],
    ),
    (
        "kube-system",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &[("ServiceAccount", "bootstrap-signer")],
    ),
    (
        "kube-system",
        "system:controller:cloud-provider",
        "system:controller:cloud-provider",
        &[("ServiceAccount", "cloud-provider")],
    ),
    (
        "kube-system",
        "system:controller:token-cleaner",
        "system:controller:token-cleaner",
        &[("ServiceAccount", "token-cleaner")],
    ),
    (
        "kube-system",
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        &[("User", "system:kube-controller-manager"), ("ServiceAccount", "kube-controller-manager")],
    ),
    (
        "kube-system",
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        &[("User", "system:kube-scheduler"), ("ServiceAccount", "kube-scheduler")],
    ),
    (
        "kube-public",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &[("ServiceAccount", "bootstrap-signer")],
    ),
];
