//! The node's status: what it has, how it does, where it is.

use std::sync::Arc;
use std::time::Duration;

use drydock_api::quantity::Quantity;
use drydock_api::time::now_rfc3339;
use drydock_client::{Api, Patch};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Node;
use crate::kubelet::Kubelet;
use crate::machine;

/// Patches the status whenever it changes, and now and then even if it does not.
pub(super) async fn run(kubelet: Arc<Kubelet>, changed: Arc<Notify>) {
    let Some(api) = &kubelet.api else { return };
    let nodes = Api::<Node>::all(api.client.clone());
    let mut told = Value::Null;
    let mut told_at = Instant::now();
    loop {
        let fresh = status(&kubelet, &told);
        if essence(&fresh) != essence(&told) || told_at.elapsed() >= kubelet.config.node_status_report_frequency {
            let patch = json!({"status": fresh});
            match nodes.patch_status(&kubelet.node_name, Patch::Strategic, &patch).await {
                Ok(_) => {
                    told = fresh;
                    told_at = Instant::now();
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot update the node's status yet");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            }
        }
        let _ = tokio::time::timeout(kubelet.config.node_status_update_frequency, changed.notified()).await;
    }
}

/// The status without what changes all the time.
fn essence(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastHeartbeatTime"] = Value::Null;
    }
    status
}

/// Makes the status; conditions that are as in `before` keep their transition time.
pub(super) fn status(kubelet: &Kubelet, before: &Value) -> Value {
    let machine = &kubelet.machine;
    json!({
        "capacity": super::capacity(kubelet),
        "allocatable": super::allocatable(kubelet),
        "conditions": conditions(kubelet, before),
        "addresses": [
            {"type": "InternalIP", "address": kubelet.node_ip.to_string()},
            {"type": "Hostname", "address": kubelet.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.config.port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": concat!("drydock://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": crate::VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        },
        "images": images(kubelet),
    })
}

/// The 50 largest images, as upstream lists them.
fn images(kubelet: &Kubelet) -> Value {
    let mut images = kubelet.images.list().unwrap_or_default();
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    images.dedup_by(|a, b| a.digest == b.digest);
    images.truncate(50);
    images.iter().map(|image| json!({"names": image.names, "sizeBytes": image.size})).collect()
}

fn conditions(kubelet: &Kubelet, before: &Value) -> Value {
    let threshold = |signal: &str, total: u64, default: &str| {
        let text = kubelet.config.eviction_hard.get(signal).map_or(default, String::as_str);
        match text.strip_suffix('%').and_then(|percent| percent.parse::<f64>().ok()) {
            Some(percent) => (total as f64 * percent / 100.0) as u64,
            None => Quantity::parse(text).ok().and_then(|quantity| u64::try_from(quantity.value()).ok()).unwrap_or(0),
        }
    };
    let memory =
        machine::memory_available(kubelet.machine.memory) < threshold("memory.available", kubelet.machine.memory, "0");
    let (total, free) = machine::disk(&kubelet.options.root_dir);
    let disk = total > 0 && free < threshold("nodefs.available", total, "0");
    let network = kubelet.network_ready();
    let not_ready = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
    let wanted = [
        (
            "MemoryPressure",
            memory,
            if memory { "KubeletHasInsufficientMemory" } else { "KubeletHasSufficientMemory" },
            if memory {
                "kubelet has insufficient memory available"
            } else {
                "kubelet has sufficient memory available"
            },
        ),
        (
            "DiskPressure",
            disk,
            if disk { "KubeletHasDiskPressure" } else { "KubeletHasNoDiskPressure" },
            if disk { "kubelet has disk pressure" } else { "kubelet has no disk pressure" },
        ),
        ("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        (
            "Ready",
            network,
            if network { "KubeletReady" } else { "KubeletNotReady" },
            if network { "kubelet is posting ready status" } else { not_ready },
        ),
    ];
    let now = now_rfc3339();
    let old =
        |kind: &str| before["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    wanted
        .into_iter()
        .map(|(kind, is_true, reason, message)| {
            let value = if is_true { "True" } else { "False" };
            let kept =
                old(kind).filter(|old| old["status"] == value).and_then(|old| old["lastTransitionTime"].as_str());
            json!({
                "type": kind,
                "status": value,
                "lastHeartbeatTime": now,
                "lastTransitionTime": kept.unwrap_or(&now),
                "reason": reason,
                "message": message,
            })
        })
        .collect()
}
