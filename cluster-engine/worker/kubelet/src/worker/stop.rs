//! Ending containers, the sandbox and the pod.

use std::time::Duration;

use drydock_client::EventType;
use drydock_container_runtime::Exit;
use nix::sys::signal::Signal;

use super::Worker;
use crate::kubelet::{blocking, now};
use crate::pod::{Container, Terminated};
use crate::report::timestamp;
use crate::state::Millis;
use crate::{hook, logs, volumes};

/// No container gets less time than this between TERM and KILL (upstream: minimumGracePeriodInSeconds).
const LEAST_GRACE: Millis = 2_000;
/// The longest termination message, in bytes, and the longest one taken from the log.
const MESSAGE_BYTES: usize = 4096;
const LOG_MESSAGE_BYTES: usize = 2048;
const LOG_MESSAGE_LINES: usize = 80;

impl Worker {
    /// Hook, signal, and SIGKILL at the deadline; the exit is told by the runtime.
    pub(super) fn kill(&mut self, name: &str, message: &str, deadline: Millis) {
        let pod = self.pod.clone();
        let Some((_, container)) = pod.container(name) else { return };
        let Some(instance) = self.state.containers.get_mut(name).and_then(|record| record.instance.as_mut()) else {
            return;
        };
        let first = instance.killing.replace(deadline).is_none();
        let id = instance.id.clone();
        if first {
            self.kubelet.event(&pod, Some(name), EventType::Normal, "Killing", message);
        }
        if let Some(tasks) = self.tasks.get_mut(name) {
            tasks.retain(|task| {
                if !task.until_exit {
                    task.handle.abort();
                }
                task.until_exit
            });
        }
        let image_signal = instance.stop_signal.clone();
        let target = self.target(container, &id);
        let lifecycle = container.lifecycle.clone().unwrap_or_default();
        let signal = stop_signal(lifecycle.stop_signal.as_deref().unwrap_or(&image_signal));
        let kubelet = self.kubelet.clone();
        let task = tokio::spawn(async move {
            let until = |at: Millis| Duration::from_millis(u64::try_from(at - now()).unwrap_or(0));
            // Who has no time left has none for a hook either.
            if first
                && deadline > now()
                && let Some(action) = &lifecycle.pre_stop
                && let Ok(Err(error)) =
                    tokio::time::timeout(until(deadline), hook::run(&kubelet, &target, action)).await
            {
                let name = &target.container.name;
                tracing::warn!(pod.name = pod.metadata.name, container.name = name, error, "a preStop hook failed");
                kubelet.event(&pod, Some(name), EventType::Warning, "FailedPreStopHook", "PreStopHook failed");
            }
            signal_container(&kubelet, &target.id, signal);
            tokio::time::sleep(until(deadline.max(now() + LEAST_GRACE))).await;
            signal_container(&kubelet, &target.id, Signal::SIGKILL as i32);
        });
        if let Some(before) = self.killers.insert(name.to_owned(), task.abort_handle()) {
            before.abort();
        }
    }

    pub(super) async fn exited(&mut self, name: &str, id: &str, exit: Exit) {
        let known =
            self.state.record(name).and_then(|record| record.running()).is_some_and(|instance| instance.id == id);
        if !known {
            return;
        }
        for task in self.tasks.remove(name).unwrap_or_default() {
            task.handle.abort();
        }
        if let Some(killer) = self.killers.remove(name) {
            killer.abort();
        }
        let attempt = self.state.record(name).map_or(0, |record| record.attempt);
        // What it wrote last shall be in its log (and its message) before the world hears of its end.
        let streams = self.handle.view().containers.get(name).and_then(|view| view.streams.clone());
        if let Some(streams) = streams {
            let mut progress = streams.progress();
            let _ =
                tokio::time::timeout(Duration::from_millis(200), progress.wait_for(|progress| progress.ended)).await;
        }
        let pod = self.pod.clone();
        let container = pod.container(name).map(|(_, container)| container.clone()).unwrap_or_default();
        let message = self.last_words(&container, attempt, exit.code != 0);
        let reason = match exit {
            Exit { oom_killed: true, .. } => "OOMKilled",
            Exit { code: 0, .. } => "Completed",
            _ => "Error",
        };
        if let Some(view) = self.handle.view().containers.get_mut(name) {
            view.running = false;
        }
        let condemned = self.state.record(name).and_then(|record| record.instance.as_ref());
        let own = condemned.is_some_and(|instance| instance.killing.is_none());
        if own && self.state.terminating.is_none() && pod.restarts_all(&container, exit.code) {
            self.state.restarting_all = Some(true);
        }
        if let Some(instance) = self.state.containers.get_mut(name).and_then(|record| record.instance.as_mut()) {
            instance.finished_at = now();
            instance.hook_pending = false;
            instance.exit = Some(Terminated {
                exit_code: exit.code,
                reason: reason.to_owned(),
                message,
                started_at: Some(timestamp(instance.started_at)),
                finished_at: Some(timestamp(instance.finished_at)),
                container_id: format!("drydock://{id}"),
                ..Terminated::default()
            });
        }
        let (runtime, id) = (self.kubelet.runtime.clone(), id.to_owned());
        let dir = self.kubelet.pod_dir(&pod.metadata.uid).join("containers").join(name).join(attempt.to_string());
        blocking(move || {
            if let Err(error) = runtime.remove_container(&id) {
                tracing::warn!(container.id = id, %error, "cannot remove an ended container");
            }
            let _ = std::fs::remove_dir_all(dir);
        })
        .await;
    }

    /// The termination message: the file's, or the end of the log if the policy says so.
    fn last_words(&self, container: &Container, attempt: u32, failed: bool) -> String {
        let pod = &self.pod;
        let dir =
            self.kubelet.pod_dir(&pod.metadata.uid).join("containers").join(&container.name).join(attempt.to_string());
        let text = std::fs::read(dir.join("termination-log")).unwrap_or_default();
        if text.is_empty() && failed && container.termination_message_policy == "FallbackToLogsOnError" {
            let path = self.kubelet.log_path(pod, &container.name, attempt);
            let options = logs::Options { tail_lines: Some(LOG_MESSAGE_LINES), ..logs::Options::default() };
            let mut tail = Vec::new();
            if let Ok(mut reader) = logs::Reader::open(&path, options) {
                while let Ok(Some(piece)) = reader.next() {
                    if piece.is_empty() {
                        break;
                    }
                    tail.extend(piece);
                }
            }
            let start = tail.len().saturating_sub(LOG_MESSAGE_BYTES);
            return String::from_utf8_lossy(&tail[start..]).into_owned();
        }
        String::from_utf8_lossy(&text[..text.len().min(MESSAGE_BYTES)]).into_owned()
    }

    pub(super) async fn stop_sandbox(&mut self) {
        let Some(sandbox) = self.state.sandbox.take() else { return };
        self.handle.view().sandbox = None;
        if let Some(watch) = self.sandbox_watch.take() {
            watch.abort();
        }
        let runtime = self.kubelet.runtime.clone();
        let network = self.kubelet.network.borrow().clone().filter(|_| !self.pod.spec.host_network);
        blocking(move || {
            if let Some(network) = network {
                network.detach(&sandbox.id);
            }
            if let Err(error) = runtime.remove_pod_sandbox(&sandbox.id) {
                tracing::warn!(sandbox.id = sandbox.id, %error, "cannot remove a sandbox");
            }
        })
        .await;
        let over = self.state.terminating.is_some() || self.state.failed.is_some();
        if over || crate::plan::outcome(&self.pod, &self.state).is_some() {
            self.clean().await;
        }
    }

    /// Takes the pod's directory away, volumes included; logs stay until the pod is forgotten.
    pub(super) async fn clean(&mut self) {
        if std::mem::replace(&mut self.cleaned, true) {
            return;
        }
        self.volumes.clear();
        let dir = self.kubelet.pod_dir(&self.pod.metadata.uid);
        blocking(move || {
            volumes::remove(&dir.join("volumes"));
            if let Err(error) = std::fs::remove_dir_all(&dir)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %dir.display(), %error, "cannot remove a pod's directory");
            }
        })
        .await;
    }
}

/// The number of a signal as images and pods name it: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`; SIGTERM for none.
fn stop_signal(name: &str) -> i32 {
    if let Ok(number) = name.parse::<i32>() {
        return number;
    }
    let short = name.strip_prefix("SIG").unwrap_or(name);
    if let Some(offset) = short.strip_prefix("RTMIN") {
        return 34 + offset.trim_start_matches('+').parse::<i32>().unwrap_or(0);
    }
    format!("SIG{short}").parse::<Signal>().unwrap_or(Signal::SIGTERM) as i32
}

fn signal_container(kubelet: &crate::kubelet::Kubelet, id: &str, signal: i32) {
    if let Err(error) = kubelet.runtime.kill_container(id, signal) {
        tracing::debug!(container.id = id, %error, "cannot signal a container");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name() {
        for (name, expected) in
            [("", 15), ("SIGTERM", 15), ("SIGQUIT", 3), ("QUIT", 3), ("9", 9), ("SIGRTMIN+3", 37), ("SIGNOPE", 15)]
        {
            assert_eq!(stop_signal(name), expected, "{name}");
        }
    }
}
