//! What the kubelet knows about a pod that it runs: the input of the plan and of the status.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::pod::{Kind, LinuxUser, Pod, Resources, Terminated, Waiting};

/// Milliseconds since 1970.
pub(crate) type Millis = i64;

/// A pod at run time.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodState {
    /// When the kubelet took the pod over.
    pub(crate) started_at: Millis,
    /// Why the pod must fail although its containers may do well: refused, evicted, past its deadline.
    pub(crate) failed: Option<Failure>,
    /// The pod is to go away.
    pub(crate) terminating: Option<Terminating>,
    pub(crate) volumes_ready: bool,
    pub(crate) volumes: Retry,
    pub(crate) sandbox: Option<Sandbox>,
    /// How many sandboxes the pod has had.
    pub(crate) sandboxes: u32,
    pub(crate) sandbox_retry: Retry,
    pub(crate) resize: Resize,
    /// All containers are being ended to begin anew; `Some(false)` once that has happened.
    pub(crate) restarting_all: Option<bool>,
    pub(crate) containers: BTreeMap<String, Record>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) message: String,
    /// The kubelet itself ends the pod for want of resources: it gets the condition `DisruptionTarget`.
    pub(crate) disruption: bool,
}

impl Failure {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), disruption: false }
    }
}

/// Where a change of the pod's resources stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resize {
    /// The wish that cannot be granted (now): reason and message of `PodResizePending`.
    pub(crate) pending: Option<(&'static str, String)>,
    /// Generation of the change that is being applied.
    pub(crate) in_progress: Option<i64>,
    /// Why applying it failed last.
    pub(crate) error: Option<String>,
    pub(crate) retry: Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminating {
    pub(crate) since: Millis,
    /// Seconds.
    pub(crate) grace: i64,
}

impl Terminating {
    pub(crate) fn deadline(self) -> Millis {
        self.since + self.grace * 1000
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    /// Of the pod network; none on the host's.
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) dead: bool,
}

/// A step that failed and is tried again later, each time after a longer pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) at: Millis,
    pub(crate) delay: Millis,
}

impl Retry {
    pub(crate) fn failed(&mut self, now: Millis, first: Millis, most: Millis) {
        self.delay = if self.delay == 0 { first } else { (self.delay * 2).min(most) };
        self.at = now + self.delay;
    }
}

/// A container of the pod with its history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// The image of the specification that was last tried.
    pub(crate) spec_image: String,
    /// The restart count of `instance`.
    pub(crate) attempt: u32,
    /// The latest instance, running or ended.
    pub(crate) instance: Option<Instance>,
    /// How the instance before ended.
    pub(crate) last: Option<Terminated>,
    /// Why no new instance runs.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) restart: Backoff,
    /// Pauses between attempts to get the image or to prepare the container.
    pub(crate) retry: Retry,
    /// Until when the image is not fetched again after a failure.
    pub(crate) pull: Retry,
}

/// One run of a container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) started_at: Millis,
    pub(crate) finished_at: Millis,
    pub(crate) exit: Option<Terminated>,
    /// What was given to it. Only known for running instances.
    pub(crate) resources: Resources,
    /// Who its first process was at its start; unknown when that was over before anybody could look.
    pub(crate) user: Option<LinuxUser>,
    /// The image's own signal to stop it with.
    pub(crate) stop_signal: String,
    /// Its definition changed: whatever the restart policy says, the next instance follows at once.
    pub(crate) replaced: bool,
    /// When SIGKILL comes, if the instance is being stopped.
    pub(crate) killing: Option<Millis>,
    /// Why it must be stopped (a probe failed, its postStart hook failed), and with which grace.
    pub(crate) condemned: Option<(String, i64)>,
    /// The postStart hook still runs.
    pub(crate) hook_pending: bool,
    /// The startup probe has succeeded, or there is none.
    pub(crate) started: bool,
    /// The readiness probe has succeeded, or there is none.
    pub(crate) ready: bool,
}

impl Instance {
    pub(crate) fn is_running(&self) -> bool {
        self.exit.is_none()
    }
}

impl Record {
    pub(crate) fn running(&self) -> Option<&Instance> {
        self.instance.as_ref().filter(|instance| instance.is_running())
    }

    /// Makes the container one that has not run in this life of the pod, but for its history.
    pub(crate) fn reset(&mut self, now: Millis) {
        let Some(instance) = self.instance.take() else { return };
        self.attempt += 1;
        self.retry = Retry::default();
        self.waiting = None;
        if let Some(until) = self.restart.wait_until(instance.finished_at, now) {
            self.retry.at = until;
        }
        self.restart.next(instance.finished_at, now);
        self.last = instance.exit;
    }

    /// Whether the ended instance only made room for one of another definition.
    pub(crate) fn is_replaced(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.exit.is_some() && instance.replaced)
    }

    pub(crate) fn exit(&self) -> Option<&Terminated> {
        self.instance.as_ref()?.exit.as_ref()
    }
}

/// The pause before a restart: 10 s, doubled by each crash up to 5 min, forgotten after 10 min of peace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    delay: Millis,
    updated: Millis,
}

impl Backoff {
    pub(crate) const FIRST: Millis = 10_000;
    pub(crate) const MOST: Millis = 300_000;

    /// Until when a container that ended at `finished` must wait; `None` if it may start.
    pub(crate) fn wait_until(self, finished: Millis, now: Millis) -> Option<Millis> {
        let expired = finished - self.updated > 2 * Self::MOST;
        let until = finished + self.delay;
        (self.delay > 0 && !expired && now < until).then_some(until)
    }

    /// Notes a restart of a container that ended at `finished`.
    pub(crate) fn next(&mut self, finished: Millis, now: Millis) {
        let expired = finished - self.updated > 2 * Self::MOST;
        self.delay = if self.delay == 0 || expired { Self::FIRST } else { (self.delay * 2).min(Self::MOST) };
        self.updated = now;
    }

    pub(crate) fn delay(self) -> Millis {
        self.delay
    }
}

impl PodState {
    pub(crate) fn record(&self, name: &str) -> Option<&Record> {
        self.containers.get(name)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = (&String, &Instance)> {
        self.containers.iter().filter_map(|(name, record)| Some((name, record.running()?)))
    }

    /// Whether the main containers were reached in this sandbox.
    pub(crate) fn is_initialized(&self, pod: &Pod) -> bool {
        let started = |name: &str| self.record(name).is_some_and(|record| record.instance.is_some());
        if pod.spec.containers.iter().any(|container| started(&container.name)) {
            return true;
        }
        pod.all_containers().all(|(kind, container)| match kind {
            Kind::Init => self.record(&container.name).and_then(Record::exit).is_some_and(|exit| exit.exit_code == 0),
            Kind::Sidecar => {
                let running = self.record(&container.name).and_then(Record::running);
                running.is_some_and(|instance| instance.started && !instance.hook_pending)
            }
            Kind::Main | Kind::Ephemeral => true,
        })
    }
}
