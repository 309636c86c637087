//! The node's status: what it has, how it does, where it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drydock_api::KUBERNETES_VERSION;
use drydock_api::time::now_rfc3339;
use drydock_client::{Api, Patch};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Node;
use crate::eviction::Signal;
use crate::kubelet::Kubelet;

/// Patches the status whenever it changes, and now and then even if it does not, and when the node was `given_up`.
pub(super) async fn run(kubelet: Arc<Kubelet>, changed: Arc<Notify>, given_up: Arc<AtomicBool>) {
    let Some(api) = &kubelet.api else { return };
    let nodes = Api::<Node>::all(api.client.clone());
    let mut told = Value::Null;
    let mut told_at = Instant::now();
    let mut relief = Relief::default();
    loop {
        relief.take(&kubelet, crate::eviction::look(&kubelet).await);
        if given_up.swap(false, Ordering::Relaxed) {
            told = Value::Null;
        }
        let fresh = status(&kubelet, &told);
        if essence(&fresh) != essence(&told) || told_at.elapsed() >= kubelet.config.node_status_report_frequency {
            let patch = json!({"status": without_gone(&fresh, &told)});
            match nodes.patch_status(&kubelet.node_name, Patch::Strategic, &patch).await {
                Ok(_) => {
                    for (reason, text) in transitions(&kubelet.node_name, &told, &fresh) {
                        super::event(&kubelet, reason, text);
                    }
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

/// The status as a patch: what was allocatable and is no more is taken away.
fn without_gone(fresh: &Value, told: &Value) -> Value {
    let mut patch = fresh.clone();
    let before = told["allocatable"].as_object().into_iter().flat_map(Map::keys);
    if let Some(now) = patch["allocatable"].as_object_mut() {
        for name in before {
            now.entry(name).or_insert(Value::Null);
        }
    }
    patch
}

/// Keeps a pressure up for a while after its cause is gone, so that it does not come and go (upstream:
/// `evictionPressureTransitionPeriod`).
#[derive(Default)]
struct Relief {
    last: Vec<(Signal, Instant)>,
}

const RELIEF: Duration = Duration::from_secs(300);

impl Relief {
    fn take(&mut self, kubelet: &Kubelet, short: Vec<Signal>) {
        let now = Instant::now();
        self.last.retain(|(signal, at)| now.duration_since(*at) < RELIEF && !short.contains(signal));
        self.last.extend(short.into_iter().map(|signal| (signal, now)));
        kubelet.pods.set_pressures(self.last.iter().map(|(signal, _)| *signal).collect());
    }
}

/// The events of conditions that changed: reason and message.
fn transitions(node: &str, before: &Value, after: &Value) -> Vec<(&'static str, String)> {
    let state = |status: &Value, kind: &str| -> Option<bool> {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.find(|condition| condition["type"] == kind).map(|condition| condition["status"] == "True")
    };
    let names = [
        ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
        ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
        ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
        ("Ready", "NodeReady", "NodeNotReady"),
    ];
    names
        .into_iter()
        .filter_map(|(kind, yes, no)| {
            let now = state(after, kind)?;
            let changed = state(before, kind) != Some(now);
            // A node that comes up is not ready at first: no news.
            let news = changed && !(kind == "Ready" && !now && state(before, kind).is_none());
            let reason = if now { yes } else { no };
            news.then(|| (reason, format!("Node {node} status is now: {reason}")))
        })
        .collect()
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
            "kubeletVersion": KUBERNETES_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        },
        "images": images(kubelet),
        "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": true, "userNamespaces": true}}],
        "features": {"supplementalGroupsPolicy": true},
    })
}

/// The 50 largest images, as upstream lists them.
fn images(kubelet: &Kubelet) -> Value {
    let mut images = kubelet.images.list();
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    images.dedup_by(|a, b| a.digest == b.digest);
    images.truncate(50);
    let names = |image: &drydock_images::Image| [image.repo_digests.as_slice(), image.names.as_slice()].concat();
    // Of one image upstream names five.
    images
        .iter()
        .map(|image| json!({"names": names(image).into_iter().take(5).collect::<Vec<_>>(), "sizeBytes": image.size}))
        .collect()
}

fn conditions(kubelet: &Kubelet, before: &Value) -> Value {
    let pressures = kubelet.pods.pressures();
    let short = |condition: &str| pressures.iter().any(|signal| signal.condition() == condition);
    let (memory, disk, pids) = (short("MemoryPressure"), short("DiskPressure"), short("PIDPressure"));
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
        (
            "PIDPressure",
            pids,
            if pids { "KubeletHasInsufficientPID" } else { "KubeletHasSufficientPID" },
            if pids { "kubelet has insufficient PID available" } else { "kubelet has sufficient PID available" },
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_taken_away() {
        let fresh = json!({"allocatable": {"cpu": "2"}, "phase": "x"});
        let told = json!({"allocatable": {"cpu": "1", "example.com/gpu": "3"}});
        assert_eq!(
            without_gone(&fresh, &told),
            json!({"allocatable": {"cpu": "2", "example.com/gpu": null}, "phase": "x"})
        );
        assert_eq!(without_gone(&fresh, &Value::Null), fresh);
    }

    #[test]
    fn changed_conditions_are_told() {
        let status = |ready: &str, memory: &str| json!({"conditions": [{"type": "Ready", "status": ready}, {"type": "MemoryPressure", "status": memory}]});
        let reasons = |before: &Value, after: &Value| -> Vec<&str> {
            transitions("n", before, after).into_iter().map(|(reason, _)| reason).collect()
        };
        assert_eq!(reasons(&Value::Null, &status("False", "False")), ["NodeHasSufficientMemory"]);
        assert_eq!(reasons(&status("False", "False"), &status("True", "False")), ["NodeReady"]);
        assert_eq!(reasons(&status("True", "False"), &status("True", "True")), ["NodeHasInsufficientMemory"]);
        assert!(reasons(&status("True", "True"), &status("True", "True")).is_empty());
        let (_, text) = transitions("n", &status("True", "True"), &status("False", "True")).remove(0);
        assert_eq!(text, "Node n status is now: NodeNotReady");
    }
}
