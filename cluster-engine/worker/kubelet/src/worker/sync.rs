//! Tells the API server a pod's status: in order, as patches, again until it is taken, and deletes the pod at the end.

use std::sync::Arc;
use std::time::Duration;

use drydock_client::{Api, DeleteOptions, Patch};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::kubelet::Kubelet;
use crate::pod::{Condition, Pod, PodStatus};

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) status: PodStatus,
    /// Nothing of the pod is left on the node: the API object may go.
    pub(crate) finished: bool,
}

/// What a pod's API object was seen to say of it, as far as others than this kubelet write it: the node lifecycle
/// controller takes the readiness of pods whose node seems to be away, and it is on the kubelet to give it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    version: u64,
    ready: Option<Condition>,
}

impl Seen {
    /// What this object says.
    pub(crate) fn of(pod: &Pod) -> Seen {
        let ready = pod.status.conditions.iter().find(|condition| condition.kind == READY);
        Seen { version: version(pod), ready: ready.cloned() }
    }
}

/// Versions are etcd's revisions, so later ones are greater.
fn version(pod: &Pod) -> u64 {
    pod.metadata.resource_version.parse().unwrap_or(0)
}

const READY: &str = "Ready";
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// Runs until the pod is finished and deleted, or its worker is gone.
pub(super) async fn run(
    kubelet: Arc<Kubelet>,
    pod: Arc<Pod>,
    mut object: watch::Receiver<Option<String>>,
    mut seen: watch::Receiver<Seen>,
    mut reports: watch::Receiver<Report>,
) {
    let Some(api) = &kubelet.api else { return };
    let pods = Api::<Pod>::namespaced(api.client.clone(), &pod.metadata.namespace);
    let mut told = Told { uid: object.borrow().clone(), status: pod.status.clone(), version: version(&pod) };
    let mut pause = PAUSE.0;
    reports.mark_changed();
    loop {
        tokio::select! {
            changed = reports.changed() => if changed.is_err() { return },
            changed = object.changed() => if changed.is_err() { return },
            changed = seen.changed() => {
                if changed.is_err() {
                    return;
                }
                if !told.is_overruled_by(&seen.borrow_and_update()) {
                    continue;
                }
            }
        }
        loop {
            let report = reports.borrow_and_update().clone();
            let Some(uid) = object.borrow_and_update().clone() else { break };
            match tell(&pods, &pod, &uid, &mut told, &report).await {
                Ok(true) => return,
                Ok(false) => {
                    pause = PAUSE.0;
                    break;
                }
                Err(error) => {
                    tracing::debug!(pod.name = pod.metadata.name, %error, "cannot update a pod's status yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }
}

/// What the API server is known to have.
struct Told {
    uid: Option<String>,
    status: PodStatus,
    /// The object's version after the last write.
    version: u64,
}

impl Told {
    /// Takes over what somebody else wrote since; true when it is something else than what was told.
    fn is_overruled_by(&mut self, seen: &Seen) -> bool {
        let Some(ready) = seen.ready.as_ref().filter(|_| seen.version > self.version) else { return false };
        let Some(told) = self.status.conditions.iter_mut().find(|condition| condition.kind == READY) else {
            return false;
        };
        if told.status == ready.status {
            return false;
        }
        *told = ready.clone();
        self.version = seen.version;
        true
    }
}

/// One attempt; true when the object is gone.
async fn tell(
    pods: &Api<Pod>,
    pod: &Pod,
    uid: &str,
    told: &mut Told,
    report: &Report,
) -> Result<bool, drydock_client::Error> {
    let name = &pod.metadata.name;
    if told.uid.as_deref() != Some(uid) {
        // A new mirror pod knows nothing yet.
        *told = Told { uid: Some(uid.to_owned()), status: PodStatus::default(), version: 0 };
    }
    if let Some(status) = difference(&told.status, &report.status) {
        let patch = json!({"metadata": {"uid": uid}, "status": status});
        match pods.patch_status(name, Patch::Strategic, &patch).await {
            Ok(written) => {
                told.status = report.status.clone();
                told.version = version(&written);
            }
            // Deleted, or deleted and made anew: a static pod gets a new mirror, another pod is over.
            Err(error) if error.is_not_found() || error.is_conflict() => return Ok(!pod.is_static()),
            Err(error) if error.is_invalid() || error.code() == 400 || error.is_forbidden() => {
                tracing::warn!(pod.name = name, %error, "the API server refuses a pod's status");
                told.status = report.status.clone();
            }
            Err(error) => return Err(error),
        }
    }
    if !report.finished || pod.is_static() {
        return Ok(false);
    }
    let options =
        DeleteOptions { grace_period_seconds: Some(0), uid: Some(uid.to_owned()), ..DeleteOptions::default() };
    match pods.delete(name, &options).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(true),
        Err(error) => Err(error),
    }
}

/// The strategic merge patch from one status to the other; `None` if they are equal.
pub(crate) fn difference(before: &PodStatus, after: &PodStatus) -> Option<Value> {
    let fields = |status: &PodStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (old, new) = (fields(before), fields(after));
    let mut patch = Map::new();
    for (key, value) in &new {
        if old.get(key) == Some(value) {
            continue;
        }
        let value = match key.as_str() {
            // Merged by their keys: only what changed is sent, others' conditions are left alone.
            "conditions" => changed(old.get(key), value),
            "podIPs" | "hostIPs" => replaced(old.get(key), value),
            _ => value.clone(),
        };
        patch.insert(key.clone(), value);
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn items(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn changed(old: Option<&Value>, new: &Value) -> Value {
    let before = items(old);
    let mut list: Vec<Value> = Vec::new();
    for condition in items(Some(new)).iter().filter(|condition| !before.contains(condition)) {
        let mut condition = condition.clone();
        let earlier = before.iter().find(|old| old["type"] == condition["type"]);
        // A reason that is no longer true must be taken away by name.
        for key in ["reason", "message"] {
            if earlier.is_some_and(|old| old.get(key).is_some()) && condition.get(key).is_none() {
                condition[key] = Value::Null;
            }
        }
        list.push(condition);
    }
    let stays = |kind: &Value| items(Some(new)).iter().any(|condition| condition["type"] == *kind);
    for gone in before.iter().filter(|old| !stays(&old["type"])) {
        list.push(json!({"type": gone["type"], "$patch": "delete"}));
    }
    Value::Array(list)
}

fn replaced(old: Option<&Value>, new: &Value) -> Value {
    let mut list = items(Some(new)).to_vec();
    for gone in items(old).iter().filter(|ip| !items(Some(new)).contains(ip)) {
        list.push(json!({"ip": gone["ip"], "$patch": "delete"}));
    }
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Ip;

    #[test]
    fn readiness_that_others_took_is_given_back() {
        let ready = |status: &str| Condition { kind: READY.into(), status: status.into(), ..Condition::default() };
        let status = PodStatus { conditions: vec![ready("True")], ..PodStatus::default() };
        let mut told = Told { uid: None, status: status.clone(), version: 10 };
        assert!(!told.is_overruled_by(&Seen { version: 9, ready: Some(ready("False")) }), "from before our own write");
        assert!(!told.is_overruled_by(&Seen { version: 11, ready: Some(ready("True")) }), "as we told it");
        assert_eq!(difference(&told.status, &status), None);
        assert!(told.is_overruled_by(&Seen { version: 12, ready: Some(ready("False")) }));
        let patch = difference(&told.status, &status).unwrap();
        assert_eq!(patch["conditions"][0]["status"], "True");
    }

    #[test]
    fn patches_hold_only_what_changed() {
        let condition = |kind: &str, status: &str, reason: &str| Condition {
            kind: kind.into(),
            status: status.into(),
            reason: reason.into(),
            ..Condition::default()
        };
        let before = PodStatus {
            phase: "Pending".into(),
            message: "x".into(),
            conditions: vec![
                condition("Ready", "False", "ContainersNotReady"),
                condition("PodScheduled", "True", ""),
                condition("PodResizePending", "True", "Deferred"),
            ],
            pod_ips: vec![Ip { ip: "10.0.0.1".into() }],
            ..PodStatus::default()
        };
        assert_eq!(difference(&before, &before), None);
        let after = PodStatus {
            phase: "Running".into(),
            conditions: vec![condition("Ready", "True", ""), condition("PodScheduled", "True", "")],
            pod_ips: vec![Ip { ip: "10.0.0.2".into() }],
            ..PodStatus::default()
        };
        let patch = difference(&before, &after).unwrap();
        assert_eq!(
            patch,
            json!({
                "phase": "Running",
                "message": null,
                "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null, "reason": null}, {"type": "PodResizePending", "$patch": "delete"}],
                "podIPs": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1", "$patch": "delete"}],
            })
        );
    }
}
