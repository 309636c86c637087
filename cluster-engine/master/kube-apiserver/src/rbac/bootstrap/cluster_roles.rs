//! Default ClusterRoles for people, nodes and components.

use super::{EVENTS, READ, READ_UPDATE, READ_WRITE, Role, Rule, WRITE, named, paths, rule};

const TO_ADMIN: &[(&str, &str)] = &[("rbac.authorization.k8s.io/aggregate-to-admin", "true")];
const TO_EDIT: &[(&str, &str)] = &[("rbac.authorization.k8s.io/aggregate-to-edit", "true")];
const TO_VIEW: &[(&str, &str)] = &[("rbac.authorization.k8s.io/aggregate-to-view", "true")];

/// Roles whose rules are gathered from others by label: name and own labels.
pub(super) const AGGREGATED: &[(&str, &[(&str, &str)])] = &[("admin", &[]), ("edit", TO_ADMIN), ("view", TO_EDIT)];

const APPS: &str = "apps";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";
const COORDINATION: &str = "coordination.k8s.io";
const CORE: &str = "core";
const DISCOVERY: &str = "discovery.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// Roles with rules of their own.
pub(super) const ROLES: &[Role] = &[
    Role("cluster-admin", &[], &[rule("*", "*", "*"), paths("*", "*")]),
    Role(
        "system:discovery",
        &[],
        &[paths("get", "/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*")],
    ),
    Role(
        "system:monitoring",
        &[],
        &[paths("get", "/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*")],
    ),
    Role(
        "system:basic-user",
        &[],
        &[
            rule("create", AUTHORIZATION, "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", AUTHENTICATION, "selfsubjectreviews"),
        ],
    ),
    Role("system:public-info-viewer", &[], &[paths("get", "/livez /readyz /healthz /version /version/")]),
    Role(
        "system:aggregate-to-admin",
        TO_ADMIN,
        &[
            rule("create", AUTHORIZATION, "localsubjectaccessreviews"),
            rule(READ_WRITE, "rbac.authorization.k8s.io", "roles rolebindings"),
        ],
    ),
    Role("system:aggregate-to-edit", TO_EDIT, AGGREGATE_TO_EDIT),
    Role("system:aggregate-to-view", TO_VIEW, AGGREGATE_TO_VIEW),
    Role("system:node", &[], NODE),
    Role(
        "system:node-problem-detector",
        &[],
        &[rule("get", CORE, "nodes"), rule("patch", CORE, "nodes/status"), EVENTS],
    ),
    Role(
        "system:kubelet-api-admin",
        &[],
        &[
            rule(READ, CORE, "nodes"),
            rule("proxy", CORE, "nodes"),
            rule("*", CORE, "nodes/proxy nodes/metrics nodes/stats nodes/log"),
            rule("*", CORE, "nodes/healthz nodes/pods nodes/configz"),
        ],
    ),
    Role("system:node-bootstrapper", &[], &[rule("create get list watch", CERTIFICATES, "certificatesigningrequests")]),
    Role(
        "system:auth-delegator",
        &[],
        &[rule("create", AUTHENTICATION, "tokenreviews"), rule("create", AUTHORIZATION, "subjectaccessreviews")],
    ),
    Role("system:kube-aggregator", &[], &[rule(READ, CORE, "services endpoints")]),
    Role(
        "system:heapster",
        &[],
        &[rule(READ, CORE, "events pods nodes namespaces"), rule(READ, "extensions", "deployments")],
    ),
    Role("system:kube-controller-manager", &[], KUBE_CONTROLLER_MANAGER),
    Role("system:kube-dns", &[], &[rule("list watch", CORE, "endpoints services")]),
    Role(
        "system:persistent-volume-provisioner",
        &[],
        &[
            rule("create delete get list watch", CORE, "persistentvolumes"),
            rule("get list update watch", CORE, "persistentvolumeclaims"),
            rule(READ, STORAGE, "storageclasses"),
            rule("watch", CORE, "events"),
            EVENTS,
        ],
    ),
    Role(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        &[],
        &[rule("create", CERTIFICATES, "certificatesigningrequests/nodeclient")],
    ),
    Role(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        &[],
        &[rule("create", CERTIFICATES, "certificatesigningrequests/selfnodeclient")],
    ),
    Role(
        "system:volume-scheduler",
        &[],
        &[
            rule(READ_UPDATE, CORE, "persistentvolumes"),
            rule(READ, STORAGE, "storageclasses"),
            rule(READ_UPDATE, CORE, "persistentvolumeclaims"),
        ],
    ),
    Role(
        "system:certificates.k8s.io:legacy-unknown-approver",
        &[],
        &[named("approve", CERTIFICATES, "signers", "kubernetes.io/legacy-unknown")],
    ),
    Role(
        "system:certificates.k8s.io:kubelet-serving-approver",
        &[],
        &[named("approve", CERTIFICATES, "signers", "kubernetes.io/kubelet-serving")],
    ),
    Role(
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        &[],
        &[named("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client")],
    ),
    Role(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        &[],
        &[named("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client-kubelet")],
    ),
    Role(
        "system:service-account-issuer-discovery",
        &[],
        &[paths(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        )],
    ),
    Role(
        "system:node-proxier",
        &[],
        &[
            rule("list watch", CORE, "services endpoints"),
            rule(READ, CORE, "nodes"),
            EVENTS,
            rule("list watch", NETWORKING, "servicecidrs"),
            rule("list watch", DISCOVERY, "endpointslices"),
        ],
    ),
    Role("system:kube-scheduler", &[], KUBE_SCHEDULER),
];

const AGGREGATE_TO_EDIT: &[Rule] = &[
    rule(READ, CORE, "pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy"),
    rule("impersonate", CORE, "serviceaccounts"),
    rule(WRITE, CORE, "pods pods/attach pods/proxy pods/exec pods/portforward"),
    rule("create", CORE, "pods/eviction"),
    rule(
        WRITE,
        CORE,
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets events",
    ),
    rule("create", CORE, "serviceaccounts/token"),
    rule(
        WRITE,
        APPS,
        "statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale",
    ),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "jobs cronjobs"),
    rule(
        WRITE,
        "extensions",
        "daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies",
    ),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, NETWORKING, "networkpolicies ingresses"),
    rule(READ_WRITE, COORDINATION, "leases"),
    rule(WRITE, RESOURCE, "resourceclaims resourceclaimtemplates"),
];

const AGGREGATE_TO_VIEW: &[Rule] = &[
    rule(
        READ,
        CORE,
        "pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps",
    ),
    rule(
        READ,
        CORE,
        "limitranges resourcequotas bindings events pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log",
    ),
    rule(READ, CORE, "namespaces"),
    rule(READ, DISCOVERY, "endpointslices"),
    rule(
        READ,
        APPS,
        "controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "jobs cronjobs cronjobs/status jobs/status"),
    rule(
        READ,
        "extensions",
        "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies",
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, NETWORKING, "networkpolicies ingresses ingresses/status"),
    rule(READ, RESOURCE, "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

const NODE: &[Rule] = &[
    rule("create", AUTHENTICATION, "tokenreviews"),
    rule("create", AUTHORIZATION, "subjectaccessreviews localsubjectaccessreviews"),
    rule(READ, CORE, "services"),
    rule("create get list watch", CORE, "nodes"),
    rule("patch update", CORE, "nodes/status"),
    rule("patch update", CORE, "nodes"),
    rule("create patch update", CORE, "events"),
    rule(READ, CORE, "pods"),
    rule("create delete", CORE, "pods"),
    rule("patch update", CORE, "pods/status"),
    rule("create", CORE, "pods/eviction"),
    rule(READ, CORE, "secrets configmaps"),
    rule("get", CORE, "persistentvolumeclaims persistentvolumes"),
    rule("get", CORE, "endpoints"),
    rule("create get list watch", CERTIFICATES, "certificatesigningrequests"),
    rule("create delete get patch update", COORDINATION, "leases"),
    rule("get", STORAGE, "volumeattachments"),
    rule("create", CORE, "serviceaccounts/token"),
    rule("get patch update", CORE, "persistentvolumeclaims/status"),
    rule(READ, STORAGE, "csidrivers"),
    rule("create delete get patch update", STORAGE, "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", RESOURCE, "resourceclaims"),
    rule("deletecollection", RESOURCE, "resourceslices"),
    rule("get", CORE, "serviceaccounts"),
];

const KUBE_CONTROLLER_MANAGER: &[Rule] = &[
    EVENTS,
    rule("create", COORDINATION, "leases"),
    named("get update", COORDINATION, "leases", "kube-controller-manager"),
    rule("create", CORE, "secrets serviceaccounts"),
    rule("delete", CORE, "secrets"),
    rule("get", CORE, "namespaces secrets serviceaccounts configmaps"),
    rule("update", CORE, "secrets serviceaccounts"),
    rule("create", AUTHENTICATION, "tokenreviews"),
    rule("create", AUTHORIZATION, "subjectaccessreviews"),
    rule("list watch", "*", "*"),
    rule("create", CORE, "serviceaccounts/token"),
];

const KUBE_SCHEDULER: &[Rule] = &[
    EVENTS,
    rule("create", COORDINATION, "leases"),
    named("get list update watch", COORDINATION, "leases", "kube-scheduler"),
    rule(READ_WRITE, COORDINATION, "leasecandidates"),
    rule(READ, CORE, "nodes"),
    rule("delete get list watch", CORE, "pods"),
    rule("create", CORE, "bindings pods/binding"),
    rule("patch update", CORE, "pods/status"),
    rule(READ, CORE, "replicationcontrollers services"),
    rule(READ, "apps extensions", "replicasets"),
    rule(READ, APPS, "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, CORE, "persistentvolumeclaims persistentvolumes"),
    rule("create", AUTHENTICATION, "tokenreviews"),
    rule("create", AUTHORIZATION, "subjectaccessreviews"),
    rule(READ, STORAGE, "csinodes"),
    rule(READ, CORE, "namespaces"),
    rule(READ, STORAGE, "csidrivers"),
    rule(READ, STORAGE, "csistoragecapacities"),
    rule(READ, STORAGE, "volumeattachments"),
    rule(READ, RESOURCE, "deviceclasses"),
    rule(READ_UPDATE, RESOURCE, "resourceclaims"),
    rule(READ_UPDATE, RESOURCE, "resourceclaims/status"),
    rule(READ_UPDATE, CORE, "pods/finalizers"),
    rule(READ, RESOURCE, "resourceslices"),
    rule("patch update", RESOURCE, "resourceclaims/binding"),
];
