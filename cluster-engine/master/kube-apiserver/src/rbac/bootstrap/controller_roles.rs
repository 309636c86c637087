//! Default ClusterRoles of the controllers; each is bound to the ServiceAccount of its controller in `kube-system`.

use super::{EVENTS, READ, Role, named, rule};

const CORE: &str = "core";
const APPS: &str = "apps";
const APPS_EXTENSIONS: &str = "apps extensions";
const BATCH: &str = "batch";
const CERTIFICATES: &str = "certificates.k8s.io";
const DISCOVERY: &str = "discovery.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// All of them.
pub(super) const ROLES: &[Role] = &[
    Role(
        "system:controller:attachdetach-controller",
        &[],
        &[
            rule("list watch", CORE, "persistentvolumes persistentvolumeclaims"),
            rule(READ, CORE, "nodes"),
            rule("patch update", CORE, "nodes/status"),
            rule("list watch", CORE, "pods"),
            EVENTS,
            rule("create delete get list watch", STORAGE, "volumeattachments"),
            rule(READ, STORAGE, "csidrivers"),
            rule(READ, STORAGE, "csinodes"),
        ],
    ),
    Role(
        "system:controller:clusterrole-aggregation-controller",
        &[],
        &[rule("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")],
    ),
    Role(
        "system:controller:cronjob-controller",
        &[],
        &[
            rule("get list update watch", BATCH, "cronjobs"),
            rule("create delete get list patch update watch", BATCH, "jobs"),
            rule("update", BATCH, "cronjobs/status"),
            rule("update", BATCH, "cronjobs/finalizers"),
            rule("delete list watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:daemon-set-controller",
        &[],
        &[
            rule(READ, APPS_EXTENSIONS, "daemonsets"),
            rule("update", APPS_EXTENSIONS, "daemonsets/status"),
            rule("update", APPS_EXTENSIONS, "daemonsets/finalizers"),
            rule("list watch", CORE, "nodes"),
            rule("create delete list patch watch", CORE, "pods"),
            rule("create", CORE, "pods/binding"),
            rule("create delete get list patch update watch", APPS, "controllerrevisions"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:deployment-controller",
        &[],
        &[
            rule("get list update watch", APPS_EXTENSIONS, "deployments"),
            rule("update", APPS_EXTENSIONS, "deployments/status"),
            rule("update", APPS_EXTENSIONS, "deployments/finalizers"),
            rule("create delete get list patch update watch", APPS_EXTENSIONS, "replicasets"),
            rule("get list update watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:disruption-controller",
        &[],
        &[
            rule(READ, APPS_EXTENSIONS, "deployments"),
            rule(READ, APPS_EXTENSIONS, "replicasets"),
            rule(READ, CORE, "replicationcontrollers"),
            rule(READ, "policy", "poddisruptionbudgets"),
            rule(READ, APPS, "statefulsets"),
            rule("update", "policy", "poddisruptionbudgets/status"),
            rule("patch update", CORE, "pods/status"),
            rule("get", "*", "*/scale"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:endpoint-controller",
        &[],
        &[
            rule(READ, CORE, "services pods"),
            rule("create delete get list update watch", CORE, "endpoints"),
            rule("create", CORE, "endpoints/restricted"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:endpointslice-controller",
        &[],
        &[
            rule(READ, CORE, "services pods nodes"),
            rule("update", CORE, "services/finalizers"),
            rule("create delete get list update watch", DISCOVERY, "endpointslices"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:endpointslicemirroring-controller",
        &[],
        &[
            rule(READ, CORE, "services endpoints"),
            rule("update", CORE, "services/finalizers"),
            rule("update", CORE, "endpoints/finalizers"),
            rule("create delete get list update watch", DISCOVERY, "endpointslices"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:expand-controller",
        &[],
        &[
            rule("get list patch update watch", CORE, "persistentvolumes"),
            rule("patch update", CORE, "persistentvolumeclaims/status"),
            rule(READ, CORE, "persistentvolumeclaims"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:ephemeral-volume-controller",
        &[],
        &[
            rule(READ, CORE, "pods"),
            rule("update", CORE, "pods/finalizers"),
            rule("create get list watch", CORE, "persistentvolumeclaims"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:resource-claim-controller",
        &[],
        &[
            rule(READ, CORE, "pods"),
            rule("update", CORE, "pods/finalizers"),
            rule("create delete get list watch", RESOURCE, "resourceclaims"),
            rule("patch update", RESOURCE, "resourceclaims resourceclaims/status"),
            rule("patch update", CORE, "pods/status"),
            EVENTS,
            rule("patch update", RESOURCE, "resourceclaims/binding"),
        ],
    ),
    Role(
        "system:controller:device-taint-eviction-controller",
        &[],
        &[
            rule("delete get list watch", CORE, "pods"),
            rule("patch update", CORE, "pods/status"),
            rule(READ, RESOURCE, "resourceclaims"),
            rule(READ, RESOURCE, "resourceslices"),
            rule(READ, RESOURCE, "deviceclasses"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:generic-garbage-collector",
        &[],
        &[rule("delete get list patch update watch", "*", "*"), EVENTS],
    ),
    Role(
        "system:controller:horizontal-pod-autoscaler",
        &[],
        &[
            rule(READ, "autoscaling", "horizontalpodautoscalers"),
            rule("update", "autoscaling", "horizontalpodautoscalers/status"),
            rule("get update", "*", "*/scale"),
            rule("list watch", CORE, "pods"),
            rule("list watch", "metrics.k8s.io", "pods"),
            rule(READ, "custom.metrics.k8s.io", "*"),
            rule(READ, "external.metrics.k8s.io", "*"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:job-controller",
        &[],
        &[
            rule("get list patch update watch", BATCH, "jobs"),
            rule("update", BATCH, "jobs/status"),
            rule("update", BATCH, "jobs/finalizers"),
            rule("create delete list patch watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:namespace-controller",
        &[],
        &[
            rule("delete get list watch", CORE, "namespaces"),
            rule("update", CORE, "namespaces/finalize namespaces/status"),
            rule("delete deletecollection get list watch", "*", "*"),
        ],
    ),
    Role(
        "system:controller:node-controller",
        &[],
        &[
            rule("delete get list patch update watch", CORE, "nodes"),
            rule("patch update", CORE, "nodes/status"),
            rule("patch update", CORE, "pods/status"),
            rule("delete get list watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:persistent-volume-binder",
        &[],
        &[
            rule("create delete get list update watch", CORE, "persistentvolumes"),
            rule("update", CORE, "persistentvolumes/status"),
            rule("get list update watch", CORE, "persistentvolumeclaims"),
            rule("update", CORE, "persistentvolumeclaims/status"),
            rule("create delete get list watch", CORE, "pods"),
            rule(READ, STORAGE, "storageclasses"),
            rule("list watch", CORE, "nodes"),
            EVENTS,
            rule("watch", CORE, "events"),
        ],
    ),
    Role(
        "system:controller:pod-garbage-collector",
        &[],
        &[rule("delete list watch", CORE, "pods"), rule(READ, CORE, "nodes"), rule("patch", CORE, "pods/status")],
    ),
    Role(
        "system:controller:replicaset-controller",
        &[],
        &[
            rule("get list update watch", APPS_EXTENSIONS, "replicasets"),
            rule("update", APPS_EXTENSIONS, "replicasets/status"),
            rule("update", APPS_EXTENSIONS, "replicasets/finalizers"),
            rule("create delete list patch watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:replication-controller",
        &[],
        &[
            rule("get list update watch", CORE, "replicationcontrollers"),
            rule("update", CORE, "replicationcontrollers/status"),
            rule("update", CORE, "replicationcontrollers/finalizers"),
            rule("create delete list patch watch", CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:resourcequota-controller",
        &[],
        &[rule("list watch", "*", "*"), rule("update", CORE, "resourcequotas/status"), EVENTS],
    ),
    Role(
        "system:controller:route-controller",
        &[],
        &[rule("list watch", CORE, "nodes"), rule("patch", CORE, "nodes/status"), EVENTS],
    ),
    Role(
        "system:controller:selinux-warning-controller",
        &[],
        &[
            EVENTS,
            rule(READ, CORE, "persistentvolumes"),
            rule(READ, CORE, "persistentvolumeclaims"),
            rule(READ, CORE, "pods"),
            rule(READ, STORAGE, "csidrivers"),
        ],
    ),
    Role("system:controller:service-account-controller", &[], &[rule("create", CORE, "serviceaccounts"), EVENTS]),
    Role(
        "system:controller:service-controller",
        &[],
        &[
            rule(READ, CORE, "services"),
            rule("patch update", CORE, "services/status"),
            rule("list watch", CORE, "nodes"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:service-cidrs-controller",
        &[],
        &[
            rule("get list patch update watch", NETWORKING, "servicecidrs"),
            rule("patch update", NETWORKING, "servicecidrs/finalizers"),
            rule("patch update", NETWORKING, "servicecidrs/status"),
            rule(READ, NETWORKING, "ipaddresses"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:statefulset-controller",
        &[],
        &[
            rule("list watch", CORE, "pods"),
            rule(READ, APPS, "statefulsets"),
            rule("update", APPS, "statefulsets/status"),
            rule("update", APPS, "statefulsets/finalizers"),
            rule("create delete get patch update", CORE, "pods"),
            rule("create delete get list patch update watch", APPS, "controllerrevisions"),
            rule("create get list watch", CORE, "persistentvolumeclaims"),
            rule("delete update", CORE, "persistentvolumeclaims"),
            rule("update", CORE, "pods/finalizers"),
            EVENTS,
        ],
    ),
    Role("system:controller:ttl-controller", &[], &[rule("list patch update watch", CORE, "nodes"), EVENTS]),
    Role(
        "system:controller:certificate-controller",
        &[],
        &[
            rule("delete get list watch", CERTIFICATES, "certificatesigningrequests"),
            rule("update", CERTIFICATES, "certificatesigningrequests/approval certificatesigningrequests/status"),
            named("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
            named(
                "sign",
                CERTIFICATES,
                "signers",
                "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
            ),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:pvc-protection-controller",
        &[],
        &[
            rule("get list update watch", CORE, "persistentvolumeclaims"),
            rule("update", CORE, "persistentvolumeclaims/status"),
            rule(READ, CORE, "pods"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:pv-protection-controller",
        &[],
        &[rule("get list update watch", CORE, "persistentvolumes"), EVENTS],
    ),
    Role(
        "system:controller:volumeattributesclass-protection-controller",
        &[],
        &[
            rule(READ, CORE, "persistentvolumeclaims"),
            rule(READ, CORE, "persistentvolumes"),
            rule("get list update watch", STORAGE, "volumeattributesclasses"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:ttl-after-finished-controller",
        &[],
        &[rule("delete get list watch", BATCH, "jobs"), EVENTS],
    ),
    Role("system:controller:root-ca-cert-publisher", &[], &[rule("create update", CORE, "configmaps"), EVENTS]),
    Role(
        "system:controller:validatingadmissionpolicy-status-controller",
        &[],
        &[
            rule(READ, ADMISSION, "validatingadmissionpolicies"),
            rule("get patch update", ADMISSION, "validatingadmissionpolicies/status"),
            EVENTS,
        ],
    ),
    Role(
        "system:controller:legacy-service-account-token-cleaner",
        &[],
        &[
            named("get", CORE, "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
            rule("delete patch", CORE, "secrets"),
        ],
    ),
];
