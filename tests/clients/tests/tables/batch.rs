//! Work that ends, work by the clock, and pods that may not all go at once.

use drydock_tests_clients::{Client, run};

fn job(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  template:\n    spec:\n      restartPolicy: Never\n      terminationGracePeriodSeconds: 0\n      containers: [{{name: work, image: drydock/demo:v1, command: [sh, -c, '{script}']}}]\n"
    )
}

pub(crate) fn jobs(client: &Client<'_>) {
    let three = "completions: 3\n  parallelism: 3\n  completionMode: Indexed";
    let indexed = job("indexed", three, "echo part $JOB_COMPLETION_INDEX of $HOSTNAME");
    client.table(&[
        run("apply -f -").input(indexed).is("job.batch/indexed created"),
        run("wait --for=condition=complete job/indexed --timeout=60s").is("job.batch/indexed condition met"),
        run("get job indexed -o jsonpath={.status.succeeded}/{.status.completedIndexes}").is("3/0-2"),
        run("get job indexed --no-headers").has("Complete   3/3").since(28),
        run("logs -l batch.kubernetes.io/job-name=indexed --tail=-1")
            .has("part 0 of indexed-0")
            .has("part 1 of indexed-1")
            .has("part 2 of indexed-2"),
        run("get pods -l batch.kubernetes.io/job-completion-index=1 -o jsonpath={.items[*].spec.hostname}")
            .is("indexed-1"),
        run("apply -f -").input(job("fails", "backoffLimit: 0", "exit 3")).is("job.batch/fails created"),
        run("wait --for=condition=failed job/fails --timeout=60s").is("job.batch/fails condition met"),
        run("get job fails -o jsonpath={.status.conditions[?(@.type==\"Failed\")].reason}:{.status.failed}")
            .is("BackoffLimitExceeded:1"),
        run("describe job fails").has("Job has reached the specified backoff limit"),
        run("apply -f -").input(job("late", "activeDeadlineSeconds: 1", "sleep 100")),
        run("wait --for=condition=failed job/late --timeout=60s").is("job.batch/late condition met"),
        run("get job late -o jsonpath={.status.conditions[?(@.type==\"Failed\")].reason}").is("DeadlineExceeded"),
        run("patch job late --type merge -p '{\"spec\":{\"completions\":5}}'").code(1).has("field is immutable"),
        run("delete job --all").has("job.batch \"late\" deleted"),
    ]);
}

pub(crate) fn cron_jobs(client: &Client<'_>) {
    client.table(&[
        run("create cronjob tick --image=drydock/demo:v1 '--schedule=* * * * *' -- echo tick").is("cronjob.batch/tick created"),
        run("create cronjob never --image=drydock/demo:v1 '--schedule=bad' -- true").code(1).has("spec.schedule: Invalid value: \"bad\""),
        run("create job by-hand --from=cronjob/tick").is("job.batch/by-hand created"),
        run("wait --for=condition=complete job/by-hand --timeout=60s").is("job.batch/by-hand condition met"),
        run("logs job/by-hand").is("tick"),
        run("get job by-hand -o jsonpath={.metadata.ownerReferences[0].kind}/{.metadata.annotations.cronjob\\.kubernetes\\.io/instantiate}")
            .is("CronJob/manual"),
        run("patch cronjob tick -p '{\"spec\":{\"suspend\":true}}'").is("cronjob.batch/tick patched"),
        run("get cronjob tick --no-headers").has("* * * * *").has("True"),
        run("delete cronjob tick").has("deleted"),
        // What it made goes with it.
        run("get jobs -o name").is("").eventually(),
    ]);
}

pub(crate) fn disruptions(client: &Client<'_>) {
    let evict = |pod: &str| {
        let path = format!("create --raw /api/v1/namespaces/{}/pods/{pod}/eviction -f -", client.namespace());
        let body = format!(
            "{{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{{\"name\":\"{pod}\",\"namespace\":\"{}\"}}}}",
            client.namespace()
        );
        run(path).input(body)
    };
    client.table(&[
        run("create deployment guarded --image=drydock/demo:v1 --replicas=2").is("deployment.apps/guarded created"),
        run("create poddisruptionbudget guard --selector=app=guarded --min-available=2")
            .is("poddisruptionbudget.policy/guard created"),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/guarded --timeout=60s").since(28),
        run("get pdb guard -o jsonpath={.status.currentHealthy}/{.status.desiredHealthy}/{.status.disruptionsAllowed}")
            .is("2/2/0")
            .eventually(),
        run("get pdb guard --no-headers").has("guard   2     N/A   0"),
    ]);
    let pod = client.step(&run("get pods -l app=guarded -o jsonpath={.items[0].metadata.name}"));
    client.table(&[
        evict(&pod).code(1).has("Cannot evict pod as it would violate the pod's disruption budget."),
        run("patch pdb guard --type merge -p '{\"spec\":{\"minAvailable\":1}}'")
            .is("poddisruptionbudget.policy/guard patched"),
        run("get pdb guard -o jsonpath={.status.disruptionsAllowed}").is("1").eventually(),
        evict(&pod).has("Success"),
        run(format!("get pod {pod}")).code(1).has("not found").eventually(),
        run("delete pdb,deployment guard guarded --ignore-not-found"),
    ]);
}
