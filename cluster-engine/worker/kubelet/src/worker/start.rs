//! Starting a container: image, environment, creation, start, hooks and probes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drydock_client::EventType;
use drydock_container_runtime::{ContainerConfig, StartedContainer};
use drydock_images::Image;

use super::image::{NoImage, Refusal};
use super::prepare::describe;
use super::{ContainerTask, ContainerView, Message, Worker};
use crate::create::{Inputs, container_config, seccomp};
use crate::env;
use crate::kubelet::{blocking, now};
use crate::logs::Writer;
use crate::pod::{Container, Kind, LinuxUser, Pod, Terminated, Waiting};
use crate::report::timestamp;
use crate::state::{Backoff, Instance, Millis, Retry};
use crate::stream::Streams;
use crate::volumes::node_id;
use crate::{hook, probe};

/// Pauses between attempts to make a container whose configuration is wrong; a change of what it needs ends them.
const CONFIG_RETRY: (Millis, Millis) = (2_000, 15_000);

impl Worker {
    pub(super) async fn start(&mut self, name: &str) {
        let pod = self.pod.clone();
        let Some((kind, container)) = pod.container(name) else { return };
        let record = self.state.containers.entry(name.to_owned()).or_default();
        if record.spec_image != container.image {
            // Pauses and refusals belonged to another image.
            record.spec_image.clone_from(&container.image);
            record.retry = Retry::default();
            record.pull = Retry::default();
            record.restart = Backoff::default();
            record.waiting = None;
        }
        let image = match self.image(&pod, container).await {
            Ok(image) => image,
            Err(NoImage::Refused((reason, message), retry)) => {
                let record = self.state.containers.entry(name.to_owned()).or_default();
                record.retry = retry;
                record.waiting = Some(Waiting { reason: reason.to_owned(), message });
                return;
            }
            Err(NoImage::Interrupted) => return,
        };
        let record = self.state.containers.entry(name.to_owned()).or_default();
        let attempt = if record.instance.is_some() { record.attempt + 1 } else { record.attempt };
        let dir = self.kubelet.pod_dir(&pod.metadata.uid).join("containers").join(name).join(attempt.to_string());
        let config = match self.describe_container(&pod, kind, container, &image, &dir).await {
            Ok(config) => config,
            Err(message) => {
                self.kubelet.event(&pod, Some(name), EventType::Warning, "Failed", format!("Error: {message}"));
                return self.refuse(name, ("CreateContainerConfigError", message), CONFIG_RETRY);
            }
        };
        let Some(sandbox) = self.state.sandbox.as_ref().map(|sandbox| sandbox.id.clone()) else { return };
        let id = match self.create(&pod, container, sandbox, config, &dir).await {
            Ok(id) => id,
            Err(message) => {
                self.kubelet.event(&pod, Some(name), EventType::Warning, "Failed", format!("Error: {message}"));
                return self.refuse(name, ("CreateContainerError", message), CONFIG_RETRY);
            }
        };
        self.kubelet.event(&pod, Some(name), EventType::Normal, "Created", "Container created");
        // From here on an instance exists, and what was before it is history.
        let record = self.state.containers.entry(name.to_owned()).or_default();
        if let Some(before) = record.instance.take() {
            if !before.replaced {
                record.restart.next(before.finished_at, now());
            }
            record.last = before.exit;
        }
        record.attempt = attempt;
        record.retry = Retry::default();
        record.waiting = None;
        let mut instance = Instance {
            id: id.clone(),
            image: image.name.clone(),
            image_id: image.id().to_owned(),
            started_at: now(),
            resources: container.resources.clone(),
            stop_signal: image.config.stop_signal.clone(),
            ..Instance::default()
        };
        let (runtime, started) = (self.kubelet.runtime.clone(), id.clone());
        match blocking(move || runtime.start_container(&started)).await {
            Ok(started) => {
                self.kubelet.event(&pod, Some(name), EventType::Normal, "Started", "Container started");
                instance.user = user_of(&pod, started.pid);
                self.running(&pod, container, kind, instance, attempt, started);
            }
            Err(error) => {
                let message = format!(
                    "failed to create containerd task: failed to create shim task: OCI runtime create failed: unable to start container process: error during container init: {}",
                    describe(&error)
                );
                self.kubelet.event(&pod, Some(name), EventType::Warning, "Failed", format!("Error: {message}"));
                let exit_code = exit_code(&error);
                instance.finished_at = now();
                instance.exit = Some(Terminated {
                    exit_code,
                    reason: "StartError".to_owned(),
                    message: message.clone(),
                    started_at: Some(timestamp(0)),
                    finished_at: Some(timestamp(now())),
                    container_id: format!("drydock://{id}"),
                    ..Terminated::default()
                });
                let record = self.state.containers.entry(name.to_owned()).or_default();
                record.instance = Some(instance);
                if kind != Kind::Ephemeral && pod.wants_restart(container, exit_code) {
                    record.waiting = Some(Waiting { reason: "RunContainerError".to_owned(), message });
                }
                self.handle.view().containers.insert(
                    name.to_owned(),
                    ContainerView { id: id.clone(), attempt, running: false, started_at: now(), streams: None },
                );
                let runtime = self.kubelet.runtime.clone();
                blocking(move || runtime.remove_container(&id).unwrap_or_default()).await;
            }
        }
    }

    fn running(
        &mut self,
        pod: &Arc<Pod>,
        container: &Container,
        kind: Kind,
        mut instance: Instance,
        attempt: u32,
        started: StartedContainer,
    ) {
        let (kubelet, name, id) = (self.kubelet.clone(), &container.name, instance.id.clone());
        let log = kubelet.log_path(pod, name, attempt);
        let streams = match Writer::open(&log, kubelet.container_log_size(), kubelet.config.container_log_max_files) {
            Ok(writer) => Some(Streams::start(started, writer, container.stdin_once)),
            Err(error) => {
                tracing::error!(path = %log.display(), %error, "a container runs without a log");
                None
            }
        };
        link(pod, name, &id, &log);
        forget_old_logs(&log, attempt);
        let (sender, ended, owner) = (self.sender.clone(), id.clone(), name.clone());
        let notify = Box::new(move |exit| {
            let _ = sender.send(Message::Exited { container: owner, id: ended, exit });
        });
        if let Err(error) = kubelet.runtime.on_exit(&id, notify) {
            tracing::error!(container.id = id, %error, "cannot wait for a container");
        }
        instance.ready = container.readiness_probe.is_none() || kind == Kind::Init;
        instance.started = container.startup_probe.is_none() || kind == Kind::Init;
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        instance.hook_pending = hook.is_some();
        let view = ContainerView { id: id.clone(), attempt, running: true, started_at: instance.started_at, streams };
        self.handle.view().containers.insert(name.clone(), view);
        self.state.containers.entry(name.clone()).or_default().instance = Some(instance);
        self.finish_resize();
        if let Some(hook) = hook {
            let (sender, owner) = (self.sender.clone(), name.clone());
            let target = self.target(container, &id);
            let task = tokio::spawn(async move {
                let result = hook::run(&kubelet, &target, &hook).await;
                let _ = sender.send(Message::HookDone { container: owner, id, result });
            });
            let task = ContainerTask { handle: task.abort_handle(), until_exit: false };
            self.tasks.entry(name.clone()).or_default().push(task);
        } else {
            self.start_probes(name);
        }
    }

    /// Starts the probes that are due: the startup probe alone until it has succeeded.
    pub(super) fn start_probes(&mut self, name: &str) {
        let pod = self.pod.clone();
        let Some((kind, container)) = pod.container(name) else { return };
        if kind == Kind::Init || kind == Kind::Ephemeral {
            return;
        }
        let Some(instance) = self.state.record(name).and_then(|record| record.running()) else { return };
        let (id, started, started_at) = (instance.id.clone(), instance.started, instance.started_at);
        let due = if started {
            vec![
                (probe::Kind::Liveness, &container.liveness_probe),
                (probe::Kind::Readiness, &container.readiness_probe),
            ]
        } else {
            vec![(probe::Kind::Startup, &container.startup_probe)]
        };
        for (kind, probe) in due {
            let Some(probe) = probe.clone() else { continue };
            let target = self.target(container, &id);
            let (kubelet, sender, owner, id, pod) =
                (self.kubelet.clone(), self.sender.clone(), name.to_owned(), id.clone(), pod.clone());
            let task = tokio::spawn(async move {
                let tell = |verdict| {
                    let _ = sender.send(Message::Probed { container: owner.clone(), id: id.clone(), verdict });
                };
                probe::run(&kubelet, &pod, &target, kind, &probe, started_at, tell).await;
            });
            let task = ContainerTask { handle: task.abort_handle(), until_exit: kind == probe::Kind::Readiness };
            self.tasks.entry(name.to_owned()).or_default().push(task);
        }
    }

    /// What hooks and probes aim at.
    pub(super) fn target(&self, container: &Container, id: &str) -> hook::Target {
        let ip = match &self.state.sandbox {
            Some(_) if self.pod.spec.host_network => Some(self.kubelet.node_ip),
            Some(sandbox) => sandbox.ip,
            None => None,
        };
        hook::Target { container: container.clone(), id: id.to_owned(), ip }
    }

    fn refuse(&mut self, name: &str, (reason, message): Refusal, (first, most): (Millis, Millis)) {
        let record = self.state.containers.entry(name.to_owned()).or_default();
        record.retry.failed(now(), first, most);
        record.waiting = Some(Waiting { reason: reason.to_owned(), message });
    }

    async fn describe_container(
        &mut self,
        pod: &Arc<Pod>,
        kind: Kind,
        container: &Container,
        image: &Image,
        dir: &Path,
    ) -> Result<ContainerConfig, String> {
        let sources = self.env_sources(container).await?;
        let variables = env::build(pod, container, &sources)?;
        let mut config = container_config(&Inputs {
            pod,
            container,
            image,
            image_dir: &self.kubelet.options.image_dir,
            env: variables,
            volumes: &self.volumes,
            pod_dir: &self.kubelet.pod_dir(&pod.metadata.uid),
            dir,
            memory_capacity: self.kubelet.machine.memory,
            pids_limit: None,
        })?;
        let target = &container.target_container_name;
        if kind == Kind::Ephemeral && !target.is_empty() {
            let running = self.state.record(target).and_then(|record| record.running());
            let running = running
                .ok_or_else(|| format!("unable to find target container \"{target}\" in pod {}", pod.format()))?;
            config.pid_target = Some(running.id.clone());
        }
        Ok(config)
    }

    async fn create(
        &self,
        pod: &Arc<Pod>,
        container: &Container,
        sandbox: String,
        mut config: ContainerConfig,
        dir: &Path,
    ) -> Result<String, String> {
        let (runtime, pod, dir) = (self.kubelet.runtime.clone(), pod.clone(), dir.to_owned());
        let (container, profiles) = (container.clone(), self.kubelet.options.root_dir.join("seccomp"));
        blocking(move || {
            use std::os::unix::fs::PermissionsExt;
            if let Some(profile) = seccomp::localhost(&pod, &container, &profiles)? {
                config.security.seccomp = profile;
            }
            std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
            // Whoever the container runs as may leave a message.
            let last_words = dir.join("termination-log");
            std::fs::write(&last_words, "").map_err(|error| error.to_string())?;
            let owner = crate::volumes::node_id(&pod, 0);
            std::os::unix::fs::chown(&last_words, Some(owner), Some(owner)).map_err(|error| error.to_string())?;
            std::fs::set_permissions(&last_words, std::fs::Permissions::from_mode(0o666))
                .map_err(|error| error.to_string())?;
            runtime.create_container(&sandbox, &config).map_err(|error| describe(&error))
        })
        .await
    }
}

/// Who a process is.
fn user_of(pod: &Pod, pid: i32) -> Option<LinuxUser> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    LinuxUser::parse(&status, node_id(pod, 0))
}

fn exit_code(error: &drydock_container_runtime::Error) -> i32 {
    match error {
        drydock_container_runtime::Error::Exec(failure) => failure.exit_code,
        _ => 128,
    }
}

/// Where log collectors look for containers.
const LINKS: &str = "/var/log/containers";

fn link(pod: &Pod, container: &str, id: &str, log: &Path) {
    let prefix = format!("{}_{}_{container}-", pod.metadata.name, pod.metadata.namespace);
    let result = std::fs::create_dir_all(LINKS).and_then(|()| {
        for old in links(&prefix) {
            std::fs::remove_file(old)?;
        }
        std::os::unix::fs::symlink(log, Path::new(LINKS).join(format!("{prefix}{id}.log")))
    });
    if let Err(error) = result {
        tracing::debug!(%error, "cannot link a container's log");
    }
}

fn links(prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(LINKS).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect()
}

pub(super) fn remove_links(pod: &Pod) {
    for (_, container) in pod.all_containers() {
        for link in links(&format!("{}_{}_{}-", pod.metadata.name, pod.metadata.namespace, container.name)) {
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Only the log of the instance before is kept beside the current one.
fn forget_old_logs(log: &Path, attempt: u32) {
    for entry in log.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.split('.').next()?.parse::<u32>().ok());
        if number.is_some_and(|number| number + 1 < attempt) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
