//! What to do next for a pod: a pure function of its specification, its state and the time.
//!
//! The rules are those of upstream's `computePodActions`, `doBackOff` and sidecar termination.

use std::collections::BTreeMap;

use drydock_api::quantity::Quantity;

use crate::pod::{Container, Kind, Pod};
use crate::state::{Backoff, Failure, Millis, PodState, Record};

/// One step to apply. Steps of one plan are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    MountVolumes,
    CreateSandbox,
    /// Gets the image, creates and starts the container.
    Start {
        name: String,
    },
    /// The container may not start before its pause is over.
    HoldBack {
        name: String,
        delay: Millis,
    },
    /// Stops the container: hook, signal, and SIGKILL at `deadline`.
    Kill {
        name: String,
        message: String,
        deadline: Millis,
    },
    /// Stops the container to start it anew: its definition changed.
    Replace {
        name: String,
        message: String,
        deadline: Millis,
    },
    /// Gives running containers the resources of the specification.
    Resize,
    /// Forgets how the containers ended: all of them begin anew, init containers first.
    Reset,
    /// Takes the sandbox and its network away. All containers have ended.
    StopSandbox,
    /// The pod has failed as a whole.
    Fail(Failure),
}

/// The next steps, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Millis>,
}

impl Plan {
    fn wake_at(&mut self, at: Millis) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// Plans the next steps. `network_ready` says whether pods can be given an address.
pub(crate) fn plan(pod: &Pod, state: &PodState, network_ready: bool, now: Millis) -> Plan {
    let mut plan = Plan::default();
    if state.failed.is_none()
        && state.terminating.is_none()
        && let Some(seconds) = pod.spec.active_deadline_seconds
    {
        let deadline = state.started_at + seconds * 1000;
        if now >= deadline && outcome(pod, state).is_none() {
            let message = "Pod was active on the node longer than the specified deadline";
            plan.actions.push(Action::Fail(Failure::new("DeadlineExceeded", message)));
            return plan;
        }
        plan.wake_at(deadline);
    }
    if state.terminating.is_some() || state.failed.is_some() || outcome(pod, state).is_some() {
        stop(pod, state, now, &mut plan);
        return plan;
    }
    if !state.volumes_ready {
        attempt(state.volumes.at, now, Action::MountVolumes, &mut plan);
        return plan;
    }
    match &state.sandbox {
        None if network_ready || pod.spec.host_network => {
            attempt(state.sandbox_retry.at, now, Action::CreateSandbox, &mut plan);
            return plan;
        }
        None => return plan,
        Some(sandbox) if sandbox.dead => {
            // Its namespaces are gone, so are its containers; what still reports itself is awaited.
            if state.running().next().is_none() {
                plan.actions.push(Action::StopSandbox);
            }
            return plan;
        }
        Some(_) => {}
    }
    if state.restarting_all == Some(true) {
        restart_all(pod, state, now, &mut plan);
        return plan;
    }
    condemned(state, now, &mut plan);
    changed(pod, state, now, &mut plan);
    start_containers(pod, state, now, &mut plan);
    plan
}

/// Whether the pod has ended by itself: true for success.
pub(crate) fn outcome(pod: &Pod, state: &PodState) -> Option<bool> {
    let exit = |container: &Container| state.record(&container.name).and_then(Record::exit);
    let replaced = |container: &Container| state.record(&container.name).is_some_and(Record::is_replaced);
    let ended = |container: &Container| {
        !replaced(container) && exit(container).is_some_and(|exit| !pod.wants_restart(container, exit.exit_code))
    };
    let init_failed = pod.all_containers().any(|(kind, container)| {
        kind == Kind::Init && ended(container) && exit(container).is_some_and(|exit| exit.exit_code != 0)
    });
    if init_failed {
        return Some(false);
    }
    if pod.spec.containers.is_empty() || !pod.spec.containers.iter().all(ended) {
        return None;
    }
    Some(pod.spec.containers.iter().all(|container| exit(container).is_some_and(|exit| exit.exit_code == 0)))
}

fn attempt(at: Millis, now: Millis, action: Action, plan: &mut Plan) {
    if now >= at {
        plan.actions.push(action);
    } else {
        plan.wake_at(at);
    }
}

/// Ends everything: main containers first, then sidecars in reverse order, then the sandbox.
fn stop(pod: &Pod, state: &PodState, now: Millis, plan: &mut Plan) {
    let deadline =
        state.terminating.map_or_else(|| now + pod.grace_period() * 1000, |terminating| terminating.deadline());
    let mut later_runs = false;
    let rank = |kind: Kind| usize::from(kind == Kind::Sidecar);
    let mut containers: Vec<_> = pod.all_containers().collect();
    containers.reverse();
    containers.sort_by_key(|(kind, _)| rank(*kind));
    for (kind, container) in containers {
        let Some(instance) = state.record(&container.name).and_then(Record::running) else { continue };
        // A sidecar serves until everything that was started after it has ended.
        let wait_for_others = kind == Kind::Sidecar && later_runs && now < deadline;
        later_runs = true;
        if wait_for_others {
            plan.wake_at(deadline);
            continue;
        }
        let sooner = instance.killing.is_none_or(|current| state.terminating.is_some() && deadline + 1000 < current);
        if sooner {
            let message = format!("Stopping container {}", container.name);
            plan.actions.push(Action::Kill { name: container.name.clone(), message, deadline });
        }
    }
    if state.running().next().is_none() && state.sandbox.is_some() {
        plan.actions.push(Action::StopSandbox);
    }
}

/// Ends all containers at once, without hooks and grace, and then lets the pod begin again in its sandbox.
fn restart_all(pod: &Pod, state: &PodState, now: Millis, plan: &mut Plan) {
    for (_, container) in pod.all_containers() {
        let Some(instance) = state.record(&container.name).and_then(Record::running) else { continue };
        if instance.killing.is_none_or(|deadline| deadline > now) {
            let message = format!("Container {} will be restarted with all others of the pod", container.name);
            plan.actions.push(Action::Kill { name: container.name.clone(), message, deadline: now });
        }
    }
    if state.running().next().is_none() {
        plan.actions.push(Action::Reset);
    }
}

/// Stops what a probe or hook has condemned.
fn condemned(state: &PodState, now: Millis, plan: &mut Plan) {
    for (name, instance) in state.running() {
        if let Some((message, grace)) = &instance.condemned
            && instance.killing.is_none()
        {
            let deadline = now + grace * 1000;
            plan.actions.push(Action::Kill { name: name.clone(), message: message.clone(), deadline });
        }
    }
}

/// Running containers whose definition is no longer what they were started with.
fn changed(pod: &Pod, state: &PodState, now: Millis, plan: &mut Plan) {
    let deadline = now + pod.grace_period() * 1000;
    let mut resize = false;
    for (kind, container) in pod.all_containers().filter(|(kind, _)| *kind != Kind::Ephemeral) {
        let Some(record) = state.record(&container.name) else { continue };
        let Some(instance) = record.running().filter(|instance| instance.killing.is_none()) else { continue };
        let name = container.name.clone();
        let replace = |what: &str| {
            let message = format!("Container {name} {what}");
            Action::Replace { name: name.clone(), message, deadline }
        };
        if record.spec_image != container.image {
            plan.actions.push(replace("definition changed, will be restarted"));
            continue;
        }
        let differs = |resource: &str| {
            let value = |list: &BTreeMap<String, Quantity>| list.get(resource).copied();
            value(&instance.resources.limits) != value(&container.resources.limits)
                || value(&instance.resources.requests) != value(&container.resources.requests)
        };
        let changes: Vec<&str> = ["cpu", "memory"].into_iter().filter(|resource| differs(resource)).collect();
        if changes.iter().any(|resource| container.restarts_for(resource)) && kind != Kind::Init {
            plan.actions.push(replace("resize requires restart"));
        } else {
            resize |= !changes.is_empty();
        }
    }
    if resize {
        attempt(state.resize.retry.at, now, Action::Resize, plan);
    }
}

fn start_containers(pod: &Pod, state: &PodState, now: Millis, plan: &mut Plan) {
    let initialized = state.is_initialized(pod);
    let mut blocked = false;
    for (kind, container) in pod.all_containers() {
        let record = state.record(&container.name);
        let exit = record.and_then(Record::exit);
        let running = record.and_then(Record::running);
        match kind {
            Kind::Init if initialized || blocked => {}
            Kind::Init => {
                if exit.is_some_and(|exit| exit.exit_code == 0) {
                    continue;
                }
                if running.is_none() {
                    start(container, record, now, plan);
                }
                blocked = true;
            }
            Kind::Sidecar => {
                if !initialized && blocked {
                    continue;
                }
                match running {
                    None => {
                        start(container, record, now, plan);
                        blocked = true;
                    }
                    Some(instance) => blocked |= !instance.started || instance.hook_pending,
                }
            }
            Kind::Main => {
                let due = match exit {
                    Some(exit) => {
                        record.is_some_and(Record::is_replaced) || pod.wants_restart(container, exit.exit_code)
                    }
                    None => running.is_none(),
                };
                if due && (initialized || !blocked) {
                    start(container, record, now, plan);
                }
            }
            // Never restarted, and not before there is something to look at.
            Kind::Ephemeral if initialized && exit.is_none() && running.is_none() => {
                start(container, record, now, plan)
            }
            Kind::Ephemeral => {}
        }
    }
}

fn start(container: &Container, record: Option<&Record>, now: Millis, plan: &mut Plan) {
    let name = container.name.clone();
    let Some(record) = record else {
        plan.actions.push(Action::Start { name });
        return;
    };
    // Another image has no history of crashes and failed pulls.
    if record.spec_image != container.image {
        plan.actions.push(Action::Start { name });
        return;
    }
    if let Some(instance) = record.instance.as_ref().filter(|instance| instance.exit.is_some() && !instance.replaced)
        && let Some(until) = record.restart.wait_until(instance.finished_at, now)
    {
        plan.wake_at(until);
        plan.actions.push(Action::HoldBack { name, delay: record.restart.delay() });
        return;
    }
    attempt(record.retry.at, now, Action::Start { name }, plan);
}

/// `back-off 10s restarting failed container=web pod=web_default(uid)`
pub(crate) fn back_off_message(delay: Millis, container: &str, pod: &Pod) -> String {
    let delay = go_duration(delay.min(Backoff::MOST));
    format!("back-off {delay} restarting failed container={container} pod={}", pod.format())
}

/// Go's form of a duration: `10s`, `1m20s`, `5m0s`, `500ms`.
pub(crate) fn go_duration(millis: Millis) -> String {
    if (1..1000).contains(&millis) {
        return format!("{millis}ms");
    }
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}").trim_end_matches('0').to_owned() };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}{fraction}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests;
