//! The pod's status from its state: phase, conditions and container statuses, as upstream derives them.

use drydock_api::time::format_seconds;

use crate::plan::outcome;
use crate::pod::{
    Condition, ContainerStatus, ContainerUser, Ip, Kind, Pod, PodStatus, Running, State, VolumeMountStatus, Waiting,
};
use crate::state::{Millis, PodState, Record};

/// What of the node shows in a pod's status.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) ip: String,
}

/// Makes the status. `before` is the last known one: unchanged conditions keep their time, foreign ones stay.
pub(crate) fn status(pod: &Pod, state: &PodState, before: &PodStatus, host: &Host, now: Millis) -> PodStatus {
    let mut status = PodStatus {
        observed_generation: pod.metadata.generation,
        host_ip: host.ip.clone(),
        host_ips: vec![Ip { ip: host.ip.clone() }],
        start_time: Some(before.start_time.clone().unwrap_or_else(|| timestamp(state.started_at))),
        qos_class: pod.qos().name().to_owned(),
        ..PodStatus::default()
    };
    for (kind, container) in pod.all_containers() {
        let list = match kind {
            Kind::Init | Kind::Sidecar => &mut status.init_container_statuses,
            Kind::Main => &mut status.container_statuses,
            Kind::Ephemeral => &mut status.ephemeral_container_statuses,
        };
        list.push(container_status(pod, state, kind, container));
    }
    let ip = match &state.sandbox {
        Some(_) if pod.spec.host_network => host.ip.clone(),
        Some(sandbox) => sandbox.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        // An ended pod keeps the address it had.
        None => before.pod_ip.clone(),
    };
    if !ip.is_empty() {
        status.pod_ips = vec![Ip { ip: ip.clone() }];
        status.pod_ip = ip;
    }
    status.phase = phase(pod, state, &status).to_owned();
    if let Some(failure) = &state.failed {
        status.phase = "Failed".to_owned();
        status.reason.clone_from(&failure.reason);
        status.message.clone_from(&failure.message);
        if state.sandboxes == 0 {
            // Refused at the door: upstream reports no containers and no addresses then.
            status.container_statuses.clear();
            status.init_container_statuses.clear();
        }
    }
    status.conditions = conditions(pod, state, &status, before, now);
    // A pod that still has running containers is never reported as over (upstream: `mergePodStatus`).
    if matches!(status.phase.as_str(), "Succeeded" | "Failed") && state.running().next().is_some() {
        status.phase = match before.phase.as_str() {
            "" => "Running".to_owned(),
            phase => phase.to_owned(),
        };
        status.reason.clone_from(&before.reason);
        status.message.clone_from(&before.message);
    }
    status
}

pub(crate) fn timestamp(at: Millis) -> String {
    format_seconds(at.div_euclid(1000))
}

fn container_status(pod: &Pod, state: &PodState, kind: Kind, container: &crate::pod::Container) -> ContainerStatus {
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone(),
        started: Some(false),
        ..ContainerStatus::default()
    };
    if kind == Kind::Ephemeral {
        status.started = None;
    }
    let empty = Record::default();
    let record = state.record(&container.name).unwrap_or(&empty);
    status.restart_count = record.attempt;
    if let Some(last) = &record.last {
        status.last_state.terminated = Some(last.clone());
    }
    match &record.instance {
        Some(instance) if instance.is_running() && !instance.hook_pending => {
            status.state.running = Some(Running { started_at: Some(timestamp(instance.started_at)) });
            let done = kind == Kind::Init;
            status.started = (kind != Kind::Ephemeral).then_some(instance.started);
            status.ready = !done && kind != Kind::Ephemeral && instance.started && instance.ready;
        }
        Some(instance) if instance.is_running() => status.state.waiting = Some(default_waiting(pod)),
        Some(instance) => match &record.waiting {
            Some(waiting) => {
                status.state.waiting = Some(waiting.clone());
                status.last_state.terminated.clone_from(&instance.exit);
            }
            None => {
                status.state.terminated.clone_from(&instance.exit);
                status.ready = kind == Kind::Init && instance.exit.as_ref().is_some_and(|exit| exit.exit_code == 0);
            }
        },
        None => status.state.waiting = Some(record.waiting.clone().unwrap_or_else(|| default_waiting(pod))),
    }
    if let Some(instance) = &record.instance {
        status.image.clone_from(&instance.image);
        status.image_id.clone_from(&instance.image_id);
        if !instance.id.is_empty() {
            status.container_id = format!("drydock://{}", instance.id);
        }
        status.volume_mounts = mounts(container);
        status.user = instance.user.clone().map(|user| ContainerUser { linux: Some(user) });
        // What a running container really has; the specification's is what it was allocated.
        let allocated = &container.resources;
        let given = if instance.is_running() { &instance.resources } else { allocated };
        if kind != Kind::Ephemeral && (!given.limits.is_empty() || !given.requests.is_empty()) {
            status.resources = Some(given.clone());
        }
        if kind != Kind::Ephemeral && !allocated.requests.is_empty() {
            status.allocated_resources = Some(allocated.requests.clone());
        }
    }
    status
}

fn mounts(container: &crate::pod::Container) -> Vec<VolumeMountStatus> {
    let mount = |mount: &crate::pod::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only,
        // Everything below a read-only mount is read-only here; said where it was asked for.
        recursive_read_only: mount.read_only.then(|| match mount.recursive_read_only.as_deref() {
            Some("Enabled" | "IfPossible") => "Enabled".to_owned(),
            _ => "Disabled".to_owned(),
        }),
    };
    container.volume_mounts.iter().map(mount).collect()
}

fn default_waiting(pod: &Pod) -> Waiting {
    let initializing = !pod.spec.init_containers.is_empty();
    let reason = if initializing { "PodInitializing" } else { "ContainerCreating" };
    Waiting { reason: reason.to_owned(), message: String::new() }
}

/// upstream: `getPhase`.
fn phase(pod: &Pod, state: &PodState, status: &PodStatus) -> &'static str {
    let idle = state.running().next().is_none();
    match outcome(pod, state) {
        // Sidecars that are still being stopped keep the pod running.
        Some(true) if idle => return "Succeeded",
        Some(false) if idle => return "Failed",
        Some(_) if state.is_initialized(pod) => return "Running",
        Some(_) => return "Pending",
        None => {}
    }
    let ended = state.terminating.is_some() && idle && state.sandbox.is_none();
    let (mut running, mut stopped, mut succeeded, mut waiting) = (0, 0, 0, 0);
    for container in &status.container_statuses {
        let State { running: runs, terminated, .. } = &container.state;
        if runs.is_some() {
            running += 1;
        } else if let Some(exit) = terminated {
            stopped += 1;
            succeeded += u32::from(exit.exit_code == 0);
        } else if container.last_state.terminated.is_some() {
            stopped += 1;
        } else {
            waiting += 1;
        }
    }
    if ended {
        // A pod that is gone for good is over, whatever its policy says.
        return if waiting == 0 && stopped == succeeded { "Succeeded" } else { "Failed" };
    }
    if !state.is_initialized(pod) || waiting > 0 {
        return "Pending";
    }
    let restarts = |container: &crate::pod::Container| {
        let exit = state.record(&container.name).and_then(Record::exit);
        exit.is_none_or(|exit| pod.wants_restart(container, exit.exit_code))
    };
    if running > 0 || pod.spec.containers.iter().any(restarts) { "Running" } else { "Pending" }
}

fn conditions(pod: &Pod, state: &PodState, status: &PodStatus, before: &PodStatus, now: Millis) -> Vec<Condition> {
    let has_network = state.sandbox.as_ref().is_some_and(|sandbox| !sandbox.dead);
    let mut wanted = vec![
        ("PodReadyToStartContainers", has_network, String::new(), String::new()),
        initialized(pod, state, status),
        ready(pod, status, before),
        containers_ready(pod, status),
        ("PodScheduled", true, String::new(), String::new()),
    ];
    if state.failed.is_some() && state.sandboxes == 0 {
        wanted.retain(|(kind, ..)| *kind == "PodScheduled");
    }
    if let Some((reason, message)) = &state.resize.pending {
        wanted.push((PENDING, true, (*reason).to_owned(), message.clone()));
    }
    if state.resize.in_progress.is_some() {
        let error = state.resize.error.clone();
        let reason = if error.is_some() { "Error".to_owned() } else { String::new() };
        wanted.push((IN_PROGRESS, true, reason, error.unwrap_or_default()));
    }
    if let Some(restarting) = state.restarting_all {
        wanted.push(("AllContainersRestarting", restarting, String::new(), String::new()));
    }
    if let Some(failure) = state.failed.as_ref().filter(|failure| failure.disruption) {
        wanted.push(("DisruptionTarget", true, "TerminationByKubelet".to_owned(), failure.message.clone()));
    }
    let mut conditions: Vec<Condition> = Vec::new();
    for (kind, is_true, reason, message) in wanted {
        let value = if is_true { "True" } else { "False" };
        let old = before.conditions.iter().find(|condition| condition.kind == kind);
        let kept = old.filter(|old| old.status == value).and_then(|old| old.last_transition_time.clone());
        conditions.push(Condition {
            kind: kind.to_owned(),
            status: value.to_owned(),
            // A resize that is under way belongs to the generation that asked for it.
            observed_generation: state
                .resize
                .in_progress
                .filter(|_| kind == IN_PROGRESS)
                .unwrap_or(pod.metadata.generation),
            last_probe_time: None,
            last_transition_time: Some(kept.unwrap_or_else(|| timestamp(now))),
            reason,
            message,
        });
    }
    let is_foreign = |old: &&Condition| {
        !OCCASIONAL.contains(&old.kind.as_str()) && !conditions.iter().any(|new| new.kind == old.kind)
    };
    let foreign: Vec<_> = before.conditions.iter().filter(is_foreign).cloned().collect();
    conditions.extend(foreign);
    conditions
}

/// Conditions that the kubelet sets and takes away again.
const OCCASIONAL: [&str; 2] = [PENDING, IN_PROGRESS];
const PENDING: &str = "PodResizePending";
const IN_PROGRESS: &str = "PodResizeInProgress";

type Wanted = (&'static str, bool, String, String);

fn initialized(pod: &Pod, state: &PodState, status: &PodStatus) -> Wanted {
    if status.phase == "Succeeded" {
        return ("Initialized", true, "PodCompleted".to_owned(), String::new());
    }
    if state.is_initialized(pod) {
        return ("Initialized", true, String::new(), String::new());
    }
    let incomplete = status.init_container_statuses.iter().filter(|container| {
        let exit = container.state.terminated.as_ref();
        let serves = container.started == Some(true) && is_sidecar(pod, &container.name);
        !(serves || exit.is_some_and(|exit| exit.exit_code == 0))
    });
    let names: Vec<_> = incomplete.map(|container| container.name.as_str()).collect();
    let message = format!("containers with incomplete status: [{}]", names.join(" "));
    ("Initialized", false, "ContainersNotInitialized".to_owned(), message)
}

fn is_sidecar(pod: &Pod, name: &str) -> bool {
    matches!(pod.container(name), Some((Kind::Sidecar, _)))
}

fn unready(pod: &Pod, status: &PodStatus) -> Option<(String, String)> {
    match status.phase.as_str() {
        "Succeeded" => return Some(("PodCompleted".to_owned(), String::new())),
        "Failed" => return Some(("PodFailed".to_owned(), String::new())),
        _ => {}
    }
    let sidecars = status.init_container_statuses.iter().filter(|container| is_sidecar(pod, &container.name));
    let names: Vec<_> = sidecars
        .chain(&status.container_statuses)
        .filter(|container| !container.ready)
        .map(|container| container.name.as_str())
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(("ContainersNotReady".to_owned(), format!("containers with unready status: [{}]", names.join(" "))))
}

fn containers_ready(pod: &Pod, status: &PodStatus) -> Wanted {
    match unready(pod, status) {
        None => ("ContainersReady", true, String::new(), String::new()),
        Some((reason, message)) => ("ContainersReady", false, reason, message),
    }
}

fn ready(pod: &Pod, status: &PodStatus, before: &PodStatus) -> Wanted {
    if let Some((reason, message)) = unready(pod, status) {
        return ("Ready", false, reason, message);
    }
    let mut messages = Vec::new();
    for gate in &pod.spec.readiness_gates {
        let kind = &gate.condition_type;
        match before.conditions.iter().find(|condition| condition.kind == *kind) {
            None => messages.push(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
            Some(condition) if condition.status != "True" => messages
                .push(format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {}", condition.status)),
            Some(_) => {}
        }
    }
    if messages.is_empty() {
        return ("Ready", true, String::new(), String::new());
    }
    ("Ready", false, "ReadinessGatesNotReady".to_owned(), messages.join(", "))
}

#[cfg(test)]
mod tests;
