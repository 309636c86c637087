//! Deletes jobs some time after they are over, if they ask for it.

use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::{parse_seconds, unix_now};
use drydock_client::{Api, Client, DeleteOptions, Error, Event, Object, Propagation, Reflector, WorkQueue};

use crate::context::Context;
use crate::kinds::Job;
use crate::work::{Key, Next, Reconcile, key, unless_gone, work};

struct Controller {
    client: Client,
    jobs: Reflector<Job>,
}

pub(super) async fn run(context: Arc<Context>) {
    let jobs = context.watch::<Job>();
    let client = context.client("ttl-after-finished-controller").await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    jobs.handle(move |event| {
        if let Event::Applied(job, _) = event
            && expires_at(job).is_some()
        {
            add.add(key(&**job));
        }
    });
    work(Arc::new(Controller { client, jobs }), queue, 1).await;
}

/// When the job is to be deleted, in seconds since 1970.
fn expires_at(job: &Job) -> Option<i64> {
    let ttl = job.spec.ttl_seconds_after_finished?;
    let finished = job.finished()?.last_transition_time.as_deref().and_then(parse_seconds)?;
    (!job.metadata.is_deleting()).then_some(finished + ttl)
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "ttl-after-finished";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(at) = self.jobs.get(namespace, name).and_then(|job| expires_at(&job)) else {
            return Ok(Next::Change);
        };
        if let Ok(left @ 1..) = u64::try_from(at - unix_now()) {
            return Ok(Next::After(Duration::from_secs(left)));
        }
        // The time may have been prolonged meanwhile.
        let api = Api::<Job>::namespaced(self.client.clone(), namespace);
        let Some(job) = api.get_opt(name).await? else { return Ok(Next::Change) };
        if expires_at(&job).is_some_and(|at| at <= unix_now()) {
            let options = DeleteOptions {
                propagation: Some(Propagation::Foreground),
                resource_version: Some(job.metadata.resource_version.clone()),
                ..DeleteOptions::of_uid(job.uid())
            };
            unless_gone(api.delete(name, &options).await)?;
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::Condition;

    #[test]
    fn only_finished_jobs_expire() {
        let mut job = Job::default();
        assert_eq!(expires_at(&job), None);
        job.spec.ttl_seconds_after_finished = Some(10);
        assert_eq!(expires_at(&job), None);
        job.status.conditions.push(Condition {
            kind: "Failed".into(),
            status: "True".into(),
            last_transition_time: Some("1970-01-01T00:01:00Z".into()),
            ..Condition::default()
        });
        assert_eq!(expires_at(&job), Some(70));
    }
}
