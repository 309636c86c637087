//! Jobs: pods that run to their end, as often as is wanted.

mod count;
mod indexes;
mod plan;
mod policy;
mod scale;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::selector::Selector;
use drydock_api::time::unix_now;
use drydock_client::types::Pod;
use drydock_client::{
    Api, Client, Error, EventRecorder, EventType, Object, ObjectReference, Patch, Reflector, WorkQueue,
};
use serde_json::{Value, json};

use self::count::{FINALIZER, INDEX, INDEX_FAILURES, INDEX_IGNORED};
use self::plan::plan;
use self::scale::NewPod;
use super::owned::{claim, controller_reference, from_template, settle};
use super::pod_control::{Expectations, PodControl};
use crate::context::Context;
use crate::kinds::Job;
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    jobs: Reflector<Job>,
    pods: Reflector<Pod>,
    expectations: Expectations,
}

pub(super) async fn run(context: Arc<Context>) {
    let jobs = context.watch::<Job>();
    let pods = context.watch::<Pod>();
    let client = context.client("job-controller").await;
    jobs.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    jobs.handle(move |event| add.add(key(&**event.object())));
    let add = queue.clone();
    pods.handle(move |event| {
        let pod = event.object();
        if let Some(owner) = pod.metadata.controller().filter(|owner| owner.kind == Job::KIND) {
            add.add((pod.namespace().to_owned(), owner.name.clone()));
        } else if let Some(name) = pod.metadata.labels.get("batch.kubernetes.io/job-name")
            && pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
        {
            // An orphan that still waits for its job to count it.
            add.add((pod.namespace().to_owned(), name.clone()));
        }
    });
    let expectations = Expectations::watching(&pods);
    let recorder = context.recorder(&client, "job-controller");
    let controller = Controller { client, recorder, jobs, pods, expectations };
    work(Arc::new(controller), queue, 5).await;
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "job";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(job) = self.jobs.get(&key.0, &key.1) else {
            self.expectations.forget(key);
            return self.free_orphans(key).await;
        };
        if job.spec.managed_by.as_deref().is_some_and(|by| by != "kubernetes.io/job-controller") {
            return Ok(Next::Change);
        }
        let Ok(selector) = Selector::from_typed(job.spec.selector.as_ref()) else { return Ok(Next::Change) };
        let claims = claim(&job.metadata, &selector, self.pods.list_in(&key.0));
        let owned = settle(&self.client, &*job, claims).await?;
        let plan = plan(&job, &owned, unix_now(), self.expectations.are_met(key));

        if plan.status != job.status {
            let api = Api::<Job>::namespaced(self.client.clone(), &key.0);
            if unless_gone(api.replace_status(&key.1, &with_status(&*job, &plan.status)).await)?.is_none() {
                return Ok(Next::Change);
            }
            for (kind, reason, message) in &plan.events {
                self.recorder.event(&ObjectReference::of(&*job), *kind, reason, message.clone());
            }
        }
        // Only what the status has taken in may be let go.
        for pod in &plan.release {
            self.release(pod).await?;
        }
        let control = PodControl {
            client: &self.client,
            recorder: &self.recorder,
            pods: &self.pods,
            expectations: &self.expectations,
            owner: ObjectReference::of(&*job),
            key,
        };
        // Without their finalizer these do not count as failed.
        for pod in &plan.drop {
            self.release(pod).await?;
        }
        if let Some(error) = control.delete(&plan.drop).await {
            return Err(error);
        }
        if let Some(error) = control.delete(&plan.delete).await {
            return Err(error);
        }
        let bodies = plan.create.iter().map(|new| new_pod(&job, new)).collect();
        let (_, error) = control.create(bodies).await;
        match error.filter(|error| !error.is_namespace_terminating()) {
            Some(error) => Err(error),
            None => Ok(plan.look_again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds)))),
        }
    }
}

impl Controller {
    /// Takes the finalizer from a pod.
    async fn release(&self, pod: &Pod) -> Result<(), Error> {
        let left: Vec<&String> = pod.metadata.finalizers.iter().filter(|found| *found != FINALIZER).collect();
        let patch = json!({"metadata": {"uid": pod.uid(), "finalizers": left}});
        let api = Api::<Pod>::namespaced(self.client.clone(), pod.namespace());
        match api.patch(pod.name(), Patch::Merge, &patch).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            result => result.map(drop),
        }
    }

    /// The job is gone: nobody will count its pods any more.
    async fn free_orphans(&self, key: &Key) -> Result<Next, Error> {
        for pod in self.pods.list_in(&key.0) {
            let is_its = pod.metadata.labels.get("batch.kubernetes.io/job-name") == Some(&key.1)
                || pod.metadata.controller().is_some_and(|owner| owner.kind == Job::KIND && owner.name == key.1);
            if is_its && pod.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
                self.release(&pod).await?;
            }
        }
        Ok(Next::Change)
    }
}

/// A pod of the job, for one index if it is indexed.
fn new_pod(job: &Job, new: &NewPod) -> Value {
    let owner = controller_reference::<Job>(&job.metadata);
    let mut body = from_template(&job.spec.template.value(), &owner, job.namespace());
    let mut finalizers = body.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    finalizers.push(FINALIZER.into());
    body["metadata"]["finalizers"] = finalizers.into();
    let Some(index) = new.index else {
        body["metadata"]["generateName"] = format!("{}-", job.name()).into();
        return body;
    };
    body["metadata"]["generateName"] = format!("{}-{index}-", job.name()).into();
    body["metadata"]["annotations"][INDEX] = index.to_string().into();
    body["metadata"]["labels"][INDEX] = index.to_string().into();
    if let Some((counted, ignored)) = new.failures {
        body["metadata"]["annotations"][INDEX_FAILURES] = counted.to_string().into();
        if ignored > 0 {
            body["metadata"]["annotations"][INDEX_IGNORED] = ignored.to_string().into();
        }
    }
    if body.pointer("/spec/hostname").and_then(Value::as_str).unwrap_or_default().is_empty() {
        body["spec"]["hostname"] = format!("{}-{index}", job.name()).into();
    }
    for group in ["initContainers", "containers"] {
        for container in body["spec"][group].as_array_mut().into_iter().flatten() {
            let mut env = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
            if !env.iter().any(|variable| variable["name"] == "JOB_COMPLETION_INDEX") {
                let field = json!({"fieldPath": format!("metadata.labels['{INDEX}']")});
                env.push(json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": field}}));
                container["env"] = env.into();
            }
        }
    }
    if body["spec"]["initContainers"].is_null()
        && let Some(spec) = body["spec"].as_object_mut()
    {
        spec.remove("initContainers");
    }
    body
}

/// How a finished job is told of.
pub(super) fn verdict(kind: &str) -> EventType {
    if kind == "Complete" { EventType::Normal } else { EventType::Warning }
}
