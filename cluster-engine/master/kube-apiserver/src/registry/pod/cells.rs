//! Cells of the pod table: the words of `kubectl get pods`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::print::condition;
use crate::registry::value::Read as _;
use crate::row::age;

/// The cells that follow from the statuses of all containers together.
pub(super) struct Summary {
    /// `1/2`.
    pub(super) ready: String,
    /// `Running`, `Init:0/1`, `CrashLoopBackOff`, `Terminating` …
    pub(super) status: String,
    /// `0` or `3 (5m ago)`.
    pub(super) restarts: String,
}

/// The first address of the pod.
pub(super) fn address(pod: &Value) -> &str {
    match pod.items("status.podIPs").first() {
        Some(first) => first.text("ip"),
        None => pod.text("status.podIP"),
    }
}

/// `1/2` readiness gates that are true.
pub(super) fn readiness_gates(pod: &Value) -> String {
    let gates = pod.items("spec.readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| condition(pod, gate.text("conditionType")) == "True").count();
    format!("{open}/{}", gates.len())
}

/// Table conditions of a finished pod.
pub(super) fn conditions(pod: &Value) -> Value {
    match pod.text("status.phase") {
        "Succeeded" => {
            json!([{"type": "Completed", "status": "True", "reason": "Succeeded", "message": "The pod has completed successfully."}])
        }
        "Failed" => json!([{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}]),
        _ => Value::Null,
    }
}

/// Counts restarts and remembers the last one.
#[derive(Default, Clone, Copy)]
struct Restarts<'a> {
    count: i64,
    last: &'a str,
}

impl<'a> Restarts<'a> {
    fn add(&mut self, status: &'a Value) {
        self.count += status.int("restartCount").unwrap_or(0);
        // Timestamps of one format and zone sort as text.
        self.last = self.last.max(status.text("lastState.terminated.finishedAt"));
    }
}

/// Words for a container that ended: its reason, signal or exit code.
fn ended(terminated: &Value) -> String {
    match (terminated.text("reason"), terminated.int("signal").unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", terminated.int("exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// What upstream's printPod works out.
pub(super) fn summary(pod: &Value, now: Timestamp) -> Summary {
    let init_specs = pod.items("spec.initContainers");
    let sidecar =
        |name: &str| init_specs.iter().any(|spec| spec.text("name") == name && spec.text("restartPolicy") == "Always");
    let total = pod.items("spec.containers").len()
        + init_specs.iter().filter(|spec| spec.text("restartPolicy") == "Always").count();
    let phase = pod.text("status.phase");
    let mut reason = if pod.text("status.reason").is_empty() { phase } else { pod.text("status.reason") }.to_owned();
    if pod
        .items("status.conditions")
        .iter()
        .any(|c| c.text("type") == "PodScheduled" && c.text("reason") == "SchedulingGated")
    {
        reason = "SchedulingGated".to_owned();
    }

    let mut ready = 0;
    let mut restarts = Restarts::default();
    let mut sidecar_restarts = Restarts::default();
    let mut initializing = false;
    for (index, status) in pod.items("status.initContainerStatuses").iter().enumerate() {
        restarts.add(status);
        let is_sidecar = sidecar(status.text("name"));
        if is_sidecar {
            sidecar_restarts.add(status);
        }
        let terminated = status.at("state.terminated");
        if !terminated.is_null() && terminated.int("exitCode").unwrap_or(0) == 0 {
            continue;
        }
        if is_sidecar && status.flag("started") {
            ready += usize::from(status.flag("ready"));
            continue;
        }
        let waiting = status.text("state.waiting.reason");
        reason = if !terminated.is_null() {
            format!("Init:{}", ended(terminated))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", init_specs.len())
        };
        initializing = true;
        break;
    }

    if !initializing || condition(pod, "Initialized") == "True" {
        restarts = sidecar_restarts;
        let mut running = false;
        let mut error = String::new();
        for status in pod.items("status.containerStatuses").iter().rev() {
            restarts.add(status);
            let waiting = status.text("state.waiting.reason");
            let terminated = status.at("state.terminated");
            if !waiting.is_empty() {
                reason = waiting.to_owned();
            } else if !terminated.is_null() {
                reason = ended(terminated);
                if terminated.int("exitCode").unwrap_or(0) != 0 {
                    error.clone_from(&reason);
                }
            } else if status.flag("ready") && status.has("state.running") {
                running = true;
                ready += 1;
            }
        }
        if reason == "Completed" {
            if running && condition(pod, "Ready") == "True" {
                reason = "Running".to_owned();
            } else if !error.is_empty() {
                reason = error;
            } else if running {
                reason = "NotReady".to_owned();
            }
        }
    }

    if pod.has("metadata.deletionTimestamp") {
        if pod.text("status.reason") == "NodeLost" {
            reason = "Unknown".to_owned();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            reason = "Terminating".to_owned();
        }
    }
    let restarts = if restarts.count != 0 && !restarts.last.is_empty() {
        format!("{} ({} ago)", restarts.count, age(restarts.last, now))
    } else {
        restarts.count.to_string()
    };
    Summary { ready: format!("{ready}/{total}"), status: reason, restarts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pod: Value, ready: &str, status: &str, restarts: &str) {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let summary = summary(&pod, now);
        assert_eq!(
            (summary.ready.as_str(), summary.status.as_str(), summary.restarts.as_str()),
            (ready, status, restarts)
        );
    }

    fn one(status: Value) -> Value {
        json!({"spec": {"containers": [{"name": "a"}]}, "status": status})
    }

    #[test]
    fn plain_pods() {
        check(one(json!({"phase": "Pending"})), "0/1", "Pending", "0");
        check(
            one(
                json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}}]}),
            ),
            "1/1",
            "Running",
            "0",
        );
        check(
            one(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]})),
            "0/1",
            "SchedulingGated",
            "0",
        );
        check(one(json!({"phase": "Failed", "reason": "Evicted"})), "0/1", "Evicted", "0");
    }

    #[test]
    fn waiting_and_ended() {
        let crash = json!({"phase": "Running", "containerStatuses": [{"name": "a", "restartCount": 3, "ready": false,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:05:00Z"}}}]});
        check(one(crash), "0/1", "CrashLoopBackOff", "3 (5m ago)");
        let done = json!({"phase": "Succeeded", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]});
        check(one(done), "0/1", "Completed", "0");
        let error =
            json!({"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 2}}}]});
        check(one(error), "0/1", "ExitCode:2", "0");
        let killed = json!({"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 137, "signal": 9}}}]});
        check(one(killed), "0/1", "Signal:9", "0");
    }

    #[test]
    fn two_containers_of_which_one_completed() {
        let pod = |ready: &str| {
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                {"name": "b", "ready": true, "state": {"running": {}}}]}})
        };
        check(pod("True"), "1/2", "Running", "0");
        check(pod("False"), "1/2", "NotReady", "0");
    }

    #[test]
    fn init_containers_and_sidecars() {
        let pod = |statuses: Value| {
            json!({"spec": {"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "a"}]},
                "status": {"phase": "Pending", "initContainerStatuses": statuses}})
        };
        check(pod(json!([{"name": "i", "state": {"running": {}}}])), "0/2", "Init:0/2", "0");
        check(pod(json!([{"name": "i", "state": {"waiting": {"reason": "PodInitializing"}}}])), "0/2", "Init:0/2", "0");
        check(
            pod(json!([{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}])),
            "0/2",
            "Init:ErrImagePull",
            "0",
        );
        check(
            pod(json!([{"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}])),
            "0/2",
            "Init:Error",
            "2",
        );
        check(pod(json!([{"name": "i", "state": {"terminated": {"exitCode": 1}}}])), "0/2", "Init:ExitCode:1", "0");
        check(
            pod(
                json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "s", "started": true, "ready": true, "state": {"running": {}}}]),
            ),
            "1/2",
            "Pending",
            "0",
        );
    }

    #[test]
    fn terminating() {
        let mut pod = one(json!({"phase": "Running"}));
        pod["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        check(pod.clone(), "0/1", "Terminating", "0");
        pod["status"]["reason"] = json!("NodeLost");
        check(pod.clone(), "0/1", "Unknown", "0");
        check(
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": [{}]}, "status": {"phase": "Succeeded"}}),
            "0/1",
            "Succeeded",
            "0",
        );
    }

    #[test]
    fn gates() {
        let pod = json!({"spec": {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
            "status": {"conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]}});
        assert_eq!(readiness_gates(&pod), "1/2");
        assert_eq!(readiness_gates(&json!({})), "<none>");
    }
}
