//! One pod's worker: takes what happens, plans, applies, reports. Everything about a pod happens here, in order.

mod image;
mod prepare;
mod resize;
mod restore;
mod start;
mod stop;
mod sync;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drydock_client::EventType;
use drydock_container_runtime::Exit;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::kubelet::{Kubelet, now};
use crate::plan::{Action, back_off_message, outcome, plan};
use crate::pod::{Pod, PodStatus, Waiting};
use crate::probe;
use crate::report::{self, Host};
use crate::state::{Failure, PodState, Terminating};
use crate::stream::Streams;
use crate::volumes::Ready;

pub(crate) use sync::{Report, Seen};

/// What can happen to a pod.
#[derive(Debug)]
pub(crate) enum Message {
    /// The pod's definition (or what others wrote into its status) changed.
    Update(Arc<Pod>),
    /// The pod's definition is gone: its manifest was moved out, or its object was deleted without waiting.
    Gone,
    Exited {
        container: String,
        id: String,
        exit: Exit,
    },
    SandboxExited {
        id: String,
    },
    HookDone {
        container: String,
        id: String,
        result: Result<(), String>,
    },
    Probed {
        container: String,
        id: String,
        verdict: probe::Verdict,
    },
    /// The node needs what the pod uses, or the pod is beyond a limit of its own.
    Evict(Failure),
    /// Something that the pod depends on changed: the network, a config map, a token's age.
    Refresh,
}

/// What the kubelet's server sees of a pod.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) pod: Arc<Pod>,
    pub(crate) status: PodStatus,
    pub(crate) containers: BTreeMap<String, ContainerView>,
    pub(crate) sandbox: Option<SandboxView>,
}

#[derive(Clone, Debug)]
pub(crate) struct SandboxView {
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) host_network: bool,
}

/// A container's latest instance.
#[derive(Clone, Debug)]
pub(crate) struct ContainerView {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) running: bool,
    pub(crate) started_at: i64,
    pub(crate) streams: Option<Arc<Streams>>,
}

/// The manager's end of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) mail: mpsc::UnboundedSender<Message>,
    pub(crate) view: Arc<Mutex<View>>,
    /// The API object behind the pod: for a static pod the uid of its mirror, once there is one.
    pub(crate) object: Arc<watch::Sender<Option<String>>>,
    seen: Arc<watch::Sender<Seen>>,
}

impl Handle {
    /// Takes note of what the pod's API object says now.
    pub(crate) fn see(&self, pod: &Pod) {
        let now = Seen::of(pod);
        self.seen.send_if_modified(|seen| {
            let is_other = *seen != now;
            *seen = now;
            is_other
        });
    }

    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Worker {
    kubelet: Arc<Kubelet>,
    pod: Arc<Pod>,
    state: PodState,
    /// The last status reported.
    status: PodStatus,
    mail: mpsc::UnboundedReceiver<Message>,
    sender: mpsc::UnboundedSender<Message>,
    handle: Handle,
    reports: watch::Sender<Report>,
    volumes: BTreeMap<String, Ready>,
    /// Watches of the objects that volumes are made from, kept open for live updates.
    watched: prepare::Watched,
    tokens: prepare::Tokens,
    tasks: HashMap<String, Vec<ContainerTask>>,
    killers: HashMap<String, AbortHandle>,
    sandbox_watch: Option<AbortHandle>,
    /// What the pod asks for, while it has not been granted.
    wanted: Option<Arc<Pod>>,
    cleaned: bool,
    gone: bool,
}

/// A probe or hook of a running container.
struct ContainerTask {
    handle: AbortHandle,
    /// Readiness is asked for until the container has ended; the others stop when it is being stopped.
    until_exit: bool,
}

/// Starts the worker of a pod that is new to this kubelet.
pub(crate) fn spawn(kubelet: &Arc<Kubelet>, pod: Arc<Pod>, refused: Option<Failure>) -> Handle {
    let (sender, mail) = mpsc::unbounded_channel();
    let view = View { pod: pod.clone(), status: pod.status.clone(), ..View::default() };
    let own = (!pod.is_static()).then(|| pod.metadata.uid.clone());
    let handle = Handle {
        mail: sender.clone(),
        view: Arc::new(Mutex::new(view)),
        object: Arc::new(watch::Sender::new(own)),
        seen: Arc::default(),
    };
    let mut state = restore::state(kubelet, &pod);
    state.failed = refused;
    let reports = watch::Sender::new(Report { status: pod.status.clone(), finished: false });
    if kubelet.api.is_some() {
        let (object, seen) = (handle.object.subscribe(), handle.seen.subscribe());
        tokio::spawn(sync::run(kubelet.clone(), pod.clone(), object, seen, reports.subscribe()));
    }
    let worker = Worker {
        kubelet: kubelet.clone(),
        status: pod.status.clone(),
        pod,
        state,
        mail,
        sender,
        handle: handle.clone(),
        reports,
        volumes: BTreeMap::new(),
        watched: prepare::Watched::default(),
        tokens: prepare::Tokens::default(),
        tasks: HashMap::new(),
        killers: HashMap::new(),
        sandbox_watch: None,
        wanted: None,
        cleaned: false,
        gone: false,
    };
    tokio::spawn(worker.run());
    handle
}

impl Worker {
    async fn run(mut self) {
        self.note_deletion();
        loop {
            let wake = self.settle().await;
            if self.is_over() {
                self.finish().await;
                if self.gone {
                    break;
                }
            }
            let pause = wake.map(|at| Duration::from_millis(u64::try_from(at - now()).unwrap_or(0).max(1)));
            let message = match pause {
                Some(pause) => match tokio::time::timeout(pause, self.mail.recv()).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.renew_tokens().await;
                        continue;
                    }
                },
                None => self.mail.recv().await,
            };
            let Some(message) = message else { break };
            self.receive(message).await;
            while let Ok(message) = self.mail.try_recv() {
                self.receive(message).await;
            }
        }
        self.forget().await;
    }

    /// Plans and applies until there is nothing more to do now; returns when to look again.
    async fn settle(&mut self) -> Option<i64> {
        loop {
            self.retry_pending_resize();
            let plan = plan(&self.pod, &self.state, self.kubelet.network_ready(), now());
            let mut progress = false;
            for action in plan.actions {
                progress |= !matches!(action, Action::HoldBack { .. });
                self.apply(action).await;
            }
            self.report();
            if !progress {
                // Nobody needs tokens of a pod that goes away.
                let refresh = self.tokens.refresh_at().filter(|_| self.state.volumes_ready && !self.cleaned);
                return [plan.wake, refresh].into_iter().flatten().min();
            }
            while let Ok(message) = self.mail.try_recv() {
                self.receive(message).await;
            }
        }
    }

    async fn apply(&mut self, action: Action) {
        match action {
            Action::MountVolumes => self.mount_volumes().await,
            Action::CreateSandbox => self.create_sandbox().await,
            Action::Start { name } => self.start(&name).await,
            Action::HoldBack { name, delay } => self.hold_back(&name, delay),
            Action::Kill { name, message, deadline } => self.kill(&name, &message, deadline),
            Action::Replace { name, message, deadline } => {
                let record = self.state.containers.get_mut(&name);
                if let Some(instance) = record.and_then(|record| record.instance.as_mut()) {
                    instance.replaced = true;
                }
                self.kill(&name, &message, deadline);
            }
            Action::Resize => self.resize().await,
            Action::StopSandbox => self.stop_sandbox().await,
            Action::Fail(failure) => self.fail(failure),
        }
    }

    async fn receive(&mut self, message: Message) {
        match message {
            Message::Update(pod) => {
                let pod = self.allocate(pod);
                self.pod = pod.clone();
                self.handle.view().pod = pod;
                self.note_deletion();
                self.finish_resize();
                // Labels and annotations show in downward volumes.
                if self.state.volumes_ready && self.state.terminating.is_none() {
                    self.refresh_volumes().await;
                }
            }
            Message::Gone => {
                self.gone = true;
                if self.state.terminating.is_none() {
                    self.state.terminating = Some(Terminating { since: now(), grace: self.pod.grace_period() });
                }
            }
            Message::Exited { container, id, exit } => self.exited(&container, &id, exit).await,
            Message::SandboxExited { id } => {
                if let Some(sandbox) = self.state.sandbox.as_mut().filter(|sandbox| sandbox.id == id) {
                    sandbox.dead = true;
                    if self.state.terminating.is_none() && outcome(&self.pod, &self.state).is_none() {
                        let text = "Pod sandbox changed, it will be killed and re-created.";
                        self.kubelet.event(&self.pod, None, EventType::Normal, "SandboxChanged", text);
                    }
                }
            }
            Message::Evict(failure) => {
                if self.state.failed.is_none() && self.state.terminating.is_none() {
                    self.fail(failure);
                }
            }
            Message::HookDone { container, id, result } => self.hook_done(&container, &id, result),
            Message::Probed { container, id, verdict } => self.probed(&container, &id, verdict),
            Message::Refresh => {
                // What was missing may be there now.
                self.state.volumes.at = 0;
                for record in
                    self.state.containers.values_mut().filter(|record| is_config_error(record.waiting.as_ref()))
                {
                    record.retry.at = 0;
                }
                if self.state.volumes_ready && self.state.terminating.is_none() {
                    self.refresh_volumes().await;
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        // An eviction is urgent: upstream gives it one second.
        let (kind, grace) =
            if failure.disruption { (EventType::Warning, 1) } else { (EventType::Normal, self.pod.grace_period()) };
        self.kubelet.event(&self.pod, None, kind, &failure.reason, failure.message.clone());
        self.state.failed = Some(failure);
        self.state.terminating.get_or_insert(Terminating { since: now(), grace });
    }

    /// Takes over a deletion that the API server has noted, or its shortened grace.
    fn note_deletion(&mut self) {
        if !self.pod.metadata.is_deleting() || self.pod.is_static() {
            return;
        }
        let grace = self.pod.grace_period();
        match &mut self.state.terminating {
            None => self.state.terminating = Some(Terminating { since: now(), grace }),
            Some(terminating) => terminating.grace = terminating.grace.min(grace),
        }
    }

    fn hold_back(&mut self, name: &str, delay: i64) {
        let message = back_off_message(delay, name, &self.pod);
        let Some(record) = self.state.containers.get_mut(name) else { return };
        let waiting = Waiting { reason: "CrashLoopBackOff".to_owned(), message };
        if record.waiting.as_ref() != Some(&waiting) {
            record.waiting = Some(waiting);
            let text = format!("Back-off restarting failed container {name} in pod {}", self.pod.format());
            self.kubelet.event(&self.pod, Some(name), EventType::Warning, "BackOff", text);
        }
    }

    fn hook_done(&mut self, name: &str, id: &str, result: Result<(), String>) {
        let grace = self.pod.grace_period();
        let Some(instance) = self.state.containers.get_mut(name).and_then(|record| record.instance.as_mut()) else {
            return;
        };
        if instance.id != id {
            return;
        }
        instance.hook_pending = false;
        if let Err(error) = result {
            // Not in the event: what the hook said may hold secrets.
            tracing::warn!(pod.name = self.pod.metadata.name, container.name = name, error, "a postStart hook failed");
            let text = "PostStartHook failed";
            self.kubelet.event(&self.pod, Some(name), EventType::Warning, "FailedPostStartHook", text);
            instance.condemned = Some(("FailedPostStartHook".to_owned(), grace));
        } else {
            self.start_probes(name);
        }
    }

    fn probed(&mut self, name: &str, id: &str, verdict: probe::Verdict) {
        let pod = self.pod.clone();
        let Some(instance) = self.state.containers.get_mut(name).and_then(|record| record.instance.as_mut()) else {
            return;
        };
        if instance.id != id || !instance.is_running() {
            return;
        }
        match verdict {
            probe::Verdict::Ready(ready) => instance.ready = ready,
            probe::Verdict::Started => {
                instance.started = true;
                self.start_probes(name);
            }
            probe::Verdict::Unhealthy { kind, grace } => {
                let message = format!("Container {name} failed {kind} probe, will be restarted");
                instance.condemned = Some((message, grace.unwrap_or_else(|| pod.grace_period())));
            }
        }
    }

    /// Reports the status if it changed.
    fn report(&mut self) {
        let host = Host { ip: self.kubelet.node_ip.to_string() };
        // Conditions of others arrive with the pod's updates.
        let mut before = self.status.clone();
        for foreign in &self.pod.status.conditions {
            if self.pod.spec.readiness_gates.iter().any(|gate| gate.condition_type == foreign.kind) {
                before.conditions.retain(|own| own.kind != foreign.kind);
                before.conditions.push(foreign.clone());
            }
        }
        let status = report::status(&self.pod, &self.state, &before, &host, now());
        self.handle.view().status = status.clone();
        if status != self.status {
            self.status = status.clone();
            self.reports.send_modify(|report| report.status = status);
        }
    }

    /// Nothing runs, nothing will, and the pod is to go away.
    fn is_over(&self) -> bool {
        let ending = self.state.terminating.is_some() && (self.gone || self.pod.metadata.is_deleting());
        ending && self.state.sandbox.is_none() && self.state.running().next().is_none()
    }

    /// Frees what the pod used and lets the API object go.
    async fn finish(&mut self) {
        self.clean().await;
        self.report();
        self.reports.send_modify(|report| report.finished = true);
    }

    /// The last step: the pod is forgotten with its logs.
    async fn forget(&mut self) {
        let (kubelet, pod) = (self.kubelet.clone(), self.pod.clone());
        crate::kubelet::blocking(move || {
            let _ = std::fs::remove_dir_all(kubelet.log_dir(&pod));
            start::remove_links(&pod);
        })
        .await;
        self.kubelet.pods.finished(&self.kubelet, &self.pod.metadata.uid);
    }
}

fn is_config_error(waiting: Option<&Waiting>) -> bool {
    waiting.is_some_and(|waiting| waiting.reason == "CreateContainerConfigError")
}
