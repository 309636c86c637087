//! What one action set off, read from the API server's audit events.

use serde::{Deserialize, Serialize};

/// A chain of requests that belong together: a `kubectl expose` and all that followed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Identifier, ascending in a session; an event with a known one replaces it (chains grow).
    pub id: u64,
    /// What the person did, such as `create deployment web` or `expose service web`.
    pub title: String,
    /// When it began.
    pub start_millis: u64,
    /// From the begin to the end of the last stage.
    pub duration_micros: u64,
    /// What happened, by begin.
    pub stages: Vec<Stage>,
}

/// One request in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Component that asked: `kubectl`, `kube-controller-manager`, `kube-scheduler`, `kubelet`, `kube-proxy` …
    pub component: String,
    /// Node on which that component runs, where it is one of many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Who asked, as authenticated, such as `system:serviceaccount:kube-system:replicaset-controller`.
    pub actor: String,
    /// Verb of the request: `create`, `patch`, `update` …
    pub verb: String,
    /// Resource with its sub-resource, such as `pods/binding`.
    pub resource: String,
    /// Namespace, empty for cluster-wide ones.
    #[serde(default)]
    pub namespace: String,
    /// Name of the object.
    #[serde(default)]
    pub name: String,
    /// HTTP status of the answer.
    #[serde(default)]
    pub code: u16,
    /// Begin, counted from the trace's.
    pub start_micros: u64,
    /// How long the API server took.
    pub duration_micros: u64,
    /// How long of that etcd took, as the audit event's `apiserver.latency.k8s.io/etcd` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_micros: Option<u64>,
}
