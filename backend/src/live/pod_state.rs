//! The STATUS column of `kubectl get pods`, and each container's share in it.

use drydock_protocol::Container;
use serde_json::Value;

use super::raw::{list, number, text};

/// The word that kubectl shows for a pod.
pub(super) fn pod_state(pod: &Value) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return if text(pod, "/status/reason") == "NodeLost" { "Unknown" } else { "Terminating" }.to_owned();
    }
    let phase = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase"),
        reason => reason,
    };
    if let Some(word) = init_state(pod) {
        return word;
    }
    let mut word = if phase.is_empty() { "Pending" } else { phase }.to_owned();
    let mut running = false;
    for status in list(pod, "/status/containerStatuses").iter().rev() {
        if let Some(reason) = waiting(status) {
            word = reason;
        } else if let Some(reason) = terminated(status) {
            word = reason;
        } else if status.get("ready").and_then(Value::as_bool).unwrap_or(false)
            && status.pointer("/state/running").is_some()
        {
            running = true;
        }
    }
    if word == "Completed" && running {
        let ready = list(pod, "/status/conditions")
            .iter()
            .any(|it| text(it, "/type") == "Ready" && text(it, "/status") == "True");
        word = if ready { "Running" } else { "NotReady" }.to_owned();
    }
    word
}

fn init_state(pod: &Value) -> Option<String> {
    let total = list(pod, "/spec/initContainers").len();
    for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        let started = status.get("started").and_then(Value::as_bool).unwrap_or(false);
        if status.pointer("/state/terminated").is_some() {
            if number(status, "/state/terminated/exitCode") == 0 {
                continue;
            }
            return terminated(status).map(|reason| format!("Init:{reason}"));
        }
        if started && is_sidecar(pod, text(status, "/name")) {
            continue;
        }
        return Some(match waiting(status) {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{index}/{total}"),
        });
    }
    None
}

fn is_sidecar(pod: &Value, name: &str) -> bool {
    list(pod, "/spec/initContainers")
        .iter()
        .any(|it| text(it, "/name") == name && text(it, "/restartPolicy") == "Always")
}

fn waiting(status: &Value) -> Option<String> {
    let reason = text(status, "/state/waiting/reason");
    (!reason.is_empty()).then(|| reason.to_owned())
}

fn terminated(status: &Value) -> Option<String> {
    let state = status.pointer("/state/terminated")?;
    Some(match (text(state, "/reason"), number(state, "/signal"), number(state, "/exitCode")) {
        ("", 0, code) => format!("ExitCode:{code}"),
        ("", signal, _) => format!("Signal:{signal}"),
        (reason, _, _) => reason.to_owned(),
    })
}

/// The pod's containers, init containers first.
pub(super) fn containers(pod: &Value) -> Vec<Container> {
    let of = |spec: &str, status: &str, init: bool| -> Vec<Container> {
        let statuses = list(pod, status);
        list(pod, spec)
            .iter()
            .map(|container| {
                let name = text(container, "/name");
                let status = statuses.iter().find(|status| text(status, "/name") == name).unwrap_or(&Value::Null);
                let running = status.pointer("/state/running").map(|_| "Running".to_owned());
                Container {
                    name: name.to_owned(),
                    image: text(container, "/image").to_owned(),
                    init,
                    ready: status.get("ready").and_then(Value::as_bool).unwrap_or(false),
                    state: running
                        .or_else(|| waiting(status))
                        .or_else(|| terminated(status))
                        .unwrap_or_else(|| "Waiting".to_owned()),
                    restarts: number(status, "/restartCount"),
                }
            })
            .collect()
    };
    let mut containers = of("/spec/initContainers", "/status/initContainerStatuses", true);
    containers.extend(of("/spec/containers", "/status/containerStatuses", false));
    containers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pod: Value, expected: &str) {
        assert_eq!(pod_state(&pod), expected, "{pod}");
    }

    #[test]
    fn words_of_kubectl() {
        check(json!({}), "Pending");
        check(json!({"status": {"phase": "Running"}}), "Running");
        check(
            json!({"metadata": {"deletionTimestamp": "2026-11-21T00:00:00Z"}, "status": {"phase": "Running"}}),
            "Terminating",
        );
        check(json!({"status": {"phase": "Failed", "reason": "Evicted"}}), "Evicted");
        let waiting = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        check(json!({"status": {"phase": "Running", "containerStatuses": [waiting]}}), "CrashLoopBackOff");
        let killed = json!({"state": {"terminated": {"exitCode": 137, "signal": 9}}});
        check(json!({"status": {"phase": "Failed", "containerStatuses": [killed]}}), "Signal:9");
        let init = json!({"name": "i", "state": {"running": {}}});
        check(
            json!({"spec": {"initContainers": [{"name": "i"}, {"name": "j"}]}, "status": {"phase": "Pending", "initContainerStatuses": [init]}}),
            "Init:0/2",
        );
        let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let up = json!({"ready": true, "state": {"running": {}}});
        check(json!({"status": {"phase": "Running", "containerStatuses": [done, up]}}), "NotReady");
    }
}
