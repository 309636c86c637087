//! Cron jobs: a job at each time of a schedule.

mod plan;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::unix_now;
use drydock_client::types::ObjectRef;
use drydock_client::{
    Api, Client, DeleteOptions, Error, EventRecorder, Object, ObjectReference, Propagation, Reflector, WorkQueue,
};
use serde_json::Value;

use self::plan::{new_job, plan};
use crate::context::Context;
use crate::kinds::{CronJob, Job};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    cron_jobs: Reflector<CronJob>,
    jobs: Reflector<Job>,
}

pub(super) async fn run(context: Arc<Context>) {
    let cron_jobs = context.watch::<CronJob>();
    let jobs = context.watch::<Job>();
    let client = context.client("cronjob-controller").await;
    cron_jobs.synced().await;
    jobs.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    cron_jobs.handle(move |event| add.add(key(&**event.object())));
    let add = queue.clone();
    jobs.handle(move |event| {
        let job = event.object();
        if let Some(owner) = job.metadata.controller().filter(|owner| owner.kind == CronJob::KIND) {
            add.add((job.namespace().to_owned(), owner.name.clone()));
        }
    });
    let recorder = context.recorder(&client, "cronjob-controller");
    work(Arc::new(Controller { client, recorder, cron_jobs, jobs }), queue, 2).await;
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "cronjob";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(cron_job) = self.cron_jobs.get(&key.0, &key.1) else { return Ok(Next::Change) };
        let mut owned = self.jobs.list_in(&key.0);
        owned.retain(|job| job.metadata.controller().is_some_and(|owner| owner.uid == cron_job.uid()));
        let jobs = Api::<Job>::namespaced(self.client.clone(), &key.0);
        // A job that was made a moment ago may not have come by watch yet: only the API server knows that it is missing.
        for active in &cron_job.status.active {
            if !owned.iter().any(|job| job.uid() == active.uid)
                && let Some(job) = jobs.get_opt(&active.name).await?.filter(|job| job.uid() == active.uid)
            {
                owned.push(Arc::new(job));
            }
        }
        let plan = plan(&cron_job, &owned, unix_now());
        let about = ObjectReference::of(&*cron_job);
        for (kind, reason, message) in &plan.events {
            self.recorder.event(&about, *kind, reason, message.clone());
        }
        let mut status = plan.status;
        let background = |job: &Job| DeleteOptions {
            propagation: Some(Propagation::Background),
            ..DeleteOptions::of_uid(job.uid())
        };
        for job in &plan.delete {
            unless_gone(jobs.delete(job.name(), &background(job)).await)?;
            status.active.retain(|active| active.uid != job.uid());
            self.recorder.normal(&about, "SuccessfulDelete", format!("Deleted job {}", job.name()));
        }
        if let Some(at) = plan.start {
            let body = new_job(&cron_job, at);
            match jobs.create(&body).await {
                Ok(job) => {
                    self.recorder.normal(&about, "SuccessfulCreate", format!("Created job {}", job.name()));
                    status.active.push(ObjectRef {
                        api_version: "batch/v1".to_owned(),
                        kind: "Job".to_owned(),
                        namespace: job.namespace().to_owned(),
                        name: job.name().to_owned(),
                        uid: job.uid().to_owned(),
                    });
                }
                // Made a moment ago, by us.
                Err(error) if error.is_already_exists() || error.is_namespace_terminating() => {}
                Err(error) => {
                    self.recorder.warning(&about, "FailedCreate", format!("Error creating job: {error}"));
                    return Err(error);
                }
            }
        }
        if status != cron_job.status {
            let api = Api::<CronJob>::namespaced(self.client.clone(), &key.0);
            let body: Value = with_status(&*cron_job, &status);
            unless_gone(api.replace_status(&key.1, &body).await)?;
        }
        Ok(plan.look_again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds))))
    }
}
