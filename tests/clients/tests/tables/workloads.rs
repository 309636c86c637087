//! Deployments on their way.

use drydock_tests_clients::{Client, run};

use super::SHOP;

pub fn rollouts(client: &Client<'_>) {
    let done =
        || run("rollout status deployment/shop --timeout=60s").has("deployment \"shop\" successfully rolled out");
    client.table(&[
        run("apply -f -").input(SHOP),
        done(),
        run("set image deployment/shop web=drydock/demo:v2").is("deployment.apps/shop image updated"),
        done(),
        run("rollout history deployment/shop")
            .has("REVISION  CHANGE-CAUSE")
            .has("1         <none>")
            .has("2         <none>"),
        run("rollout history deployment/shop --revision=2").has("drydock/demo:v2"),
        run("rollout undo deployment/shop").is("deployment.apps/shop rolled back"),
        run("get deployment shop -o jsonpath={.spec.template.spec.containers[0].image}").is("drydock/demo:v1"),
        done(),
        run("rollout pause deployment/shop").is("deployment.apps/shop paused"),
        run("rollout pause deployment/shop").code(1).is("error: deployments.apps \"shop\" is already paused"),
        run("rollout undo deployment/shop").code(1).has("you cannot rollback a paused deployment"),
        run("rollout resume deployment/shop").is("deployment.apps/shop resumed"),
        run("rollout restart deployment/shop").is("deployment.apps/shop restarted"),
        done(),
        run("rollout undo deployment/shop --to-revision=99")
            .code(1)
            .is("error: unable to find specified revision 99 in history"),
        run("delete deployment shop"),
    ]);
}

pub fn scaling(client: &Client<'_>) {
    client.table(&[
        run("create deployment web --image=drydock/demo:v1 --replicas=1").is("deployment.apps/web created"),
        run("wait --for=condition=Available deployment/web --timeout=60s").is("deployment.apps/web condition met"),
        run("scale deployment web --replicas=2").is("deployment.apps/web scaled"),
        run("wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s")
            .is("deployment.apps/web condition met"),
        run("scale deployment web --current-replicas=5 --replicas=1")
            .code(1)
            .is("error: Expected replicas to be 5, was 2"),
        run("autoscale deployment web --min=1 --max=3 --cpu-percent=50")
            .is("horizontalpodautoscaler.autoscaling/web autoscaled"),
        run("get hpa web -o jsonpath={.spec.minReplicas}/{.spec.maxReplicas}").is("1/3"),
        run("create job once --image=drydock/demo:v1 -- true").is("job.batch/once created"),
        run("wait --for=condition=complete job/once --timeout=60s").is("job.batch/once condition met"),
        run("create cronjob often --image=drydock/demo:v1 --schedule='*/5 * * * *' -- true")
            .is("cronjob.batch/often created"),
        run("create job now --from=cronjob/often").is("job.batch/now created"),
        run("delete hpa,deployment,cronjob,job --all").has("deleted"),
    ]);
}
