//! Default ClusterRoleBindings; each binds the ClusterRole of its own name.

type Subjects = &'static [(&'static str, &'static str)];

/// Name of binding and role, and its subjects.
pub(super) const CLUSTER: &[(&str, Subjects)] = &[
    ("cluster-admin", &[("Group", "system:masters")]),
    ("system:monitoring", &[("Group", "system:monitoring")]),
    ("system:discovery", &[("Group", "system:authenticated")]),
    ("system:basic-user", &[("Group", "system:authenticated")]),
    ("system:public-info-viewer", &[("Group", "system:authenticated"), ("Group", "system:unauthenticated")]),
    ("system:node-proxier", &[("User", "system:kube-proxy")]),
    ("system:kube-controller-manager", &[("User", "system:kube-controller-manager")]),
    ("system:kube-dns", &[("ServiceAccount", "kube-dns")]),
    ("system:kube-scheduler", &[("User", "system:kube-scheduler")]),
    ("system:volume-scheduler", &[("User", "system:kube-scheduler")]),
    // The Node authorizer took this binding's place; the empty binding stays, as upstream.
    ("system:node", &[]),
    ("system:service-account-issuer-discovery", &[("Group", "system:serviceaccounts")]),
];
