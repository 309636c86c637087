//! In-place resize: which resources a pod is granted, and giving them to what runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::quantity::Quantity;
use drydock_client::EventType;
use serde_json::{Value, json};

use super::Worker;
use super::prepare::{describe, pod_limits};
use crate::create::limits;
use crate::kubelet::{blocking, now};
use crate::pod::{Kind, Pod, Resources};
use crate::pods::Fit;
use crate::state::Millis;

/// Pauses between attempts to apply.
const RETRY: (Millis, Millis) = (2_000, 60_000);

impl Worker {
    /// Takes an updated pod: with the resources it asks for if the node has them, else with those it was granted.
    pub(super) fn allocate(&mut self, wanted: Arc<Pod>) -> Arc<Pod> {
        let same = resources(&wanted) == resources(&self.pod);
        if same || self.pod.is_static() || self.state.sandbox.is_none() {
            if self.state.resize.pending.take().is_some() {
                tracing::debug!(pod.name = wanted.metadata.name, "the pod asks for what it has");
            }
            return wanted;
        }
        let (reason, message) = match self.kubelet.pods.fits(&self.kubelet, &wanted) {
            Fit::Yes => {
                self.state.resize.pending = None;
                self.state.resize.in_progress = Some(wanted.metadata.generation);
                self.state.resize.error = None;
                self.state.resize.retry = Default::default();
                let text = format!("Pod resize started: {}", details(&wanted, None));
                self.kubelet.event(&wanted, None, EventType::Normal, "ResizeStarted", text);
                return wanted;
            }
            Fit::NotNow(message) => ("Deferred", message),
            Fit::Never(message) => ("Infeasible", message),
        };
        if self.state.resize.pending.as_ref().is_none_or(|(before, _)| *before != reason) {
            let text = format!("Pod resize {reason}: {}", details(&wanted, Some(&message)));
            let event = if reason == "Deferred" { "ResizeDeferred" } else { "ResizeInfeasible" };
            self.kubelet.event(&wanted, None, EventType::Warning, event, text);
        }
        self.state.resize.pending = Some((reason, message));
        self.wanted = Some(wanted.clone());
        let mut granted = Pod::clone(&wanted);
        let before: BTreeMap<&str, &Resources> =
            self.pod.all_containers().map(|(_, container)| (container.name.as_str(), &container.resources)).collect();
        let spec = &mut granted.spec;
        for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
            if let Some(resources) = before.get(container.name.as_str()) {
                container.resources = (*resources).clone();
            }
        }
        spec.resources.clone_from(&self.pod.spec.resources);
        Arc::new(granted)
    }

    /// Looks again whether there is room for a wish that was deferred.
    pub(super) fn retry_pending_resize(&mut self) {
        let deferred = self.state.resize.pending.as_ref().is_some_and(|(reason, _)| *reason == "Deferred");
        if let Some(wanted) = self.wanted.clone().filter(|_| deferred)
            && matches!(self.kubelet.pods.fits(&self.kubelet, &wanted), Fit::Yes)
        {
            let pod = self.allocate(wanted);
            self.pod = pod.clone();
            self.handle.view().pod = pod;
        }
    }

    /// Gives every running container, and the pod as a whole, what the specification says.
    pub(super) async fn resize(&mut self) {
        let pod = self.pod.clone();
        let running: Vec<(String, String, Resources)> = pod
            .all_containers()
            .filter(|(kind, _)| *kind != Kind::Ephemeral)
            .filter_map(|(_, container)| {
                let instance = self.state.record(&container.name)?.running()?;
                let changed = instance.resources != container.resources && instance.killing.is_none();
                changed.then(|| (container.name.clone(), instance.id.clone(), container.resources.clone()))
            })
            .collect();
        let Some(sandbox) = self.state.sandbox.as_ref().map(|sandbox| sandbox.id.clone()) else { return };
        let (runtime, whole) = (self.kubelet.runtime.clone(), pod_limits(&self.kubelet, &pod));
        let work = running.clone();
        let applied = blocking(move || {
            // The pod's bounds must hold its containers before and after: its memory is bounded last.
            let loose = drydock_container_runtime::Limits { memory_bytes: None, cpu_quota_us: Some(-1), ..whole };
            runtime.update_pod_sandbox(&sandbox, &loose)?;
            let bound_first = runtime.update_pod_sandbox(&sandbox, &whole).is_ok();
            for (_, id, resources) in &work {
                let mut limits = limits(resources, None);
                limits.cpu_quota_us = limits.cpu_quota_us.or(Some(-1));
                runtime.update_container(id, &limits)?;
            }
            if bound_first { Ok(()) } else { runtime.update_pod_sandbox(&sandbox, &whole) }
        })
        .await;
        match applied {
            Ok(()) => {
                for (name, _, resources) in running {
                    let record = self.state.containers.get_mut(&name);
                    if let Some(instance) = record.and_then(|record| record.instance.as_mut()) {
                        instance.resources = resources;
                    }
                }
                self.state.resize.error = None;
                self.finish_resize();
            }
            Err(error) => {
                self.state.resize.error = Some(describe(&error));
                self.state.resize.retry.failed(now(), RETRY.0, RETRY.1);
            }
        }
    }

    /// Notes the end of a resize once everything that runs has what it was granted.
    pub(super) fn finish_resize(&mut self) {
        if self.state.resize.in_progress.is_none() || self.state.resize.error.is_some() {
            return;
        }
        let pod = self.pod.clone();
        let done = pod.all_containers().filter(|(kind, _)| *kind != Kind::Ephemeral).all(|(_, container)| {
            let running = self.state.record(&container.name).and_then(|record| record.running());
            running.is_none_or(|instance| instance.resources == container.resources && instance.killing.is_none())
        });
        let replacing = self.state.containers.values().any(crate::state::Record::is_replaced);
        if done && !replacing {
            self.state.resize.in_progress = None;
            let text = format!("Pod resize completed: {}", details(&pod, None));
            self.kubelet.event(&pod, None, EventType::Normal, "ResizeCompleted", text);
        }
    }
}

/// All that can be resized.
fn resources(pod: &Pod) -> (Vec<(&str, &Resources)>, Option<&Resources>) {
    let spec = &pod.spec;
    let containers = spec.containers.iter().chain(&spec.init_containers);
    (containers.map(|container| (container.name.as_str(), &container.resources)).collect(), spec.resources.as_ref())
}

/// What upstream's resize events tell.
fn details(pod: &Pod, error: Option<&str>) -> Value {
    let list = |containers: &[crate::pod::Container]| -> Vec<Value> {
        let cpu_and_memory = |list: &BTreeMap<String, Quantity>| -> BTreeMap<String, Quantity> {
            list.iter()
                .filter(|(name, _)| ["cpu", "memory"].contains(&name.as_str()))
                .map(|(n, q)| (n.clone(), *q))
                .collect()
        };
        containers
            .iter()
            .map(|container| {
                let resources = Resources {
                    limits: cpu_and_memory(&container.resources.limits),
                    requests: cpu_and_memory(&container.resources.requests),
                };
                json!({"name": container.name, "resources": resources})
            })
            .collect()
    };
    let sidecars: Vec<_> =
        pod.spec.init_containers.iter().filter(|container| container.is_sidecar()).cloned().collect();
    let mut details = json!({"containers": list(&pod.spec.containers), "generation": pod.metadata.generation});
    if !sidecars.is_empty() {
        details["initContainers"] = json!(list(&sidecars));
    }
    if let Some(error) = error {
        details["error"] = error.into();
    }
    details
}
