//! The node's heartbeat: a Lease in `kube-node-lease`, renewed four times in its life.

use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::now_micro;
use drydock_client::types::Lease;
use drydock_client::{Api, Patch};
use serde_json::json;

use crate::kubelet::Kubelet;

/// Renews for ever.
pub(super) async fn run(kubelet: Arc<Kubelet>) {
    let Some(api) = &kubelet.api else { return };
    let leases = Api::<Lease>::namespaced(api.client.clone(), "kube-node-lease");
    let seconds = kubelet.config.node_lease_duration_seconds.max(1);
    let period = Duration::from_millis(u64::from(seconds) * 250);
    loop {
        let renewed =
            match leases.patch(&kubelet.node_name, Patch::Merge, &json!({"spec": {"renewTime": now_micro()}})).await {
                Err(error) if error.is_not_found() => create(&kubelet, &leases, seconds).await,
                result => result.map(drop),
            };
        let pause = match renewed {
            Ok(()) => period,
            Err(error) => {
                tracing::debug!(%error, "cannot renew the node's lease");
                period.min(Duration::from_millis(200))
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn create(kubelet: &Kubelet, leases: &Api<Lease>, seconds: u32) -> Result<(), drydock_client::Error> {
    let mut lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": kubelet.node_name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": kubelet.node_name, "leaseDurationSeconds": seconds, "renewTime": now_micro()},
    });
    if let Some(uid) = super::uid(kubelet) {
        lease["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Node", "name": kubelet.node_name, "uid": uid}]);
    }
    match leases.create(&lease).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(()),
    }
}
