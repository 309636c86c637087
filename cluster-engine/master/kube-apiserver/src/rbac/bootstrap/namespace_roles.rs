//! Default Roles and RoleBindings of the system namespaces.

use super::{EVENTS, READ, Role, named, rule};

type Subjects = &'static [(&'static str, &'static str)];

const COORDINATION: &str = "coordination.k8s.io";
/// What electing a leader takes.
const LOCK: &str = "create get list update watch";

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
        Role("system:controller:cloud-provider", &[], &[rule("create get list watch", "core", "configmaps")]),
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
            &[rule(LOCK, COORDINATION, "leases"), rule(LOCK, COORDINATION, "leasecandidates")],
        ),
    ),
    (
        "kube-system",
        Role(
            "system::leader-locking-kube-scheduler",
            &[],
            &[rule(LOCK, COORDINATION, "leases"), rule(LOCK, COORDINATION, "leasecandidates")],
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
        &[
            ("User", "system:kube-controller-manager"),
            ("ServiceAccount", "kube-controller-manager"),
            ("ServiceAccount", "leader-election-controller"),
        ],
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
