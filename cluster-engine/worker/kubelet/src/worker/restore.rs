//! What is known of a pod at the kubelet's start: its last reported status, and the logs on disk.

use crate::kubelet::{Kubelet, now};
use crate::pod::{ContainerStatus, Kind, Pod, Terminated};
use crate::state::{Instance, Millis, PodState, Record};

/// The state of a pod whose containers, if it had any, ended with the node.
pub(super) fn state(kubelet: &Kubelet, pod: &Pod) -> PodState {
    let started = pod.status.start_time.as_deref().and_then(seconds);
    let mut state = PodState { started_at: started.unwrap_or_else(now), ..PodState::default() };
    if !pod.is_static() && !pod.status.pod_ip.is_empty() {
        state.sandboxes = 1;
    }
    for (kind, container) in pod.all_containers() {
        let lists = [
            &pod.status.init_container_statuses,
            &pod.status.container_statuses,
            &pod.status.ephemeral_container_statuses,
        ];
        let reported = lists.into_iter().flatten().find(|status| status.name == container.name);
        let record = match reported {
            Some(reported) if !pod.is_static() => Some(from_status(reported)),
            _ => from_logs(kubelet, pod, &container.name),
        };
        // An init container that has done its work need not do it again, but one that was at it must.
        if let Some(mut record) = record {
            record.spec_image.clone_from(&container.image);
            if kind == Kind::Init && record.exit().is_some_and(|exit| exit.exit_code != 0) {
                record.last = record.instance.take().and_then(|instance| instance.exit);
            }
            state.containers.insert(container.name.clone(), record);
        }
    }
    // The main containers never began: whatever init containers did is done again in the new sandbox.
    state
}

fn from_status(reported: &ContainerStatus) -> Record {
    let ended = |exit: Terminated| Instance {
        id: reported.container_id.trim_start_matches("drydock://").to_owned(),
        image: reported.image.clone(),
        image_id: reported.image_id.clone(),
        started_at: exit.started_at.as_deref().and_then(seconds).unwrap_or_default(),
        finished_at: exit.finished_at.as_deref().and_then(seconds).unwrap_or_default(),
        exit: Some(exit),
        user: reported.user.clone().and_then(|user| user.linux),
        ..Instance::default()
    };
    let instance = if let Some(exit) = &reported.state.terminated {
        Some(ended(exit.clone()))
    } else if let Some(running) = &reported.state.running {
        Some(ended(lost(reported, running.started_at.clone())))
    } else {
        reported.last_state.terminated.clone().map(ended)
    };
    let last = reported.last_state.terminated.clone().filter(|_| reported.state.waiting.is_none());
    Record { attempt: reported.restart_count, instance, last, ..Record::default() }
}

/// How containerd reports a container that vanished with its node.
fn lost(reported: &ContainerStatus, started_at: Option<String>) -> Terminated {
    Terminated {
        exit_code: 255,
        reason: "Unknown".to_owned(),
        started_at,
        finished_at: Some(drydock_api::time::now_rfc3339()),
        container_id: reported.container_id.clone(),
        ..Terminated::default()
    }
}

/// Without a status the logs tell how often a container was started (upstream: `calcRestartCountByLogDir`).
fn from_logs(kubelet: &Kubelet, pod: &Pod, container: &str) -> Option<Record> {
    let directory = kubelet.log_dir(pod).join(container);
    let numbers = std::fs::read_dir(directory)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.split('.').next()?.parse::<u32>().ok());
    let attempt = numbers.max()?;
    let exit = Terminated { exit_code: 255, reason: "Unknown".to_owned(), ..Terminated::default() };
    let instance = Instance { exit: Some(exit), ..Instance::default() };
    Some(Record { attempt, instance: Some(instance), ..Record::default() })
}

fn seconds(text: &str) -> Option<Millis> {
    drydock_api::time::parse_seconds(text).map(|seconds| seconds * 1000)
}
